"""tfmot, the older engine, as a reference: in a process of its own, on a translation of the model.

`tensorflow-model-optimization` knows Keras 2 alone (`tf_keras`) and sets `TF_USE_LEGACY_KERAS` for whoever
imports it. So a model goes over as a neutral description, JSON and arrays, and answers come back as arrays.
"""
