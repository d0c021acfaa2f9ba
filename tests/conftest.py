"""Puts this directory on the path, so that tests share their toy systems."""

# Specifications below this directory are what tests are about, most of them wrong on purpose: the pytest plugin leaves them alone.
collect_ignore_glob = ["*.study.yaml", "*.model.yaml"]
