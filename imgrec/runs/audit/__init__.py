"""An audit of a set of images: its settings, what it finds, the files that say so, what is done about it."""
