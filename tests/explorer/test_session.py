"""The explorer without a browser: messages in, messages out."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import txweave as tw
from txweave import tracefile
from txweave.explorer.session import Session
from txweave.report import explorer as documents
from txweave.view import StateView

ROOT = Path(__file__).resolve().parents[2]
MODEL, GUARD = "specs/backfill.model.yaml", "specs/exists-guard.fix.yaml"
RACE, LASSO = "no_premature_completion", "never_blocked"
CRASH = "request 1: create_backfill.insert_run[1] (crash)"


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@cache
def found(name: str, *fixes: str) -> tw.Trace:
    trace = tw.check(tw.load(MODEL).with_fix(*fixes), properties=name, engine="explicit")[name].trace
    assert trace is not None
    return trace


def race(*against: str) -> Session:
    return tw.explore(found(RACE), *against).session


def lasso() -> Session:
    return tw.explore(found(LASSO, GUARD)).session


def labels(session: Session) -> list[str]:
    return [line.partition(". ")[2] for line in session.text.splitlines() if line[0].isdigit()]


def does(session: Session, do: str, **more: object) -> dict:
    reply = session.handle({"id": 7, "do": do, **more})
    assert reply["id"] == 7
    assert "error" not in reply, reply
    return reply


def refused(session: Session, do: str, **more: object) -> str:
    before = (session.text, session.watches, json.dumps(session.document()))
    reply = session.handle({"do": do, **more})
    assert (session.text, session.watches, json.dumps(session.document())) == before, "nothing has changed"
    return reply["error"]


# ---------------------------------------------------------------------------------------------------------- the document


def plain(view: StateView) -> dict:
    return documents.state(view)


def patched(state: dict, patch: dict) -> dict:
    tables, processes = list(state["tables"]), list(state["processes"])
    for number, table in patch["tables"]:
        tables[number] = table
    for number, process in patch["processes"]:
        processes[number] = process
    return {"tables": tables, "processes": processes, "bound": patch["bound"]}


def test_the_document_has_every_state_and_every_move() -> None:
    session = race()
    shown = json.loads(json.dumps(session.document()))
    state, story = shown["initial"], found(RACE).story
    for step, told in zip(shown["steps"], story.steps, strict=True):
        state = patched(state, step["patch"])
        assert state == plain(told.state)
        assert (step["actor"], step["step"], step["sql"]) == (told.actor, told.step, told.sql)
    assert len(shown["moves"]) == len(shown["truths"]) == len(story.steps) + 1
    for number, step in enumerate(shown["steps"]):
        assert [move["label"] for move in shown["moves"][number] if move["taken"]] == [step["label"]]
    assert [move["label"] for move in shown["moves"][3]] == [
        "request 2: create_backfill.count_active (ok)",
        "request 1: create_backfill.insert_run[1] (ok)",
        CRASH,
        "scheduler: mark_complete.find (ok)",
    ]
    assert (shown["property"], shown["common"], shown["original"], shown["undo"]) == (RACE, 6, 6, False)


def test_why_it_breaks_and_which_steps_that_is_about() -> None:
    session = race()
    story = found(RACE).story
    assert story.why is not None
    assert session.document()["why"][0] == [story.why.reasons[0].text, list(story.why.reasons[0].steps)]
    assert session.document()["why"][-1] == [story.why.order_text, [3, 4]]
    does(session, "take", at=3, label=CRASH)
    assert session.document()["why"] == [], "a path that breaks nothing has no reasons"


def test_where_a_process_is_in_its_procedure_can_be_found() -> None:
    shown = race().document()
    outlines, roles = dict(shown["outlines"]), dict(shown["roles"])
    assert [step[0] for step in outlines["create_backfill"]][:4] == ["count_active", "refuse", "reject", "insert_backfill"]
    assert [step[1] for step in outlines["create_backfill"]][:4] == [0, 0, 1, 0], "how deep"
    assert roles["scheduler"] == ["mark_complete"]
    for step in shown["steps"]:
        for _, process in step["patch"]["processes"]:
            if process["step"]:
                assert process["step"].split("[")[0] in [one[0] for one in outlines[process["procedure"]]]


def test_what_is_true_along_the_path() -> None:
    shown = race().document()
    names = [item["name"] for item in shown["properties"]]
    told = {name: [line[number]["status"] for line in shown["truths"]] for number, name in enumerate(names)}
    assert told[RACE] == ["holds"] * 6 + ["broken"]
    assert told[LASSO] == ["holds"] * 3 + ["owed"] * 3 + ["holds"]
    assert shown["truths"][6][0]["rows"] == [["1"]], "the row that breaks it"
    assert shown["truths"][4][2]["words"] == "since step 3"
    loop = lasso().document()
    assert [line[2]["status"] for line in loop["truths"]] == ["holds"] * 3 + ["owed"] + ["broken"] * 3
    assert loop["loop"] == 4


# -------------------------------------------------------------------------------------------------------------- the path


def test_take_another_move_and_go_on() -> None:
    session = race()
    assert does(session, "take", at=3, label=CRASH) == {"id": 7, "at": 4}
    assert labels(session) == [*labels(race())[:3], CRASH]
    shown = session.document()
    assert (shown["common"], shown["property"], shown["undo"]) == (3, "", True)
    assert does(session, "take", at=4, label="scheduler: mark_complete.find (ok)")["at"] == 5
    assert does(session, "take", at=4, label="scheduler: mark_complete.find (ok)")["at"] == 5, "the path goes on so already"
    assert len(session.path) == 5
    assert does(session, "undo")["at"] == 3
    assert len(session.path) == 4
    does(session, "original")
    assert session.text == race().text
    does(session, "undo")
    assert labels(session)[-1] == CRASH


def test_the_path_itself_is_followed_and_not_cut() -> None:
    session = race()
    assert does(session, "take", at=2, label="request 1: create_backfill.publish (ok)")["at"] == 3
    assert (len(session.path), session.path.shows) == (6, RACE)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"do": "take", "at": 0, "label": CRASH}, f"this cannot be done here: {CRASH}"),
        ({"do": "take", "at": 9, "label": CRASH}, "the path has no step 9"),
        ({"do": "take", "at": True, "label": CRASH}, "the path has no step True"),
        ({"do": "take"}, "the path has no step None"),
        ({"do": "undo"}, "there is no earlier path"),
        ({"do": "tkae"}, "the explorer cannot do 'tkae': did you mean 'take'?"),
        ({}, "the explorer cannot do None"),
        ({"do": "ask", "at": 0, "property": "never_bloked"}, "there is no property 'never_bloked': did you mean 'never_blocked'?"),
        ({"do": "beside", "at": 0, "name": "x"}, "there is no composition 'x' to compare with"),
        ({"do": "unwatch", "at": 0, "number": 0}, "there is no watch 0"),
        ({"do": "watch", "at": 0, "sql": "SELECT id FROM backfil"}, "did you mean 'backfill'?"),
        ({"do": "watch", "at": 0, "sql": "DELETE FROM backfill"}, "error Q3"),
        ({"do": "watch", "at": 0, "sql": ""}, "error Q3"),
        ({"do": "save", "file": "path.json"}, "call it *.trace.json"),
        ({"do": "restore", "text": ""}, "a path begins with the line 'txweave path 1'"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(message: dict, words: str) -> None:
    assert words in refused(race(), **({"do": None} | message))


def test_an_error_of_our_own_is_shown_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("oops")

    monkeypatch.setattr("txweave.explorer.session.ask", broken)
    assert refused(race(), "ask", at=0, property=RACE).startswith("internal error: RuntimeError: oops")


def test_out_of_bounds_is_the_end() -> None:
    text = Path(MODEL).read_text(encoding="utf-8").replace("bounds: {backfill: 2,", "bounds: {backfill: 1,")
    session = tw.explore(text).session
    for _ in range(3):
        does(session, "take", at=len(session.path), label=session.possible.moves(session.path.trace.states[-1])[0].label)
    walked = session
    while not any(move.told.state.bound for move in walked.possible.moves(walked.path.trace.states[-1])):
        state = walked.path.trace.states[-1]
        request = next(m for m in walked.possible.moves(state) if "request" in m.label and "crash" not in m.label)
        does(walked, "take", at=len(walked.path), label=request.label)
    out = next(m for m in walked.possible.moves(walked.path.trace.states[-1]) if m.told.state.bound)
    at = does(walked, "take", at=len(walked.path), label=out.label)["at"]
    shown = walked.document()
    assert shown["steps"][-1]["patch"]["bound"] == "backfill"
    assert shown["moves"][-1] == []
    assert {truth["status"] for truth in shown["truths"][-1]} == {"unknown"}
    assert does(walked, "ask", at=at, property=RACE)["answer"] == "unknown"
    assert "out of bounds" in refused(walked, "save", file="x.trace.json")
    assert "cannot be done" in refused(walked, "take", at=at, label=out.label)


# ----------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize("make", [race, lasso], ids=["race", "lasso"])
def test_a_path_is_text_and_back(make) -> None:
    session, other = make(), tw.explore(tw.load(MODEL).with_fix(GUARD) if make is lasso else MODEL).session
    assert does(session, "text")["text"] == session.text
    reply = does(other, "restore", text=session.text)
    assert (other.text, other.path.trace.loop, other.path.shows) == (session.text, session.path.trace.loop, session.path.shows)
    assert reply == {"id": 7, "at": 0}


def test_a_path_of_something_else_says_so() -> None:
    session = race()
    assert (
        "written for two_requests with a fix"
        in does(session, "restore", text=session.text.replace("two_requests", "two_requests with a fix"))["note"]
    )


GOOD = """txweave path 1
1. request 1: create_backfill.count_active (ok)
2. request 1: create_backfill.insert_backfill (ok)
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("path 1", "path 2"), "begins with the line"),
        (GOOD.replace("insert_backfill", "publish"), "line 3: not possible here: request 1: create_backfill.publish (ok)"),
        (GOOD + "and so on", "line 4: this is no line of a path: and so on"),
        (GOOD + f"shows: {RACE}\n", "the path does not violate no_premature_completion: no row shows it"),
        (GOOD + "shows: nothing\n", "there is no property 'nothing'"),
        (GOOD + "loop: from step 3\n", "line 4: a loop is `from step N`"),
        (GOOD + f"shows: {LASSO}\nloop: from step 1\n", "the loop does not come back"),
        (GOOD + "loop: nothing moves\n", "a path with a loop says which property"),
        (GOOD + f"shows: {LASSO}\nloop: nothing moves\n", "does not violate never_blocked"),
        (GOOD + "of: a\nof: b\n", "line 5: this is no line of a path: of: b"),
        (GOOD + "loop: nothing moves\n3. x\n", "line 5: the loop is the last line"),
    ],
)
def test_a_text_that_is_no_path(text: str, words: str) -> None:
    assert words in refused(race(), "restore", text=text)


