"""JupyterLab with the widget, in a browser: run a stored notebook's cell, step, branch, ask, watch, compare."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
CELL = """\
import txweave as tw
result = tw.check("backfill.model.yaml", properties="no_premature_completion", engine="explicit")
explorer = tw.explore(result["no_premature_completion"], "exists-guard.fix.yaml")
explorer"""


class Lab:
    """A JupyterLab of its own: everything that it reads or writes is in one directory."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self.folder = f"http://127.0.0.1:{port}", folder
        for name in ("backfill.model.yaml", "exists-guard.fix.yaml"):
            shutil.copy(ROOT / "specs" / name, folder)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "explore.ipynb")
        home = folder / ".home"
        (home / "config" / "labconfig").mkdir(parents=True)
        # No question about news: it needs the network, and it covers what is below it.
        silent = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        (home / "config" / "labconfig" / "page_config.json").write_text(json.dumps(silent), encoding="utf-8")
        package = str(Path(sys.modules["txweave"].__file__ or "").parents[1])
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "run",
            "IPYTHONDIR": "ipython",
            "HOME": ".",
        }
        environment = {**os.environ, "PYTHONPATH": package, **{name: str(home / place) for name, place in places.items()}}
        options = [
            "--no-browser",
            "--allow-root",
            f"--ServerApp.root_dir={folder}",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
        ]
        options += ["--IdentityProvider.token=", "--LabApp.news_url="]
        self.log = (home / "log").open("w+", encoding="utf-8")
        command = [sys.executable, "-m", "jupyterlab", *options]
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self.log, stderr=subprocess.STDOUT)

    def api(self, path: str) -> object:
        with urlopen(f"{self.address}/api/{path}", timeout=5) as answer:
            return json.load(answer)

    def until(self, what: Callable[[], object], wait: Callable[[], None] = lambda: time.sleep(0.1)) -> None:
        """Wait for something to be so; the server's own words where it is not."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if what():
                    return
            except OSError:
                pass  # it does not listen yet
            wait()
        self.log.seek(0)
        raise AssertionError(self.log.read())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    import txweave  # noqa: F401 - the kernel imports the same

    lab = Lab(tmp_path)
    try:
        lab.until(lambda: lab.api("status"))
        yield lab
    finally:
        lab.close()


def shown(page: Page, lab: Lab) -> None:
    """Open the notebook and run its cell, once its kernel is there."""
    page.set_viewport_size({"width": 1500, "height": 1200})
    page.goto(f"{lab.address}/lab/tree/explore.ipynb")

    def connected() -> bool:
        kernels = lab.api("kernels")
        assert isinstance(kernels, list)
        return any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels)

    lab.until(connected, lambda: page.wait_for_timeout(100))
    page.locator("[data-command='notebook:run-cell-and-select-next']").click()
    page.locator(".twx").wait_for(timeout=PATIENCE * 1000)


def test_the_widget(page: Page, lab: Lab, picture: Callable[..., None]) -> None:
    shown(page, lab)
    box = page.locator(".twx")
    here = box.locator(".twx-row[aria-current]")

    def at(number: int, last: int) -> None:
        expect(box.locator(".twx-count")).to_have_text(f"{number} / {last}")

    # Click and step; the keys are the explorer's, and not the notebook's.
    box.locator(".twx-row[data-at='2']").click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    at(4, 6)
    expect(here).to_be_focused()
    picture(box)

    # Side by side with a fix.
    box.get_by_label("beside").select_option("exists-guard")
    expect(box.locator(".twx-parting")).to_contain_text("scheduler is at done there, not at update")
    expect(box.locator(".twx-side").nth(1)).to_contain_text("finished = {}")
    picture(box, "beside")
    box.get_by_label("beside").select_option("nothing")
    expect(box.locator(".twx-sides")).to_have_count(0)

    # Another move, and what can still happen.
    box.locator(".twx-row[data-at='3']").click()
    box.locator(".twx-moves button", has_text="crash").click()
    at(4, 4)
    box.locator(".twx-moves button", has_text="find").click()
    at(5, 5)
    box.get_by_role("button", name="Can never_blocked break from here?").click()
    expect(box.locator(".twx-property", has_text="never_blocked").get_by_role("status")).to_contain_text(
        "no: every run from here on answers it"
    )
    box.locator(".twx-row[data-at='1']").click()
    box.get_by_role("button", name="Can one_active_backfill break from here?").click()
    expect(box.locator(".twx-property", has_text="one_active_backfill").get_by_role("status")).to_contain_text(
        "yes: 5 steps from here"
    )
    expect(box.locator(".twx-about")).to_contain_text("one_active_backfill")
    picture(box, "yes")

    # Watches, and an error where it can be seen.
    query = box.get_by_label("A query to watch")
    query.fill("SELECT count(*) FROM backfill")
    query.press("Enter")
    expect(box.locator(".twx-watch")).to_contain_text("count = 0")
    box.locator(".twx-row[data-at='6']").click()
    expect(box.locator(".twx-watch ins")).to_have_text("2")
    query.fill("SELECT nonsense")
    box.get_by_role("button", name="Watch", exact=True).click()
    expect(box.get_by_role("alert")).to_contain_text("there is no column 'nonsense' here")
    expect(query).to_have_value("SELECT nonsense")
    box.get_by_role("button", name="Dismiss").click()

    # The path is kept, saved as a file, and the original comes back.
    box.get_by_text("Keep, copy, restore this path").click()
    box.get_by_role("button", name="Keep this path").click()
    box.get_by_role("button", name="Save as a trace file").click()
    expect(box.get_by_role("status").first).to_contain_text("Saved as path.trace.json")
    saved = json.loads((lab.folder / "path.trace.json").read_text(encoding="utf-8"))
    assert saved["property"]["name"] == "one_active_backfill"
    box.get_by_role("button", name="Return to the original").click()
    at(6, 6)
    box.get_by_role("list", name="Kept paths").get_by_role("button").first.click()
    expect(box.locator(".twx-about")).to_contain_text("one_active_backfill")

    # As the notebook is, light or dark, and in a narrow window.
    expect(box).to_have_attribute("data-theme", "light")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    expect(box).to_have_attribute("data-theme", "dark")
    page.set_viewport_size({"width": 640, "height": 900})
    assert box.evaluate("one => one.scrollWidth <= one.clientWidth")
    picture(box, "dark-narrow")
