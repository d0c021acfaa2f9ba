"""SQL text to typed relational expressions: parsed with sqlglot, allow-listed, bound to the schema."""
