"""What stands behind run.py: a file for each command, in readers/ and authors/, and what they share."""
