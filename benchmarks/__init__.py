"""Speed, each figure a ratio of two things measured in turn within one run."""
