"""From files and arrays to batches: sources, checks, preprocessing, augmentation, mixing, tf.data."""
