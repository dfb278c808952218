"""The execution of a trial: planned, asked for, kept where it has begun, and compiled in earnest."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from analysis.cli import main
from sweeps.planning.cost import Price, price, try_out
from sweeps.planning.document import plan_text
from sweeps.planning.pace.rates import rates_of
from sweeps.planning.pace.way import ALONE, Way
from sweeps.planning.plan import plan
from sweeps.planning.show import show_price
from sweeps.running.drift import Drifted, refuse_drift
from sweeps.running.inline import train_inline
from sweeps.running.pack import train_pack
from sweeps.running.where import InProcess
from sweeps.spec import Sweep
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger
from sweeps.workers import Workers
from tests.unit.test_cost import quick
from trainers.config import TrialConfig
from trainers.engine.compiled import compiled_works
from trainers.engine.execution import Execution
from trainers.schema import InputError

EAGER = Execution()
ONE = quick(axes=[], replicates=3)


def left(ledger: Ledger, some: Sequence[TrialConfig], execution: Execution) -> None:
    """Begin these trials and stop them at their first report."""
    events = 0

    def stop() -> bool:
        return events > 0

    for _ in train_pack(
        ledger, some, execution=execution, device="cpu", save_every_s=60.0, should_stop=stop
    ):
        events += 1


def priced(ledger: Ledger, of: Sweep = ONE, **wanted: str | int) -> Price:
    return price(plan(of), ledger, device="cpu", workers=2, wanted=Workers().but(**wanted))


def train(ledger: Ledger, found: Price) -> None:
    train_inline(found.packs, ledger, found.plan.sweep.name, InProcess())


def executions(ledger: Ledger, of: Sweep = ONE) -> list[list[str]]:
    """Of the attempts of every trial."""
    return [
        [
            begun.fingerprint["execution"]
            for folder in ledger.trial(trial.key).attempts()
            if (begun := Attempt(folder).begun()) is not None
        ]
        for trial in plan(of).trials
    ]


def test_a_trial_that_has_begun_is_planned_as_it_began_and_the_others_as_is_best(tmp_path):
    ledger = Ledger(tmp_path)
    first, *_ = plan(ONE).trials
    left(ledger, [first.config], Execution(parts=2))
    found = priced(ledger)
    words = {each.trial.key: s.choice.execution.words for s in found.shapes for each in s.trials}
    assert words.pop(first.key) == "eager in 2 parts"
    assert set(words.values()) == {"eager"}
    assert sum(len(pack.trials) for pack in found.packs) == 3
    (line,) = [s.choice.line for s in found.shapes if s.choice.execution.parts == 2]
    assert line.startswith("alone, eager in 2 parts: as they began")
    train(ledger, found)
    assert executions(ledger) == [["eager in 2 parts"] * 2, ["eager"], ["eager"]]


def test_another_execution_than_that_of_a_checkpoint_is_drift(tmp_path):
    ledger = Ledger(tmp_path)
    keys = [trial.key for trial in plan(ONE).trials]
    left(ledger, [plan(ONE).trials[0].config], EAGER)
    refuse_drift(ledger, keys, trains_here=True)
    refuse_drift(ledger, keys, trains_here=True, mode="eager")
    with pytest.raises(Drifted, match=r"1 of the open .* a change of execution eager -> compiled"):
        refuse_drift(ledger, keys, trains_here=True, mode="compiled")
    with pytest.raises(Drifted, match="execution eager -> graphed"):
        refuse_drift(ledger, keys, trains_here=False, mode="graphed")


def test_what_is_asked_for_is_in_the_plan_and_in_its_document(tmp_path):
    found = priced(Ledger(tmp_path), pack=2, execution="eager")
    assert [pack.width for pack in found.packs] == [2]
    document = json.loads(plan_text(found))
    (shape,) = document["shapes"]
    assert (shape["width"], shape["execution"], shape["trials"]) == (2, "eager", 3)
    assert shape["why"].startswith("as asked")
    assert [(pack["width"], len(pack["trials"])) for pack in document["packs"]] == [(2, 3)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--execution", "graphed"], "expected a GPU for graphed"),
        (["--execution", "fast"], "--execution: expected 'auto', 'eager', 'compiled' or 'graphed'"),
        (["--set", "workers.execution=fast"], "workers.execution"),
        (["--set", "workers.pack=0"], "workers.pack"),
    ],
)
@pytest.mark.parametrize("command", [["plan"], ["launch", "--inline"]])
def test_an_execution_that_there_is_not_is_refused_in_one_line(
    tmp_path, capsys, command, options, words
):
    file, storage = tmp_path / "one.yaml", tmp_path / "storage"
    file.write_text(json.dumps(ONE.model_dump(mode="json"), indent=1))
    name, *more = command
    assert main([name, str(file), *more, "--storage", str(storage), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not storage.exists()


def test_compiled_steps_without_a_compiler_are_refused_and_never_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="a C\\+\\+ compiler"):
        priced(Ledger(tmp_path), execution="compiled")
    assert priced(Ledger(tmp_path)).untried == ()


LONG = quick(
    axes=[{"kind": "values", "field": "model.width", "values": [8, 16]}],
    replicates=4,
    trial={**ONE.model_dump(mode="json")["trial"], "budget": {"steps": 10_000_000}},
)


@pytest.mark.skipif(not compiled_works(), reason="needs a C++ compiler: apt install g++")
def test_where_much_is_left_a_launch_tries_compiled_steps_and_where_little_is_none_does(tmp_path):
    ledger = Ledger(tmp_path)
    assert priced(ledger).untried == ()
    long = priced(ledger, LONG)
    assert len(long.untried) == 2
    assert all(shape.choice.execution == EAGER for shape in long.shapes)  # until it is measured
    console = Console(width=100, record=True, file=io.StringIO())
    show_price(long, console)
    text = console.export_text()
    assert "a launch measures compiled steps of 2 shapes first" in " ".join(text.split())
    assert "at once, and why" in text


def test_compiled_steps_are_planned_as_they_were_measured(tmp_path):
    """The faster ones are chosen, with their preparation in the price; slower ones are not."""
    ledger, of = Ledger(tmp_path), LONG.model_copy(update={"replicates": 40})
    rates = rates_of(tmp_path, "cpu")
    narrow, wide = plan(of).trials[0], plan(of).trials[40]
    for trial, factor in ((narrow, 0.5), (wide, 2.0)):
        known = rates.of(trial.variant.stacks_with)
        known.measured.update({ALONE: 1e-3, Way(4): 5e-4, Way(8): math.inf, Way(16): math.inf})
        known.measured[Way(4, "compiled")] = factor * 5e-4
        known.prepared[Way(4, "compiled")] = 17.0
    found = price(plan(of), ledger, device="cpu", workers=2, rates=rates)
    fast, slow = found.shapes
    assert (fast.choice.way, slow.choice.way) == (Way(4, "compiled"), Way(4))
    assert "after 17 s of preparation" in fast.choice.line
    assert found.untried == ()
    prepared = [pack for pack in found.packs if pack.execution.mode == "compiled"]
    assert sum(pack.preparation_s for pack in prepared) == 17.0 * min(2, len(prepared))
    steps = sum(pack.seconds for pack in prepared) - sum(pack.preparation_s for pack in prepared)
    assert steps == pytest.approx(sum(each.seconds for each in fast.trials))


@pytest.mark.slow  # a minute or two: compiles a program
@pytest.mark.timeout(600)
@pytest.mark.skipif(not compiled_works(), reason="needs a C++ compiler: apt install g++")
def test_compiled_trials_give_the_same_bits_in_any_pack_and_go_on_compiled(tmp_path):
    """In a queue of two rows, stopped and resumed by a plan that would choose eager else."""
    whole, halves = Ledger(tmp_path / "whole"), Ledger(tmp_path / "halves")
    train(whole, priced(whole, execution="compiled", pack=2))
    configs = [trial.config for trial in plan(ONE).trials]
    left(halves, configs[:2], Execution("compiled"))
    train(halves, priced(halves, pack=2))
    assert [each[-1] for each in executions(halves)] == ["compiled", "compiled", "eager"]
    for config in configs[:2]:
        one, other = whole.trial(config.key()), halves.trial(config.key())
        assert one.points() != ()
        assert {p.step: p.values for p in one.points()} == {
            p.step: p.values for p in other.points()
        }
        assert one.outcome() == other.outcome()


@pytest.mark.slow  # half a minute: compiles a program for each of two shapes
@pytest.mark.timeout(600)
@pytest.mark.skipif(not compiled_works(), reason="needs a C++ compiler: apt install g++")
def test_what_was_tried_is_measured_kept_and_decides(tmp_path: Path):
    ledger = Ledger(tmp_path)
    found = priced(ledger, LONG)
    try_out(found)
    again = price(plan(LONG), ledger, device="cpu", workers=2, rates=found.rates)
    assert again.untried == ()
    for before, after in zip(found.shapes, again.shapes, strict=True):
        assert after.choice.seconds <= before.choice.seconds / 0.95
    kept = rates_of(tmp_path, "cpu")
    shape = again.shapes[0].trials[0].trial.variant.stacks_with
    assert any(way.mode == "compiled" for way in kept.of(shape).measured)
    assert kept.of(shape).prepared
