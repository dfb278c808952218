"""What a person sees of a sweep, from a real ledger."""

import io
import json
import os
import re
import resource
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.storage.ledger import Ledger
from sweeps.storage.records import sealed
from sweeps.watching.device_use import DeviceUse, gpus_in_words
from sweeps.watching.forecast import Forecast
from sweeps.watching.grid import two_fields
from sweeps.watching.progress import Screen, finish_time, line, show
from sweeps.watching.status import status_document
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
    assert str(file) in snap.failures[0].text


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


def test_of_an_ended_trial_the_outcome_alone_is_read(ledger, sweep):
    records = records_of(sweep)
    store(ledger, sweep, records)
    for record in records:
        attempt = ledger.trial(record["key"]).begin(record["config"])
        attempt.append(curve_of(record), START_MS)
        attempt.finish(Outcome("finished", STEPS, curve_of(record)[-1].values))
    before, document = snapshot(ledger, sweep, records), status_document(ledger, ["gcd"])
    for file in ledger.root.rglob("attempt-*/*"):
        file.unlink()
    assert snapshot(ledger, sweep, records) == before
    assert status_document(ledger, ["gcd"]) == document
    assert document[0]["counts"] == {"finished": 16}


def test_one_damaged_trial_hides_no_other_in_the_document(ledger, sweep):
    records = records_of(sweep)
    store(ledger, sweep, records)
    for record in records[:2]:
        write_trial(ledger, record)
    file = ledger.trial(records[0]["key"]).path / "outcome.json"
    file.write_bytes(file.read_bytes()[:-20])
    trials = {trial["key"]: trial for trial in status_document(ledger, ["gcd"])[0]["trials"]}
    assert trials[records[0]["key"]]["state"] == "damaged"
    assert str(file) in trials[records[0]["key"]]["reason"]
    assert trials[records[1]["key"]]["state"] == "finished"


