"""Thin entry points: `python -m pipelines.<job>`."""