def test_a_path_as_a_trace_file(tmp_path: Path) -> None:
    file = tmp_path / "p.trace.json"
    session = lasso()
    assert does(session, "save", file=str(file))["saved"] == str(file)
    again = tracefile.load(file)
    assert (again.file.property, again.trace.loop, again.notes) == (LASSO, 4, ())
    other = race()
    does(other, "take", at=3, label=CRASH)
    other.save(file)
    assert [step.outcome for step in tracefile.load(file).file.steps] == ["ok", "ok", "ok", "crash"]


def test_what_stands_in_no_file_has_no_trace_file(tmp_path: Path) -> None:
    model = tw.load(MODEL).with_fix(Path(GUARD).read_text(encoding="utf-8"))
    assert "<fix> is none" in refused(tw.explore(model).session, "save", file=str(tmp_path / "p.trace.json"))
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------- questions


def test_yes_with_the_shortest_way_from_here() -> None:
    session = race()
    reply = does(session, "ask", at=0, property="one_active_backfill")
    assert (reply["answer"], reply["words"], reply["at"]) == ("yes", "yes: 6 steps from here", 0)
    assert len(session.path) == 6, "as long as the check says"
    assert session.path.shows == "one_active_backfill"
    does(session, "original")
    reply = does(session, "ask", at=4, property=RACE)
    assert reply["words"] == "yes: 2 steps from here"
    assert labels(session)[:4] == labels(race())[:4], "what was before stays"
    assert does(session, "ask", at=6, property=RACE)["words"] == "yes: it is broken here"


