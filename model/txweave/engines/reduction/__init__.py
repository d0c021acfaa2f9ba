"""Reductions of the state space: states that no question can tell apart are counted as one."""
