"""Where a model looked: a map over the picture for one of its answers, and the picture with the map on it."""
