"""The tests. A package, so that `tests.rig` can be imported and run with `python -m`."""
