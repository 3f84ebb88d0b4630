"""The commands for those who teach with the book: they need requirements.lock alone."""
