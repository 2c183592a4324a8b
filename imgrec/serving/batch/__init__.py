"""Answers for a great many images: in parts that are done once each, on one processor or many machines."""
