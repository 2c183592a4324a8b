"""Paradigms beyond plain supervision; each prepares phases that go through the one `fit`."""
