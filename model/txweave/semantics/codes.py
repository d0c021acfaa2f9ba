"""Codes of the semantics: what is not modelled, or does not come to an end."""

from __future__ import annotations

CODES: dict[str, tuple[str, str]] = {}
