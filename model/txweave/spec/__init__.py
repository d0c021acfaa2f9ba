"""Specifications: YAML files read into typed syntax with source positions, patched by fixes."""
