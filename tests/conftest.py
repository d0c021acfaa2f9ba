"""Puts this directory on the path, so that tests share their toy systems."""

import os

# Tests change txweave itself (a lying engine), which a result that was kept would not show.  Those of the cache take it back.
os.environ["TXWEAVE_NO_CACHE"] = "1"

# Specifications below this directory are what tests are about, most of them wrong on purpose: the pytest plugin leaves them alone.
collect_ignore_glob = ["*.study.yaml", "*.model.yaml"]
