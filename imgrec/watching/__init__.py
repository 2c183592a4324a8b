"""Whether what is served still is what was learned from; NumPy and OpenCV alone.

For a server: read a `Reference` from the run folder (`reference.read`), make a `DriftDetector` of it, and for
every request call `detector.update(values, label)`, where `values` are `measures.of(pixels)` and what else
the reference has (`confidence`, and `unlikeness` where features are looked at), and `label` is the index of
the answer. It returns an `Alarm` at the moment of one, else None; `detector.state()` is for a dashboard.
"""
