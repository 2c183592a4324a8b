"""Which models of the zoo do not become an int8 file that answers as they do, and why."""

EXCEPTIONS: dict[str, str] = {}
"""Model name → reason, in one line. A test holds that every other model agrees with its file, and that these
do not."""
