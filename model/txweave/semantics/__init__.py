"""What a bound model means: transactions, locks, constraints, crashes and time, lowered once to the sorted system."""

from txweave.semantics.lower import lower

__all__ = ["lower"]