@pytest.mark.slow  # 30 s, nearly all of it writing the ledger
def test_ten_thousand_trials_are_shown_in_under_three_seconds(ledger):
    sweep = sweep_of("large", bases=tuple(range(2, 1252)))
    records = records_of(sweep)
    store(ledger, sweep, records)
    for record in records:
        folder = ledger.trial(record["key"]).path
        folder.mkdir(parents=True)
        outcome = {
            "name": "finished", "step": STEPS, "metrics": curve_of(record)[-1].values,
            "details": {"learned": list(range(20))}, "reason": "", "time_ms": START_MS,
        }  # fmt: skip
        (folder / "outcome.json").write_bytes(sealed(outcome))
    for options in ([], ["--json"]):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [Path(sys.executable).with_name("lawsweep"), "status", "large", *options]
        ran = subprocess.run(
            [*command, "--storage", ledger.root], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert "10,000 of 10,000" in ran.stdout or json.loads(ran.stdout)
        assert spent_s < 3  # of a processor: others may be at work here


def launched(ledger, sweep, records, now_ms: int, done: dict[int, int], pack: int = 1) -> None:
    """Trials that were begun a minute ago and have just reported: by number, points of five."""
    for number, points in done.items():
        attempt = ledger.trial(records[number]["key"]).begin(records[number]["config"])
        start = attempt.path / "start.json"
        text = {"time_ms": now_ms - 60_000, "host": "here", "pid": number // pack}
        start.unlink()
        start.write_bytes(sealed(text))
        for point in curve_of(records[number])[:points]:
            attempt.append([point], now_ms)


def forecast_of(records, seconds: float, workers: int, pack: int = 1) -> Forecast:
    keys = [record["key"] for record in records]
    packs = tuple(tuple(keys[start : start + pack]) for start in range(0, len(keys), pack))
    return Forecast(workers, packs, dict.fromkeys(keys, seconds))


def begun_before(ledger, sweep, seconds: float) -> None:
    lock = ledger.sweep(sweep.name).path / "lock"
    then = time.time() - seconds
    os.utime(lock, (then, then))


def test_before_anything_is_seen_the_time_left_is_the_price_of_the_plan(ledger, sweep):
    records = records_of(sweep)
    with ledger.sweep(sweep.name).lock():
        watch = Watch(ledger, sweep, records, forecast_of(records, 30.0, workers=2))
        assert watch.snapshot().left_s == pytest.approx(16 * 30 / 2)


@pytest.mark.parametrize("pack", [1, 2])
def test_time_left_follows_the_pace_that_is_seen(ledger, sweep, pack):
    # Two minutes of two workers were spent on two fifths of what the plan gives them; a minute in
    # which all went as planned is believed as well.
    records = records_of(sweep)
    with ledger.sweep(sweep.name).lock():
        begun_before(ledger, sweep, 61)
        watch = Watch(ledger, sweep, records, forecast_of(records, 60.0 / pack, 2, pack))
        watch._first_steps = {}  # the first look comes before any trial has begun
        now_ms = time.time_ns() // 1_000_000
        launched(ledger, sweep, records, now_ms, dict.fromkeys(range(2 * pack), 5), pack)
        for number in range(2 * pack):
            file = ledger.trial(records[number]["key"]).attempts()[0] / "metrics.jsonl"
            lines = file.read_bytes().splitlines(keepends=True)
            file.write_bytes(b"".join(lines[:2]))  # two fifths
        left = watch.snapshot().left_s
        worth, spent = 2 * 60 * 0.4 + 60, 2 * 60 + 60
        rest = [36, 36, *[60] * (16 // pack - 2)]
        assert left == pytest.approx(makespan(rest, 2) * spent / worth, rel=0.01)


def makespan(packs: list[float], workers: int) -> float:
    free = [0.0] * workers
    for seconds in packs:
        free[free.index(min(free))] += seconds
    return max(free)


def test_what_an_earlier_launch_has_trained_is_not_this_ones_pace(ledger, sweep):
    records = records_of(sweep)[:1]
    write_trial(ledger, records[0], until=4)
    with ledger.sweep(sweep.name).lock():
        watch = Watch(ledger, sweep, records, forecast_of(records, 10.0, workers=1))
        assert watch.snapshot().left_s == pytest.approx(10)


def test_busy_workers_are_counted_by_their_processes(ledger, sweep):
    records = records_of(sweep)
    with ledger.sweep(sweep.name).lock():
        begun_before(ledger, sweep, 61)
        launched(
            ledger, sweep, records, time.time_ns() // 1_000_000, dict.fromkeys(range(4), 1), pack=2
        )
        snap = Watch(ledger, sweep, records, forecast_of(records, 9.0, workers=3)).snapshot()
        assert (snap.running, snap.busy, snap.workers) == (4, 2, 3)
        assert "2 of 3 workers busy" in seen(snap)


def test_failures_of_one_reason_are_one_line_with_the_log_of_the_newest(ledger, sweep):
    records = records_of(sweep)
    for number, reason in enumerate(["ValueError: 3", "OSError: 4", "ValueError: 3"]):
        attempt = ledger.trial(records[number]["key"]).begin(records[number]["config"])
        attempt.note("Traceback")
        attempt.finish(Outcome("failed", 0, reason=reason))
        time.sleep(0.002)  # the newest is told by its time in ms
    snap = snapshot(ledger, sweep, records)
    log = ledger.trial(records[2]["key"]).attempts()[0] / "notes.txt"
    assert [failure.text.partition(": ")[2] for failure in snap.failures] == [
        "ValueError: 3",
        "OSError: 4",
    ]
    assert "and 1 more" in snap.failures[0].text
    assert snap.failures[0].log == str(log)
    assert str(log) in seen(snap, width=300)


def test_a_reason_of_many_lines_takes_little_of_the_screen(ledger, sweep):
    records = records_of(sweep)
    attempt = ledger.trial(records[0]["key"]).begin(records[0]["config"])
    attempt.finish(Outcome("failed", 0, reason="a line\n" * 500))
    assert len(seen(snapshot(ledger, sweep, records), width=80).splitlines()) <= 10


NOW = datetime(2026, 11, 21, 17, 30)


@pytest.mark.parametrize(
    ("left_s", "text"),
    [(60, "17:31"), (6.5 * 3600, "Sun 00:00"), (7 * 86400, "28 Nov 17:30"), (0, "17:30")],
)
def test_the_time_of_the_end_is_that_of_the_clock_on_the_wall(left_s, text):
    assert finish_time(NOW, left_s) == text


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("83, 12288, 81920\n", "GPU 83 %, 12 of 80 GB"),
        ("90, 1024, 81920\n70, 1024, 81920\n", "2 GPUs 80 % (lowest 70 %), 2 of 160 GB"),
        ("[N/A], 1024, 81920\n", ""),
        ("", ""),
        ("No devices were found\n", ""),
    ],
)
def test_the_use_of_gpus_is_said_in_a_few_words(table, words):
    assert gpus_in_words(table) == words


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux says how busy it is")
def test_the_use_of_processors_is_that_since_the_last_look():
    use = DeviceUse()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    share = re.match(r"CPU (\d+) %", use.look())
    assert share is not None
    assert int(share[1]) >= 100 // (2 * (os.cpu_count() or 1))  # this process alone had one


def test_fields_that_follow_each_other_are_one_axis_of_the_grid():
    records = [
        {"point": {"width": width, "heads": width // 16, "base": base}}
        for width in (32, 64)
        for base in (10, 30)
    ]
    assert two_fields(records) == ["width", "base"]
    assert two_fields(records[:1]) == ["width"]
    assert two_fields([{"point": {}}]) == []
