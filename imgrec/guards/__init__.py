"""What stands between a file that somebody else made and the libraries that read it: see docs/security.md."""
