"""Between a live object and the bytes in Git: pure, no I/O and no clock.

Start at `canonical.capture_object`. The format that comes out of here is docs/format.md.
"""
