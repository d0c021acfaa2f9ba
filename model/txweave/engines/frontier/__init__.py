"""Exploration of many states at once in numpy arrays: the explicit engine's way through levels that are wide."""
