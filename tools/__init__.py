"""What stands behind run.py: a file for each command, in readers/, teachers/ and authors/, and what they share."""
