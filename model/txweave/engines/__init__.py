"""Engines: each takes a ground system and says what it found out about its properties."""
