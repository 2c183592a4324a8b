"""What a file of each image format says of itself, read in plain Python; one module a format."""
