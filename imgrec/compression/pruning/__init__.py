"""Pruning: channels taken out of a network, or small weights set to zero."""
