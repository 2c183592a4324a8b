"""Pruning: channels taken out of a network (`channels`), and small weights set to zero (`sparse`)."""
