from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from txweave.check import Options, run_case
from txweave.collect import Choice, collect
from txweave.report.picture import GLYPH, picture
from txweave.report.story import Story

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@cache
def story(path: str, case: str, name: str) -> Story:
    chosen = collect([path], Choice(cases=(case,))).cases[0]
    found = run_case(chosen, Options(engine="explicit", properties=(name,))).properties[0].story
    assert found is not None
    return found


def premature() -> Story:
    return story("specs/two-commits.study.yaml", "as_written", "no_premature_completion")


def orphan() -> Story:
    return story("specs/two-commits.study.yaml", "guarded", "never_blocked")


def starved() -> Story:
    return story("specs/transfer/transfer.study.yaml", "begun_again", "it_ends")


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def texts(root: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def of_class(root: ET.Element, kind: str) -> list[ET.Element]:
    return [element for element in root.iter() if kind in (element.get("class") or "").split()]


@pytest.mark.parametrize("told", [premature, orphan, starved])
def test_every_step_with_its_words(told) -> None:
    found = told()
    shown = texts(drawn(picture(found)))
    for step in found.steps:
        assert str(step.number) in shown
        assert any(step.step in line for line in shown)
    assert any(line.startswith("✗ ") for line in shown)
    together = re.sub(r"\s+", " ", " ".join(shown))
    for query in found.queries:
        assert " ".join(query.sql.split()) in together


@pytest.mark.parametrize("told", [premature, orphan, starved])
def test_nothing_leaves_the_picture(told) -> None:
    root = drawn(picture(told(), "a title"))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    for element in root.iter(f"{SVG}text"):
        if "transform" in element.attrib or element.get("text-anchor") == "middle":
            continue
        end = float(element.get("x", 0)) + GLYPH * len("".join(element.itertext()))
        assert end <= width, "".join(element.itertext())
        assert float(element.get("y", 0)) <= height


def test_old_and_new_values() -> None:
    root = drawn(picture(premature()))
    assert [e.text for e in of_class(root, "old")] == ["FALSE"]
    assert {"TRUE", "FALSE", "+ backfill 1"} <= {e.text for e in of_class(root, "new")}
    assert len([e for e in of_class(root, "badground") if not of_class(e, "patch")]) == 1
    assert not of_class(root, "loop")


def test_a_line_does_not_strike_out_the_words_that_it_passes() -> None:
    found = premature()
    root = drawn(picture(found))
    links = {e.get("y1") for e in of_class(root, "link")}
    assert len(links) == len(of_class(root, "patch")) == sum(bool(step.changes) for step in found.steps)
    assert {e.get("text-anchor") for e in root.iter(f"{SVG}text")} == {"start", "middle"}


def test_a_lasso_is_drawn_as_a_loop_and_a_crash_ends_its_lane() -> None:
    root = drawn(picture(orphan()))
    assert of_class(root, "loop")
    assert "for ever" in texts(root)
    assert not of_class(root, "badground")
    lanes = {(e.get("x1"), e.get("y2")) for e in of_class(root, "lane")}
    assert len({end for _, end in lanes}) == 2, "the crashed process's lane ends where it crashed, the scheduler's goes on"
    assert len(of_class(root, "fault")) == 1


def test_waiting_is_hatched_and_an_aborted_transaction_is_marked() -> None:
    root = drawn(picture(starved()))
    # `there` waits from step 3 on, `back` between steps 4 and 5.
    assert len(of_class(root, "waits")) == 2
    assert len(of_class(root, "aborted")) == 1


def test_folded_steps_share_a_line() -> None:
    whole, folded = drawn(picture(premature())), drawn(picture(premature(), fold=(1, 2, 4)))
    assert float(folded.get("viewBox", "").split()[3]) < float(whole.get("viewBox", "").split()[3])
    shown = texts(folded)
    assert "… 1 to 2: request 1" in shown
    assert "… 4: scheduler" in shown
    assert "publish" in shown
    assert "count_active" not in shown
    # The transaction is open at the same places: what is folded is hidden, not forgotten.
    assert len(of_class(folded, "bar")) == len(of_class(whole, "bar"))


def test_markup_in_a_specification_is_text() -> None:
    evil = "<script>alert(1)</script>"
    first, *rest = premature().steps
    told = replace(premature(), title=evil, steps=(replace(first, sql=evil, step=evil), *rest), broken=evil)
    text = picture(told, evil)
    assert "<script" not in text
    assert any(evil in line for line in texts(drawn(text)))


def test_a_story_without_steps() -> None:
    told = replace(premature(), steps=())
    assert any(line.startswith("✗ ") for line in texts(drawn(picture(told))))


def test_the_pictures_of_the_documentation_are_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specification = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert specification is not None
    assert specification.loader is not None
    pictures = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(pictures)
    (tmp_path / "docs").mkdir()
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    monkeypatch.setattr(pictures, "ROOT", tmp_path)
    pictures.main()
    for name in pictures.PICTURES:
        assert (tmp_path / "docs" / name).read_text() == (ROOT / "docs" / name).read_text(), "run: python docs/pictures.py"
