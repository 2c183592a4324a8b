"""Image recognition from a folder of images to a file that ships."""

__version__ = "0.1.0"
