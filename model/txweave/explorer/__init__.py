"""The explorer of a run: what a notebook's widget asks, and what it is answered."""
