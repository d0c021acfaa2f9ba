"""A small system with a table, row locks and crashes, built by hand in the shape that the lowering gives: two workers each take
the one job.  Both read it before either has locked it, so that both take it."""

from __future__ import annotations

from txweave.system import expr as x
from txweave.system.expr import BOOL, Domain, Local
from txweave.system.ground import GroundSystem, ground
from txweave.system.sorted import Action, Fairness, Function, Point, Property, Rows, Sort, StepInfo, System, Update, Witness
from txweave.trace import Taken, Trace
from txweave.view import evaluate

STATES = ("new", "taken")
PLACES = ("start", "picked", "waits", "holds", "done", "crashed")


def pc(process: x.Expr) -> x.Expr:
    return x.apply("worker.pc", process)


def at(process: x.Expr, place: str) -> x.Expr:
    return x.equal(pc(process), x.const(place))


def put(function: str, index: x.Expr, sort: str, value: x.Expr) -> Update:
    """``function(index) := value``, elsewhere unchanged."""
    formal = x.local("f", sort)
    return Update(function, (formal,), x.ite(x.equal(formal, index), value, x.apply(function, formal)))


def action(name: str, step: str, before: str, after: str, *, guard=None, updates=(), kind="step", **info) -> Action:
    w = x.local("w", "worker")
    extra = guard(w) if guard else x.TRUE
    changes = (put("worker.pc", w, "worker", x.const(after)), *(u for f in updates for u in f(w)))
    described = {k: v(w) if callable(v) else v for k, v in info.items()}
    recurs = kind == "step"
    return Action(
        name,
        kind,
        w,
        (w,),
        x.conj(at(w, before), extra),
        changes,
        StepInfo("take_job", step, **described),
        "worker",
        recurs=recurs,
    )


JOB = x.const(x.Elem("job", 0))
WRITER = x.apply("job.writer", JOB)


def release(w: Local) -> list[Update]:
    formal = x.local("j", "job")
    writer = x.apply("job.writer", formal)
    return [Update("job.writer", (formal,), x.ite(x.equal(writer, w), x.NULL, writer))]


def publish(w: Local) -> list[Update]:
    formal = x.local("j", "job")
    mine = x.equal(x.apply("job.writer", formal), w)
    return [
        Update("job.state", (formal,), x.ite(mine, x.apply("job.state'", formal), x.apply("job.state", formal))),
        *release(w),
    ]


def write(w: Local) -> list[Update]:
    return [put("job.writer", JOB, "job", w), put("job.state'", JOB, "job", x.const("taken"))]


UPDATE = {
    "sql": "UPDATE job SET state = 'taken' -- not :this\nWHERE id = :job",
    "bindings": lambda w: (("job", x.apply("worker.job", w)),),
}


def system(crash: bool = True) -> System:
    a, b = x.local("a", "worker"), x.local("b", "worker")
    j = x.local("j", "job")
    actions = [
        action(
            "worker.pick",
            "pick",
            "start",
            "picked",
            updates=[lambda w: [put("worker.job", w, "worker", JOB)]],
            sql="SELECT id FROM job WHERE state = 'new'",
            results=(("job", JOB),),
            guard=lambda w: x.equal(x.apply("job.state", JOB), x.const("new")),
        ),
        action("worker.take", "take", "picked", "holds", guard=lambda w: x.equal(WRITER, x.NULL), updates=[write], **UPDATE),
        action(
            "worker.take waits",
            "take",
            "picked",
            "waits",
            guard=lambda w: x.neg(x.equal(WRITER, x.NULL)),
            updates=[lambda w: [put("worker.blocker", w, "worker", WRITER)]],
            outcome="waits",
            **UPDATE,
        ),
        action(
            "worker.take resumes",
            "take",
            "waits",
            "holds",
            guard=lambda w: x.equal(WRITER, x.NULL),
            updates=[write, lambda w: [put("worker.blocker", w, "worker", x.NULL)]],
            note="resumes",
            **UPDATE,
        ),
        action("worker.finish", "finish", "holds", "done", updates=[publish], sql="COMMIT"),
        action("worker.never", "give_up", "done", "start", guard=lambda w: x.FALSE),
    ]
    if crash:
        actions.append(
            action("crash", "", "holds", "crashed", updates=[release], kind="fault", note="crashes, its transaction rolls back")
        )
    both = Rows(("count",), (Witness((a, b), x.conj(x.less(a, b), at(a, "done"), at(b, "done")), (x.const(2),)),))
    new = Rows(("id",), (Witness((j,), x.equal(x.apply("job.state", j), x.const("new")), (j,)),))
    w = x.local("w", "worker")
    return System(
        name="jobs",
        sorts=(Sort("job", "rows", 1), Sort("worker", "processes", 2)),
        functions=(
            Function("job.live", ("job",), BOOL, True, about=("live", "job")),
            Function("job.state", ("job",), Domain(STATES), "new", about=("committed", "job", "state")),
            Function("job.state'", ("job",), Domain(STATES), "new", about=("pending", "job", "state")),
            Function("job.writer", ("job",), Domain(sorts=("worker",), nullable=True), None, about=("writer", "job")),
            Function("worker.pc", ("worker",), Domain(PLACES), "start", about=("pc", "worker")),
            Function("worker.job", ("worker",), Domain(sorts=("job",), nullable=True), None, about=("variable", "worker", "job")),
            Function("worker.blocker", ("worker",), Domain(sorts=("worker",), nullable=True), None, about=("blocker", "worker")),
        ),
        actions=tuple(actions),
        properties=(
            Property("taken_once", "never", both, title="A job is taken once"),
            Property("all_taken", "leads_to", new),
        ),
        fairness=(Fairness("worker", "weak", w, x.neg(at(w, "start"))),),
        finished=((w, x.disj(at(w, "done"), at(w, "crashed"))),),
        assumptions=("Workers crash finitely often.",),
        points=(
            Point("worker", "start", "idle", "take_job", "pick"),
            Point("worker", "picked", "running", "take_job", "take"),
            Point("worker", "waits", "running", "take_job", "take", "open", waiting=True),
            Point("worker", "holds", "running", "take_job", "finish", "open"),
            Point("worker", "done", "done"),
            Point("worker", "crashed", "crashed"),
        ),
    )


def run(system: GroundSystem, *names: str, loop: int | None = None, witness=None) -> Trace:
    """The trace that takes these ground actions."""
    by_name = {a.name: a for a in system.actions}
    state, steps = system.initial, []
    for name in names:
        chosen = by_name[name]
        assert evaluate(chosen.guard, state) is True, name
        values = list(state)
        for index, term in chosen.updates:
            values[index] = evaluate(term, state)
        state = tuple(values)
        steps.append(Taken(chosen, state))
    return Trace(system, tuple(steps), loop, witness)


ONE, TWO = "worker#1", "worker#2"
BOTH_TAKE = (
    f"worker.pick({ONE})",
    f"worker.pick({TWO})",
    f"worker.take({ONE})",
    f"worker.take waits({TWO})",
    f"worker.finish({ONE})",
    f"worker.take resumes({TWO})",
    f"worker.finish({TWO})",
)


def both_take() -> Trace:
    return run(ground(system()), *BOTH_TAKE, witness=(2,))


def none_takes() -> Trace:
    return run(ground(system()), f"worker.pick({ONE})", f"worker.take({ONE})", f"crash({ONE})", loop=3, witness=(x.Elem("job", 0),))
