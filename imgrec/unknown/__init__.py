"""What a model says of images unlike those that it learned from; NumPy alone, as files are served by it."""
