"""How fast: txweave, TLC, SPIN and minicheck on the same models (docs/benchmarks.md).  ``python -m bench --help``."""
