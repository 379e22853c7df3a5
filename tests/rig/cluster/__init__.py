"""A real Kubernetes on one Linux machine.

`lifecycle` starts and ends it, `providers` is what tests see of it.
"""