def test_no_and_not_known() -> None:
    session = race()
    does(session, "take", at=3, label=CRASH)
    reply = does(session, "ask", at=4, property=LASSO)
    assert reply["answer"] == "no"
    assert reply["words"].startswith("no: every run from here on answers it (")
    limited = tw.explore(found(RACE), max_states=5).session
    reply = does(limited, "ask", at=0, property=RACE)
    assert (reply["answer"], reply["words"]) == ("unknown", "not known: max-states (5 states)")
    assert len(limited.path) == 6, "nothing has changed"


def test_no_counts_the_states_that_can_follow() -> None:
    guarded = tw.explore(tw.load(MODEL).with_fix(GUARD)).session
    assert does(guarded, "ask", at=0, property=RACE)["words"] == "no: none of the 6,030 states from here on breaks it"


def test_a_lasso_goes_on_from_here() -> None:
    guarded = tw.explore(tw.load(MODEL).with_fix(GUARD)).session
    for label in labels(lasso())[:2]:
        does(guarded, "take", at=len(guarded.path), label=label)
    assert does(guarded, "ask", at=2, property=LASSO)["words"] == "yes: 2 steps from here, then a loop of 2 steps"
    assert guarded.path.trace.loop == 4


LOST = """
model: lost
database: {engine: postgresql, isolation: read committed}
schema: |
  CREATE TABLE job (id SERIAL PRIMARY KEY, state TEXT NOT NULL);
domains: {job.state: [new, lost, done]}
data: |
  INSERT INTO job (state) VALUES ('new');
procedures:
  lose: {steps: [{drop: {sql: "UPDATE job SET state = 'lost' WHERE state = 'new'"}}, {end: commit}]}
  work: {steps: [{finish: {sql: "UPDATE job SET state = 'done' WHERE state = 'new'"}}, {end: commit}]}
scenarios:
  one: {processes: {loser: {run: lose, fair: weak}, worker: {run: work, fair: weak}}, bounds: {job: 1}}
properties:
  answered:
    whenever: SELECT id FROM job WHERE state = 'new'
    eventually: SELECT id FROM job WHERE state = 'done'
  can_finish: {always_possible: "SELECT id FROM job WHERE state = 'done'"}
"""


