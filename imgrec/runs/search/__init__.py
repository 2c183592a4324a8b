"""The search for better settings: what may change, the trials, one process each."""
