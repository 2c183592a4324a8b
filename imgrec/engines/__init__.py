"""What runs files that are no TFLite: each opens a path, and takes and gives arrays."""
