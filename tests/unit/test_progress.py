"""What a person sees of a sweep, from a real ledger."""

import io
import re

import pytest
from rich.console import Console

from sweeps.storage.ledger import Ledger
from sweeps.watching.progress import Screen, line, show
from sweeps.watching.watch import Watch, snapshot
from sweeps.wording import duration
from tests.small_sweep import START_MS, STEPS, curve_of, records_of, store, sweep_of, write_trial
from trainers.result import Outcome, Point


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


@pytest.fixture
def sweep():
    return sweep_of("gcd", bases=(6, 31))


def seen(snap, width=100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(show(snap))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_states_are_counted_from_the_ledger_alone(ledger, sweep):
    records = records_of(sweep)
    write_trial(ledger, records[0])
    for record, name in zip(records[1:4], ("diverged", "stopped", "failed"), strict=True):
        attempt = ledger.trial(record["key"]).begin(record["config"])
        attempt.finish(Outcome(name, 10, reason="out of memory"))
    write_trial(ledger, records[4], until=2)
    snap = snapshot(ledger, sweep, records)
    assert (snap.total, snap.finished, snap.diverged, snap.stopped, snap.failed) == (16, 1, 1, 1, 1)
    # A trial that was begun runs only while somebody drives the sweep.
    assert (snap.running, snap.waiting, snap.elapsed_s) == (0, 12, None)
    assert snap.share == pytest.approx(_share(records))


def _share(records) -> float:
    """Four trials need no more work, and two fifths of the fifth are done."""
    done = sum(r["flops"] for r in records[:4]) + 0.4 * records[4]["flops"]
    return done / sum(r["flops"] for r in records)


def test_a_trial_runs_when_the_driver_of_now_has_begun_it(ledger, sweep):
    records = records_of(sweep)
    write_trial(ledger, records[0])
    write_trial(ledger, records[1], until=2)  # of a driver before
    watch = Watch(ledger, sweep, records)
    with ledger.sweep(sweep.name).lock():
        snap = watch.snapshot()
        assert (snap.running, snap.waiting, snap.reused) == (0, 15, 1)
        write_trial(ledger, records[1], until=2)
        write_trial(ledger, records[2])
        snap = watch.snapshot()
        assert (snap.running, snap.waiting, snap.finished, snap.reused) == (1, 13, 2, 1)
        assert snap.elapsed_s is not None


def test_speed_and_time_left_are_known_once_something_has_moved(ledger, sweep):
    records = records_of(sweep)
    watch = Watch(ledger, sweep, records)
    with ledger.sweep(sweep.name).lock():
        assert (watch.snapshot().examples_per_s, watch.snapshot().left_s) == (None, None)
        write_trial(ledger, records[0], until=3)
        snap = watch.snapshot()
        assert snap.examples_per_s is not None
        assert snap.left_s is not None
        assert snap.examples_per_s > 0
        assert snap.left_s > 0


def test_each_byte_of_a_curve_is_read_once_and_an_ended_trial_not_again(ledger, sweep):
    records = records_of(sweep)[:1]
    watch = Watch(ledger, sweep, records)
    write_trial(ledger, records[0])
    before = watch.snapshot()
    for file in ledger.root.rglob("*.jsonl"):
        file.unlink()
    assert watch.snapshot() == before


def test_the_best_trial_and_the_means_over_the_axes_are_shown(ledger, sweep):
    records = records_of(sweep)
    for record in records:
        write_trial(ledger, record)
    snap = snapshot(ledger, sweep, records)
    best = max(curve_of(record)[-1].values["accuracy"] for record in records)
    assert snap.best == f"accuracy {best:.4g} at base6 width32 distinct2000 seed1"
    assert snap.grid is not None
    of_base_31 = [r for r in records if r["point"]["encoding.base"] == 31]
    of_cell = [r for r in of_base_31 if r["point"]["model.width"] == 64]
    mean = sum(curve_of(r)[-1].values["accuracy"] for r in of_cell) / len(of_cell)
    assert snap.grid.cells[("31", "64")].mean == pytest.approx(mean)
    text = seen(snap)
    assert re.search(rf"^31 +\S+ +{mean:.4g}\s*$", text, re.MULTILINE)
    assert "16 of 16 trials" in text


def test_the_reason_of_a_failure_is_a_text_and_never_markup(ledger, sweep):
    records = records_of(sweep)
    attempt = ledger.trial(records[0]["key"]).begin(records[0]["config"])
    attempt.finish(Outcome("failed", 0, reason="expected [bold]3[/] rows, got []"))
    assert "expected [bold]3[/] rows, got []" in seen(snapshot(ledger, sweep, records))


def test_damaged_files_are_said_and_hide_no_other_trial(ledger, sweep):
    records = records_of(sweep)
    for record in records[:2]:
        write_trial(ledger, record)
    file = ledger.trial(records[0]["key"]).attempts()[0] / "metrics.jsonl"
    file.write_bytes(file.read_bytes().replace(b"loss", b"lass", 1))
    snap = snapshot(ledger, sweep, records)
    assert snap.finished == 1
    assert str(file) in snap.failures[0]


def test_a_diverged_trial_does_not_spoil_the_mean_of_its_cell(ledger, sweep):
    records = records_of(sweep)
    write_trial(ledger, records[0])
    attempt = ledger.trial(records[1]["key"]).begin(records[1]["config"])
    attempt.append([Point(STEPS // 2, {"accuracy": 0.0})], START_MS)
    attempt.finish(Outcome("diverged", STEPS // 2))
    grid = snapshot(ledger, sweep, records).grid
    assert grid is not None
    cell = grid.cells[("6", "32")]
    assert (cell.mean, cell.ended, cell.total) == (
        curve_of(records[0])[-1].values["accuracy"],
        2,
        4,
    )


def test_without_a_terminal_plain_lines_come_at_the_start_and_at_the_end(ledger, sweep):
    records = records_of(sweep)
    console = Console(file=io.StringIO(), force_terminal=False)
    with Screen(console) as screen:
        for record in records:
            write_trial(ledger, record)
            screen.update(snapshot(ledger, sweep, records))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2
    assert lines[0].startswith("gcd: 1 of 16 ended; 1 finished, 15 waiting")
    assert lines[1].startswith("gcd: 16 of 16 ended; 16 finished")
    assert not re.search("\x1b", "".join(lines))


def test_a_sweep_larger_than_the_screen_stays_one_screen(ledger):
    sweep = sweep_of("large", bases=tuple(range(2, 102)))
    store(ledger, sweep, records_of(sweep))
    write_trial(ledger, records_of(sweep)[0])
    snap = snapshot(ledger, sweep, ledger.sweep("large").trials())
    assert len(seen(snap).splitlines()) <= 24
    assert "1 of 800 ended" in line(snap)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_read_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text
