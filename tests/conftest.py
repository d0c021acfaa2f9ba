"""Puts this directory on the path, so that tests share their toy systems."""
