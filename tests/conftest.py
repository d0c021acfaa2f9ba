"""Puts this directory on the path, so that tests share their toy systems."""

import os

# Tests change txweave itself (a lying engine), which a result that was kept would not show.  Those of the cache take it back.
os.environ["TXWEAVE_NO_CACHE"] = "1"

# What is printed follows the width of the terminal and whether colour is forced: here neither comes from whoever runs the tests.
os.environ["COLUMNS"] = "100"
for name in ("FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE"):
    os.environ.pop(name, None)

# Specifications below this directory are what tests are about, most of them wrong on purpose: the pytest plugin leaves them alone.
collect_ignore_glob = ["*.study.yaml", "*.model.yaml"]
