"""The HTML page in a browser: the explorer, links, the filter, the keyboard, narrow and dark, and nothing that runs but its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

import report_samples as samples
from txweave.check import Options
from txweave.collect import Choice, collect
from txweave.report import explorer
from txweave.report.html import render
from txweave.report.outcomes import Report
from txweave.report.text import Style
from txweave.results import Exit
from txweave.run import run_cases

ROOT = Path(__file__).resolve().parents[2]
RACE, LASSO = "as_written/no_premature_completion", "guarded/never_blocked"


def checked(path: Path, **options: object) -> Report:
    collection = collect([str(path)], Choice())
    assert not collection.errors
    results = run_cases(collection.cases, Options(engine="explicit", explore=True, **options))
    return Report(tuple(results), (), Exit.OK, Style(timing=False))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the miniature's study."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(checked(ROOT / "specs" / "two-commits.study.yaml")), encoding="utf-8")
    return path.as_uri()


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def section(page: Page, anchor: str) -> Locator:
    return page.locator(f"section[id='{anchor}']")


def here(story: Locator) -> Locator:
    """The step that is shown."""
    return story.locator(".twx-row[aria-current]")


def at(story: Locator, number: int, last: int) -> None:
    expect(story.locator(".twx-count")).to_have_text(f"{number} / {last}")
    expect(here(story)).to_have_attribute("data-at", str(number))


# ------------------------------------------------------------------------------------------------------------ the explorer


def test_click_a_cell_and_step(page: Page, study: str, picture: Callable[..., None]) -> None:
    page.goto(study)
    page.get_by_role("link", name="✓ violated (6)").first.click()
    story = section(page, RACE)
    expect(story).to_be_in_viewport()
    at(story, 0, 6)
    story.get_by_role("button", name="One step forward").click()
    story.get_by_role("button", name="One step forward").click()
    at(story, 2, 6)
    uncommitted = story.locator("tr.twx-uncommitted")
    expect(uncommitted).to_contain_text("request 1 insert 1 uncommitted")
    story.get_by_role("button", name="To the last step").click()
    row = story.locator(".twx-table", has_text="backfill").locator("tbody tr").first
    expect(row.locator("del")).to_have_text("FALSE")
    expect(row.locator("ins")).to_have_text("TRUE")
    expect(story.locator(".twx-property.twx-failed")).to_contain_text("no_premature_completion")
    expect(story.locator(".twx-property.twx-failed td")).to_have_text("1")
    expect(story.get_by_role("button", name="One step forward")).to_be_disabled()
    request = story.locator(".twx-process", has_text="request 1")
    expect(request.locator("li[aria-current]")).to_contain_text("insert_run")
    picture(story.locator(".twx"))
    story.locator(".twx-row[data-at='4']").click()
    at(story, 4, 6)
    assert page.evaluate("location.hash") == f"#{RACE}/4"


def test_a_step_of_the_picture(page: Page, study: str) -> None:
    page.goto(study)
    story = section(page, RACE)
    story.locator("g[data-step='3'] text").first.click()
    at(story, 3, 6)
    expect(story.locator("rect.here")).to_have_count(1)


def test_links_to_steps(page: Page, study: str) -> None:
    page.goto(f"{study}#{LASSO}/5")
    story = section(page, LASSO)
    at(story, 5, 6)
    expect(story).to_be_in_viewport()
    expect(story.locator(".twx-again")).to_have_text("↻ and again from step 5, for ever")
    story.locator(".twx-again").click()
    at(story, 4, 6)
    story.locator(".whole svg").scroll_into_view_if_needed()
    page.evaluate(f"location.hash = '#{LASSO}/2'")
    at(story, 2, 6)
    expect(here(story)).to_be_in_viewport()
    for nowhere in ("#nowhere/3", f"#{LASSO}/99", "#%E0%A4%A", "#"):
        page.evaluate("hash => { location.hash = hash }", nowhere)
    at(story, 2, 6)


def test_why(page: Page, study: str) -> None:
    page.goto(f"{study}#{RACE}/4")
    story = section(page, RACE)
    reason = story.locator(".twx-why").first
    expect(reason).to_contain_text("while request 1 was in the middle of its work")
    expect(reason).not_to_have_class(re.compile("twx-brief"))
    reason.get_by_role("button", name="To step 3").click()
    at(story, 3, 6)
    story.locator(".why a", has_text="4").first.click()
    at(story, 4, 6)


def test_another_move_and_back(page: Page, study: str, picture: Callable[..., None]) -> None:
    page.goto(f"{study}#{RACE}/3")
    story = section(page, RACE)
    story.locator(".twx-moves button", has_text="crash").click()
    at(story, 4, 4)
    expect(story.locator(".twx-about")).to_have_text("Leaves the original after step 3.")
    expect(story.locator(".twx-process", has_text="request 1").locator(".twx-pill")).to_have_text("crashed")
    expect(story.locator(".twx-moves")).to_have_count(0)
    expect(story).to_contain_text("Not carried any further by this page")
    assert page.evaluate("location.hash") == f"#{RACE}", "a path of one's own is no place of the page"
    picture(story.locator(".twx"))
    story.get_by_role("button", name="Return to the original").click()
    expect(story.locator(".twx-count")).to_contain_text("/ 6")
    story.get_by_role("button", name="Undo").click()
    expect(story.locator(".twx-count")).to_contain_text("/ 4")
    story.locator(".twx-row[data-at='2']").click()
    story.locator(".twx-moves button", has_text="crash").click()
    at(story, 3, 3)
    story.locator(".twx-row[data-at='2']").click()
    story.locator(".twx-moves button", has_text="publish").first.click()
    at(story, 3, 6)


def test_a_path_is_kept_as_text_and_restored(page: Page, study: str) -> None:
    from txweave.explorer import path as paths
    from txweave.explorer.session import Session

    (case,) = collect([str(ROOT / "specs" / "two-commits.study.yaml")], Choice(cases=("as_written",))).cases
    page.goto(f"{study}#{RACE}/3")
    story = section(page, RACE)
    story.get_by_text("Keep, copy, restore this path").click()
    text = story.get_by_label("The path as text")
    whole = text.input_value()
    read, of = paths.read(Session(case, "as_written").possible, whole)
    assert (len(read), read.shows, of) == (6, "no_premature_completion", "as_written"), "what the page writes Python reads"
    story.locator(".twx-moves button", has_text="crash").click()
    mine = text.input_value()
    assert mine.endswith("4. request 1: create_backfill.insert_run[1] (crash)\n")
    story.get_by_role("button", name="Keep this path").click()
    text.fill(whole)
    story.get_by_role("button", name="Restore", exact=True).click()
    at(story, 0, 6)
    story.get_by_role("list", name="Kept paths").get_by_role("button").first.click()
    at(story, 4, 4)
    for wrong, words in [
        (mine.replace("path 1", "path 9"), "a path begins with the line"),
        (mine + "5. scheduler: mark_complete.find (ok)\n", "step 5: this page carries what is one step beside"),
        (mine.replace("publish", "nonsense"), "step 3: not possible here, or not carried by this page"),
        (mine + "shows: never_blocked\n", "does not carry what the path is said to show"),
        (whole + "loop: nothing moves\n", "does not show here what it says"),
        (whole.replace("no_premature_completion", "one_active_backfill"), "does not show here what it says"),
        (whole + "and so on", "this is no line of a path: and so on"),
    ]:
        text.fill(wrong)
        story.get_by_role("button", name="Restore", exact=True).click()
        expect(story.get_by_role("alert")).to_contain_text(words)
        expect(text).to_have_value(wrong)
        at(story, 4, 4)
    part = "\n".join(whole.splitlines()[:2] + [line for line in whole.splitlines() if re.match(r"[12]\.", line)])
    text.fill(part)
    story.get_by_role("button", name="Restore", exact=True).click()
    at(story, 2, 2)
    expect(story.get_by_role("alert")).to_have_count(0)


def test_the_lasso_is_restored_as_one(page: Page, study: str) -> None:
    page.goto(f"{study}#{LASSO}/3")
    story = section(page, LASSO)
    story.get_by_text("Keep, copy, restore this path").click()
    text = story.get_by_label("The path as text")
    whole = text.input_value()
    assert whole.endswith("loop: from step 5\n")
    story.locator(".twx-moves button:not(.twx-taken)").first.click()
    at(story, 4, 4)
    text.fill(whole)
    story.get_by_role("button", name="Restore", exact=True).click()
    at(story, 0, 6)
    expect(story.locator(".twx-again")).to_be_visible()


# ----------------------------------------------------------------------------------------------------------- the keyboard


def test_the_keyboard_alone(page: Page, study: str, picture: Callable[..., None]) -> None:
    page.goto(study)
    story = section(page, RACE)

    def tab_to(there: Locator, key: str = "Tab") -> None:
        for _ in range(60):
            page.keyboard.press(key)
            if there.evaluate("one => one === document.activeElement"):
                style = there.evaluate("one => { const s = getComputedStyle(one); return [s.outlineStyle, s.outlineWidth] }")
                assert style[0] != "none", "where the focus is can be seen"
                assert style[1] != "0px"
                return
        raise AssertionError("the keyboard does not get there")

    tab_to(page.locator(f"a[href='#{RACE}']").first)
    page.keyboard.press("Enter")
    expect(story).to_be_in_viewport()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    at(story, 3, 6)
    tab_to(here(story))
    page.keyboard.press("ArrowDown")
    at(story, 4, 6)
    expect(here(story)).to_be_focused()
    page.keyboard.press("End")
    at(story, 6, 6)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    at(story, 4, 6)
    tab_to(story.locator(".twx-moves button").nth(1))
    page.keyboard.press("Enter")
    at(story, 5, 5)
    assert page.evaluate("document.activeElement !== document.body"), "the focus is not lost with what had it"
    tab_to(story.get_by_role("button", name="Return to the original"), "Shift+Tab")
    page.keyboard.press("Enter")
    at(story, 6, 6)
    picture(story.locator(".twx"))


def test_arrow_keys_in_a_text_move_its_caret(page: Page, study: str) -> None:
    page.goto(f"{study}#{RACE}/3")
    story = section(page, RACE)
    page.get_by_label("Filter").fill("race")
    page.get_by_label("Filter").fill("")
    page.get_by_label("Filter").press("ArrowLeft")
    at(story, 3, 6)


def test_everything_has_a_name_and_ids_are_unique(page: Page, study: str) -> None:
    page.goto(f"{study}#{RACE}/5")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea, summary, [role=region], [role=group], [role=toolbar]')]"
        ".filter(one => !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels && one.labels.length))"
        ".map(one => one.outerHTML)"
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


# ------------------------------------------------------------------------------------------------------------- its looks


def test_dark(page: Page, study: str, picture: Callable[..., None]) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{study}#{RACE}/5")
    box = section(page, RACE).locator(".twx")
    expect(box).to_have_attribute("data-theme", "dark")
    assert box.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(13, 17, 23)"
    picture(box)
    page.emulate_media(color_scheme="light")
    expect(box).to_have_attribute("data-theme", "light")
    assert box.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 255, 255)"


def overflows(page: Page) -> list[str]:
    """What is wider than the window, and does not scroll by itself."""
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    return page.evaluate("""() => [...document.querySelectorAll('.twx *')].filter(one =>
        one.getClientRects().length && !one.closest('.twx-wide, .twx-line, .twx-outline, svg, pre, textarea')
        && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        && getComputedStyle(one).overflow !== 'hidden').map(one => one.outerHTML.slice(0, 200))""")


@pytest.mark.parametrize("width", [400, 700])
def test_a_narrow_window(page: Page, study: str, picture: Callable[..., None], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{study}#{LASSO}/4")
    story = section(page, LASSO)
    at(story, 4, 6)
    assert overflows(page) == []
    for row in story.locator(".twx-moves button").all():
        assert row.bounding_box()["x"] >= 0
    picture(story.locator(".twx"), str(width))


LONG = "a_rather_long_name_" * 6 + "'" + "x" * 200 + "'"


def long_story(times: int) -> str:
    """A page with a counterexample that goes round and round, with a value that is too long."""
    told = samples.story()
    steps = [replace(step, number=n + 1) for n, step in enumerate(told.steps * times)]
    document = explorer.told(replace(told, steps=tuple(steps), broken=LONG), "as_written")
    for step in document["steps"]:
        step["sql"], step["returned"] = LONG, [["value", LONG]]
        for _, table in step["patch"]["tables"]:
            table["rows"] = [[f"job {LONG}", [["id", "1"], [LONG, LONG], *((f"column{n}", LONG[:20]) for n in range(12))]]]
    bad = replace(samples.BAD, explored=json.dumps(document))
    return render(samples.report(samples.case("as_written", bad)))


@pytest.mark.parametrize("width", [400, 1300])
def test_forty_steps_and_long_values(page: Page, tmp_path: Path, picture: Callable[..., None], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(written(tmp_path, long_story(6)) + "#as_written/taken_once/39")
    story = section(page, "as_written/taken_once")
    at(story, 39, 42)
    expect(here(story)).to_be_visible()
    box, listed = here(story).bounding_box(), story.locator(".twx-steps").bounding_box()
    assert listed["y"] <= box["y"] < listed["y"] + listed["height"], "the step is in sight"
    assert overflows(page) == []
    picture(story.locator(".twx"), str(width))


def test_print_has_the_picture_and_no_buttons(page: Page, study: str) -> None:
    page.goto(study)
    page.emulate_media(media="print")
    story = section(page, RACE)
    expect(story.locator(".twx")).to_be_hidden()
    expect(story.locator(".picture svg")).to_be_visible()


def test_without_scripts_the_page_is_complete(chromium, study: str) -> None:
    context: BrowserContext = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(study)
    expect(section(page, RACE).locator(".picture svg")).to_be_visible()
    expect(page.locator("#filter")).to_be_hidden()
    context.close()


# ------------------------------------------------------------------------------------------------------------- the filter


def test_search(page: Page, study: str) -> None:
    page.goto(study)
    find = page.get_by_label("Filter")
    find.fill("GUARDED never_blocked")
    expect(page.locator(".story:visible")).to_have_count(1)
    expect(section(page, LASSO)).to_be_visible()
    find.fill("exists-GUARD")
    expect(page.locator(".verdicts tbody tr:visible")).to_have_count(1)
    find.fill("no such words")
    expect(page.locator(".story:visible")).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="nothing has these words")).to_be_visible()
    find.fill("")
    expect(page.locator(".story:visible")).to_have_count(4)


# ---------------------------------------------------------------------------------------------------------------- hostile

MARKUP = "</script ><script>document.title='taken'</script><!--<script ><img src=x onerror=document.title='taken'>"

HOSTILE = f"""
model: hostile
title: "{MARKUP}"
database: {{engine: postgresql, isolation: read committed}}
schema: |
  CREATE TABLE note (id SERIAL PRIMARY KEY, words TEXT NOT NULL);
