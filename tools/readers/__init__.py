"""The commands for those who read the book: they need requirements.lock alone."""
