"""Certificates on paper: written, read again, and verified against a specification without the engine that found them."""
