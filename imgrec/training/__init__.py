"""Optimiser, schedule and the one `fit` every paradigm goes through."""
