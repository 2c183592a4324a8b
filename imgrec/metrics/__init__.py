"""Figures from outputs and labels, in NumPy for a split and in Keras for an epoch."""
