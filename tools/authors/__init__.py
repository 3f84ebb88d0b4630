"""The commands for those who write and test it: they need requirements-authors.lock too."""
