"""Checks of `scripts/lint` that no tool brings: modules whose `main()` returns the exit code."""
