"""A real browser: Debian's Chromium, driven by Playwright.  What is missing here is a failure, not a skip.

Screenshots go to ``.artefacts`` in the repository's root, which git ignores.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PATIENCE = 20_000
"""Milliseconds to wait for something to be so, on a machine that has other things to do."""

ARTEFACTS = Path(__file__).resolve().parents[2] / ".artefacts"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None, "no Chromium here: install chromium"
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not run as root, which containers often are.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1300, "height": 1000}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield context
    context.close()


@pytest.fixture
def console() -> list[str]:
    """The errors on the console: nothing may be there at the end that the test does not take out."""
    return []


@pytest.fixture
def page(context: BrowserContext, console: list[str]) -> Iterator[Page]:
    page = context.new_page()
    page.on("console", lambda message: console.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: console.append(str(error)))
    # A page needs no network: what it asks for is its own file.
    page.on("requestfailed", lambda request: console.append(f"failed: {request.url}"))
    yield page
    assert console == []


@pytest.fixture
def picture(request: pytest.FixtureRequest):
    """Keeps a screenshot, of the page or of a part of it."""
    ARTEFACTS.mkdir(exist_ok=True)

    def keep(what, name: str = "") -> None:
        what.screenshot(path=ARTEFACTS / f"{request.node.originalname}{name and '-' + name}.png")

    return keep
