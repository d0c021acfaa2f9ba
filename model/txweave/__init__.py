"""txweave model-checks procedures that share an SQL database."""

__version__ = "0.1.0"
