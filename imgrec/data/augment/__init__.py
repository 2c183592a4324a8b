"""What training images go through: one line composes it (`compose.py`), flags give the rest (`batch.py`), and
`engine.py` alone decides which of the two runs.

`view.py`, `affine.py` and `colour.py` change an image lazily: one resample, one colour step. `pixels.py` and
`distort.py` change its pixels; `policies.py` draws what is done. All but `batch.py` do without TensorFlow.
"""