domains:
  note.words: ["a", "{MARKUP}"]
data: |
  INSERT INTO note (words) VALUES ('a');
procedures:
  write:
    steps:
      - put: {{sql: "UPDATE note SET words = '{MARKUP.replace("'", "''")}'"}}
      - look: {{sql: "SELECT words FROM note WHERE words <> '{MARKUP.replace("'", "''")}'", into: seen}}
      - end: commit
scenarios:
  one: {{title: "{MARKUP}", processes: {{writer: {{run: write, crash: anywhere}}}}, bounds: {{note: 1}}}}
properties:
  quiet: {{title: "{MARKUP}", never: "SELECT words FROM note WHERE words <> 'a'"}}
"""


def test_a_hostile_specification_is_text(page: Page, tmp_path: Path) -> None:
    model = tmp_path / "hostile.model.yaml"
    model.write_text(HOSTILE, encoding="utf-8")
    page.goto(written(tmp_path, render(checked(model))) + "#one/quiet/3")
    story = section(page, "one/quiet")
    at(story, 3, 3)
    for number in range(4):
        story.locator(f".twx-row[data-at='{number}']").click()
        assert page.locator("img").count() == 0
    expect(story.locator(".twx-table td ins")).to_contain_text(MARKUP.replace("'", "''"))
    story.locator(".twx-row[data-at='0']").click()
    story.get_by_text("Keep, copy, restore this path").click()
    story.get_by_label("The path as text").fill(f"txweave path 1\n1. {MARKUP}")
    story.get_by_role("button", name="Restore", exact=True).click()
    expect(story.get_by_role("alert")).to_contain_text(MARKUP)
    assert page.title() == "txweave: 1 not as expected"
    assert page.evaluate("document.scripts.length") == 2


def test_the_browser_runs_no_script_but_the_pages_own(page: Page, tmp_path: Path, console: list[str]) -> None:
    foreign = '<script>document.body.id = "foreign"</script>'
    page.goto(written(tmp_path, render(samples.VIOLATED).replace("</body>", f"{foreign}</body>")))
    expect(page.locator(".twx")).to_have_count(1)
    assert page.evaluate("document.body.id") == ""
    assert len(console) == 1
    assert "Content Security Policy" in console.pop()


@pytest.mark.parametrize("kind", samples.KINDS)
def test_every_page_is_quiet(page: Page, tmp_path: Path, kind: str) -> None:
    page.goto(written(tmp_path, render(samples.KINDS[kind])))
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".twx")).to_have_count(page.locator(".story").count())
