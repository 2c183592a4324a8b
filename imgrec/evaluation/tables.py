"""What the tables of all pages share."""

OPEN_ROWS = 25
"""Longer tables show this many rows, the others on request."""
