"""What a file of each image format says of itself: JPEG and TIFF in plain Python, the others by Pillow."""
