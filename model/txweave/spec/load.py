"""Reading specifications: what the other packages import."""

from txweave.spec.files import file_kind, load_fix, load_model, parse_fix, parse_model
from txweave.spec.studies import load_study, parse_study

__all__ = ["file_kind", "load_fix", "load_model", "load_study", "parse_fix", "parse_model", "parse_study"]
