"""Building blocks of the models: Keras layers of our own and small functional helpers."""
