"""The many-sorted guarded-command system, its grounding, and the reference interpreter.  Knows neither SQL nor YAML."""