def test_what_is_owed_from_before_counts() -> None:
    session = tw.explore(LOST).session
    for _ in range(2):
        does(
            session,
            "take",
            at=len(session.path),
            label=next(m.label for m in session.possible.moves(session.path.trace.states[-1]) if "lose" in m.label),
        )
    statuses = [[truth["status"] for truth in line] for line in session.document()["truths"]]
    assert statuses == [["owed", "not now"]] * 3, "the job is not new any more, and its answer is still owed"
    reply = does(session, "ask", at=2, property="answered")
    assert (reply["answer"], session.path.trace.loop) == ("yes", len(session.path))
    assert does(session, "ask", at=2, property="can_finish")["words"] == "yes: it is broken here"
    done = tw.explore(LOST).session
    for _ in range(2):
        does(
            done,
            "take",
            at=len(done.path),
            label=next(m.label for m in done.possible.moves(done.path.trace.states[-1]) if "work" in m.label),
        )
    assert [truth["status"] for truth in done.document()["truths"][-1]] == ["holds", "possible"]
    assert does(done, "ask", at=2, property="answered")["answer"] == "no"


# --------------------------------------------------------------------------------------------------------------- watches


def test_watch_expressions() -> None:
    session = race()
    before = session.text
    does(session, "watch", at=0, sql="SELECT count(*) FROM backfill WHERE NOT completed")
    does(session, "watch", at=0, sql="SELECT id, active FROM request WHERE status = 'running'")
    count, running = session.document()["watches"]
    assert (count["columns"], count["rows"]) == (["count"], [[["0"]]] * 3 + [[["1"]]] * 3 + [[["0"]]])
    assert running["rows"][0] == []
    assert running["rows"][1:] == [[["request 1", "0"]]] * 6, (
        "a variable that nothing reads any more is kept for whoever watches it"
    )
    assert (session.text, session.path.shows) == (before, RACE)
    assert [item["name"] for item in session.document()["properties"]] == [RACE, "one_active_backfill", LASSO]
    assert "watched already" in refused(session, "watch", at=0, sql="SELECT count(*) FROM backfill WHERE NOT completed")
    does(session, "unwatch", at=0, number=0)
    assert [watch["sql"] for watch in session.document()["watches"]] == ["SELECT id, active FROM request WHERE status = 'running'"]


