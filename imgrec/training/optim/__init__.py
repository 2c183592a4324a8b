"""Optimisers, schedules, averages of weights, and what changes a step."""
