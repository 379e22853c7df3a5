"""Plain values. Imports nothing of ours and nothing but the standard library."""
