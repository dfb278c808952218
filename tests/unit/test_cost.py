"""What a plan costs: packs, pace that is measured or learned, limits, room, and who shares a trial."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.cli import main
from sweeps.planning.cost import Price, PricedTrial, learn_from, price, refuse_beyond_limits
from sweeps.planning.document import plan_text
from sweeps.planning.pace.rates import Known, expected, rates_of
from sweeps.planning.pace.way import Way
from sweeps.planning.plan import plan
from sweeps.planning.room import disk_bytes
from sweeps.planning.show import show_price
from sweeps.running.inline import train_inline
from sweeps.running.pack import train_pack
from sweeps.running.where import InProcess
from sweeps.spec import SpecError, Sweep, resolved_text
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger
from tests.unit.test_plan import TRIAL, sweep
from trainers.result import Event

QUICK = {
    **TRIAL,
    "task": {"kind": "gcd", "largest": 99, "top_class": 5},
    "budget": {"steps": 10},
    "evaluation": {"points": 2, "examples": 8, "class_examples": 1},
}


def priced(ledger: Ledger, of: Sweep | None = None) -> Price:
    return price(plan(of or sweep()), ledger, device="cpu", workers=2)


def quick(**changes: Any) -> Sweep:
    """A sweep whose trials take no time."""
    return sweep(**{"trial": QUICK, **changes})


def trained(ledger: Ledger, of: Sweep, packs: int = 10**6) -> None:
    """Train the first packs of a sweep here."""
    planned = plan(of)
    records = [trial.record() for trial in planned.trials]
    ledger.sweep(of.name).write_plan(resolved_text(of), records)
    left = price(planned, ledger, device="cpu", workers=2).packs
    train_inline(left[:packs], ledger, of.name, InProcess())


def together(ledger: Ledger, *packs: Sequence[PricedTrial]) -> None:
    """Train these packs in this process, one after the other."""
    for pack in packs:
        configs = [each.trial.config for each in pack]
        for _ in train_pack(ledger, configs, device="cpu", save_every_s=60.0, should_stop=bool):
            pass


def test_a_plan_covers_every_open_trial_in_exactly_one_pack(tmp_path):
    found = priced(Ledger(tmp_path))
    packed = [each.trial.key for pack in found.packs for each in pack.trials]
    assert sorted(packed) == sorted(each.trial.key for each in found.trials)
    for pack in found.packs:
        assert len({each.trial.config.stacks_with() for each in pack.trials}) == 1
    seconds = [pack.seconds for pack in found.packs]
    assert seconds == sorted(seconds, reverse=True)
    assert 0 < max(seconds) <= found.seconds <= sum(seconds)
    assert found.device_hours == pytest.approx(sum(seconds) / 3600)


def test_planning_writes_nothing_where_there_is_no_storage(tmp_path):
    priced(Ledger(tmp_path / "absent"))
    assert list(tmp_path.iterdir()) == []


def test_measured_rates_are_remembered_in_the_storage(tmp_path):
    first = priced(Ledger(tmp_path))
    (remembered,) = Path(tmp_path, "rates").iterdir()
    before = json.loads(remembered.read_text())
    second = priced(Ledger(tmp_path))
    assert json.loads(remembered.read_text()) == before
    assert [each.seconds for each in second.trials] == [each.seconds for each in first.trials]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"shapes": 3}', "\0", '{"measured": {}, "trials": []}']
)
def test_a_file_of_rates_that_cannot_be_read_is_measured_anew(tmp_path, text):
    priced(Ledger(tmp_path))
    (remembered,) = Path(tmp_path, "rates").iterdir()
    remembered.write_text(text)
    assert rates_of(tmp_path, "cpu").shapes == {}


def test_what_is_finished_costs_nothing_and_is_in_no_pack(tmp_path):
    ledger = Ledger(tmp_path)
    trained(ledger, quick(), packs=1)
    again = priced(ledger, quick())
    states = {each.state for each in again.trials}
    assert states == {"new", "finished"}
    for each in again.trials:
        assert (each.seconds == each.flops_left == 0) == (each.state == "finished")
    packed = {each.trial.key for pack in again.packs for each in pack.trials}
    assert packed == {each.trial.key for each in again.trials if each.state == "new"}


def test_what_is_begun_goes_first_though_less_is_left_of_it(tmp_path):
    ledger = Ledger(tmp_path)
    last = priced(ledger, quick()).packs[-1].trials[-1].trial
    events: list[Event] = []
    for event in train_pack(
        ledger,
        [last.config],
        device="cpu",
        save_every_s=60.0,
        should_stop=lambda: bool(events),
    ):
        events.append(event)  # noqa: PERF402 - the first one stops it
    first = priced(ledger, quick()).packs[0].trials[0]
    assert (first.trial.key, first.state, first.steps_done) == (last.key, "resumable", 5)


def test_the_pace_of_finished_trials_beats_a_measurement_also_in_another_sweep(tmp_path):
    ledger = Ledger(tmp_path)
    axes = [{"kind": "values", "field": "encoding.base", "values": [6]}]
    first = quick(axes=axes)
    before = priced(ledger, first)
    assert before.learned == 0
    together(ledger, [before.trials[0]], [before.trials[1]])
    learn_from(before, ledger, device="cpu")
    spent = 0.0
    for each in before.trials:
        folder = ledger.trial(each.trial.key)
        begun, ended = Attempt(folder.attempts()[0]).begun(), folder.ended()
        assert begun is not None
        assert ended is not None
        spent += (ended.time_ms - begun.time_ms) / 1000
    other = priced(ledger, sweep(name="other", axes=axes, trial={**QUICK, "seed": 50}))
    assert other.learned == len(other.open) == 2
    assert all(each.state == "new" for each in other.trials)
    if all(len(pack.trials) == 1 for pack in other.packs):
        assert sum(each.seconds for each in other.trials) == pytest.approx(spent)


def test_a_pack_says_how_fast_its_trials_train_beside_each_other(tmp_path):
    ledger = Ledger(tmp_path)
    one = quick(axes=[], replicates=6)
    first, second, *others = priced(ledger, one).trials
    together(ledger, [first], [second], others)
    found = priced(ledger, one)
    assert found.rates is not None
    seen = found.rates.of(first.trial.variant.stacks_with).seen
    assert {way: len(seconds) for way, seconds in seen.items()} == {Way(1): 2, Way(4): 4}
    again = priced(ledger, one)
    assert again.rates is not None
    assert again.rates.of(first.trial.variant.stacks_with).seen == seen  # each is learned from once


def test_what_finished_packs_took_says_how_slow_the_other_ways_are():
    ladder = {Way(1): 1.0, Way(4): 0.5, Way(16): 0.4}
    assert expected(ladder, Known(), 2.0) == {Way(1): 2.0, Way(4): 1.0, Way(16): 0.8}
    known = Known(seen={Way(4): [1.0, 9.0, 1.5]})
    found = expected(ladder, known, 2.0)
    assert found == {Way(1): 3.0, Way(4): 1.5, Way(16): pytest.approx(1.2)}


@pytest.mark.parametrize(
    ("limits", "exceeded"),
    [
        ({}, []),
        ({"trials": 12, "flops": 1e18, "gpu_hours": 100}, []),
        ({"trials": 11}, ["budget.trials: expected at most 11 left to train, got 12, 1 too many"]),
        ({"trials": 1, "flops": 1}, ["budget.flops", "budget.trials"]),
        ({"gpu_hours": 1e-9}, ["budget.gpu_hours: expected at most 1e-09 left to train, got"]),
    ],
)
def test_limits_say_by_how_much_they_are_exceeded(tmp_path, limits, exceeded):
    found = priced(Ledger(tmp_path), sweep(budget=limits))
    assert len(found.exceeded) == len(exceeded)
    for text, beginning in zip(found.exceeded, exceeded, strict=True):
        assert text.startswith(beginning)
    if exceeded:
        assert list(tmp_path.iterdir()) == []  # a launch that is refused writes nothing
        with pytest.raises(SpecError) as refused:
            refuse_beyond_limits(found)
        assert refused.value.place == ("budget",)
        assert "\n" not in str(refused.value)
    else:
        refuse_beyond_limits(found)


def test_a_launch_beyond_a_limit_is_refused_in_one_line_and_writes_nothing(tmp_path, capsys):
    file, storage = tmp_path / "big.yaml", tmp_path / "storage"
    file.write_text(json.dumps(quick(budget={"trials": 3}).model_dump(mode="json"), indent=1))
    assert main(["launch", str(file), "--inline", "--storage", str(storage)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "budget.trials: expected at most 3 left to train, got 12, 9 too many" in line
    assert not storage.exists()


def test_finished_trials_do_not_count_against_a_limit(tmp_path):
    ledger = Ledger(tmp_path)
    trained(ledger, quick(replicates=1))
    left = sum(trial.flops for trial in plan(quick()).trials) / 2
    assert priced(ledger, quick(budget={"trials": 6, "flops": left})).exceeded == ()
    beyond = priced(ledger, quick(budget={"trials": 5, "flops": left - 1})).exceeded
    assert [text.partition(":")[0] for text in beyond] == ["budget.flops", "budget.trials"]


def test_a_sweep_that_lists_the_same_trial_is_named(tmp_path):
    ledger = Ledger(tmp_path)
    other = plan(sweep(name="other", replicates=1))
    ledger.sweep("other").write_plan(
        resolved_text(other.sweep), [trial.record() for trial in other.trials]
    )
    Path(tmp_path, "sweeps", "empty").mkdir()
    found = priced(ledger)
    assert found.shared == {trial.key: ("other",) for trial in other.trials}
    document = json.loads(plan_text(found))
    assert [bool(each["shared_with"]) for each in document["trials"]] == [True, False] * 6


def test_the_storage_takes_no_more_room_than_was_said(tmp_path):
    ledger = Ledger(tmp_path)
    of = quick()
    said = disk_bytes(priced(ledger, of))
    trained(ledger, of)
    taken = sum(file.stat().st_size for file in tmp_path.glob("trials/**/*") if file.is_file())
    assert said / 4 < taken <= said  # a trial that ends soon is saved once, and not twice


def test_the_plan_as_json_has_its_public_names(tmp_path):
    found = json.loads(plan_text(priced(Ledger(tmp_path))))
    assert set(found) == {"sweep", "trials", "shapes", "packs", "total"}
    assert {"width", "execution", "step_s", "step_alone_s", "why"} <= set(found["shapes"][0])
    assert {"trials", "width", "execution", "seconds"} <= set(found["packs"][0])
    assert {"key", "config", "flops", "seconds", "state"} <= set(found["trials"][0])
    assert found["total"]["trials"] == 12
    assert {"device_hours", "finish", "disk_bytes", "memory_bytes", "budget"} <= set(found["total"])


def screen(of: Sweep, storage: Path) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    show_price(priced(Ledger(storage), of), console)
    return console.export_text()


EVERY_AXIS: list[dict[str, Any]] = [
    {"kind": "values", "field": "encoding.base", "values": [6, 10]},
    {"kind": "zip", "fields": {"model.encoder_layers": [1, 2], "model.decoder_layers": [1, 2]}},
    {"kind": "log_range", "field": "model.width", "low": 16, "high": 64, "count": 2, "whole": True},
    {
        "kind": "when",
        "where": {"encoding.base": 10},
        "axes": [{"kind": "values", "field": "data.distinct", "values": [None, 50]}],
    },
    {
        "kind": "random",
        "draws": 2,
        "fields": {"optimizer.lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-1}},
    },
    {"kind": "isoflop", "solve": "budget.steps", "levels": [1e12]},
]


def test_the_screen_says_what_is_left_out_how_far_off_levels_are_and_when_it_ends(tmp_path):
    exclude = [{"model.width": 64, "encoding.base": 6}]
    of = sweep(axes=EVERY_AXIS, exclude=exclude, budget={"trials": 3}, replicates=1)
    text = screen(of, tmp_path)
    assert "20 trials: 20 new" in text
    assert "left out  4 places by `exclude`" in text
    assert "are met within" in text
    assert "device-hours" in text
    assert "trials: expected at most 3 left to train, got 20, 17 too many" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def test_a_finished_sweep_says_that_nothing_is_left(tmp_path):
    of = quick(axes=[], replicates=1)
    trained(Ledger(tmp_path), of)
    assert "nothing is left to train" in screen(of, tmp_path)


def test_more_workers_shorten_the_wait_and_not_the_work(tmp_path):
    found = priced(Ledger(tmp_path))
    many = replace(found, workers=100)
    assert many.seconds == found.packs[0].seconds < found.seconds
    assert many.device_hours == found.device_hours
