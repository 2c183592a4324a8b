"""An audit of a set of images: its settings, what it finds, and what it leaves."""
