"""Real servers that tests and the demo talk to; each belongs to a folder and leaves nothing."""