def test_a_watch_keeps_lassos_branches_and_what_was_before() -> None:
    session = lasso()
    whole = session.text
    does(session, "take", at=2, label="scheduler: mark_complete.find (ok)")
    branch = session.text
    session.watch("SELECT id FROM backfill")
    assert session.text == branch
    does(session, "undo")
    assert session.text == whole
    assert does(session, "ask", at=0, property=LASSO)["answer"] == "yes"


# -------------------------------------------------------------------------------------------------------------- beside


def test_the_same_interleaving_under_a_fix() -> None:
    session = race(GUARD)
    assert session.document()["others"] == ["exists-guard"]
    assert session.document()["beside"] is None
    does(session, "beside", at=0, name="exists-guard")
    beside = session.document()["beside"]
    (separation,) = (s for s in tw.compare(MODEL, GUARD, properties=RACE).separations)
    (parting,) = separation.partings
    assert beside["parts"] == list(parting.reasons)
    assert [same for _, same in beside["steps"]] == [item.same for item in parting.aligned]
    state = beside["initial"]
    for patch, item in zip(beside["patches"], parting.aligned, strict=True):
        state = patched(state, patch)
        assert state == plain(item.there[-1].state)
    assert beside["steps"][-1][0] == ["scheduler: find, finished = {}"]
    does(session, "beside", at=0, name="")
    assert session.document()["beside"] is None


def test_a_run_that_breaks_both() -> None:
    session = tw.explore(found("one_active_backfill"), GUARD).session
    does(session, "beside", at=0, name="exists-guard")
    beside = session.document()["beside"]
    assert beside["parts"] is None
    assert dict(beside["truths"][-1])["one_active_backfill"]["status"] == "broken"


# ------------------------------------------------------------------------------------------------------------ the library


def test_what_can_be_explored() -> None:
    model = tw.load(MODEL)
    assert labels(tw.explore(model).session) == []
    assert tw.explore(found(RACE)).path == found(RACE).explore().path
    guarded = tw.check(model.with_fix(GUARD), properties=RACE, engine="explicit")
    with pytest.raises(tw.Usage, match="no_premature_completion has no counterexample: holds"):
        tw.explore(guarded[RACE])
    with pytest.raises(tw.Usage, match="one scenario already"):
        tw.explore(found(RACE), scenario="two_requests")
    with pytest.raises(tw.Usage, match="no fix is compared with itself"):
        tw.explore(found(RACE), model)
    with pytest.raises(tw.Usage, match="check the composition by itself"):
        tw.explore(tw.compare(model, GUARD, properties=RACE)["no fix"][RACE])
    with pytest.raises(tw.Usage, match="not possible here"):
        tw.explore(model).restore("txweave path 1\n1. worker: x (ok)\n")
    both = tw.explore(model.with_fix(GUARD), model).session
    assert [other.name for other in both.others] == ["no fix"]
    assert both.heading == "two_requests with exists-guard"


def test_the_widget_is_a_thin_skin() -> None:
    shown = tw.explore(found(RACE))
    widget, sent = shown.widget, []
    widget.send = lambda message: sent.append(message)
    widget._asked(None, {"id": "a", "do": "take", "at": 3, "label": CRASH}, [])
    widget._asked(None, {"id": "b", "do": "take", "at": 99, "label": CRASH}, [])
    assert sent == [{"id": "a", "at": 4}, {"id": "b", "error": "the path has no step 99"}]
    assert len(widget.document["steps"]) == 4
    shown.watch("SELECT id FROM backfill")
    assert len(widget.document["watches"]) == 1, "what Python does is shown as well"
    data, _ = shown._repr_mimebundle_()
    assert data["text/plain"] == shown.path.rstrip()
    assert "application/vnd.jupyter.widget-view+json" in data


def test_a_stored_notebook_has_the_picture() -> None:
    data, _ = found(RACE).explore()._repr_mimebundle_()
    assert data["image/svg+xml"].startswith("<svg ")


def test_without_anywidget_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import txweave.explorer.widget as skin

    skin._kind.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    with pytest.raises(tw.Usage, match=r"pip install 'txweave\[jupyter\]'"):
        _ = tw.explore(MODEL).widget
