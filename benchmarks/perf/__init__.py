"""Measurements run by hand; their tables go into the documents with date and machine."""
