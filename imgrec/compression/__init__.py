"""Smaller and faster models: quantisation-aware training on Keras 3."""
