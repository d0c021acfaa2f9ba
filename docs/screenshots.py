"""Make docs/explorer.png, the explorer on the page of a check: ``python docs/screenshots.py`` (with Chromium and the dev extra)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
STUDY, STEP = "specs/two-commits.study.yaml", "as_written/one_active_backfill/3"


def main() -> None:
    """Check the study, open the page at the step, and take the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium here: install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder) / "report.html"
        command = [sys.executable, "-m", "txweave", "check", STUDY, "--engine", "explicit", "--no-cache", "--quiet"]
        subprocess.run([*command, "--format", f"html={page_file}"], cwd=ROOT, check=True)  # noqa: S603 - our own command
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1240, "height": 1100}, color_scheme="light")
            page.goto(f"{page_file.as_uri()}#{STEP}")
            page.locator(f"section[id='{STEP.rpartition('/')[0]}'] .twx").screenshot(path=ROOT / "docs" / "explorer.png")
            browser.close()


if __name__ == "__main__":
    main()
