from collections.abc import Sequence
from typing import Any, cast

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from analysis.trials import as_runs
from sweeps.running.worker import KEY, OBJECTIVE, SOUND, STEP
from sweeps.searching.book import Book, Entry
from sweeps.searching.judge import Judge
from sweeps.searching.judging import NOBODY
from sweeps.spec import resolved_text
from sweeps.storage.ledger import Ledger
from tests.searches import outlined, report, searched
from tests.sweep_trials import MadeTrial
from trainers.result import Outcome

STEPS = 12  # of a trial of these searches; it reports after each
ASHA = {"kind": "asha", "grace": 0.25, "reduction": 2.0}  # rungs after 3, 6 and 12 steps


def begun(ledger: Ledger, count: int, scheduler: dict[str, Any]) -> tuple[Book, list[Entry]]:
    """A search with some trials suggested."""
    sweep = searched(trials=count, search={"scheduler": scheduler})
    ledger.sweep("hunt").write_plan(resolved_text(sweep), [])
    book = Book(outlined(sweep), ledger, grown=lambda record: None)
    entries = [book.next() for _ in range(count)]
    return book, [entry for entry in entries if entry is not None]


def told(judge: Judge, entry: Entry, step: int, value: float, *, sound: bool = True) -> str:
    """What the judge says to one result of a worker."""
    result = {KEY: entry.trial.key, STEP: step, OBJECTIVE: value, SOUND: sound}
    return judge.on_trial_result(NOBODY, cast(Trial, None), result)


def levels(count: int) -> list[float]:
    """The losses of trials, neither rising nor falling in the order in which they come."""
    return [((number * 5) % count) / count for number in range(count)]


def test_asha_stops_what_it_would_stop_if_ray_asked_it_itself(tmp_path):
    book, entries = begun(Ledger(tmp_path), 9, ASHA)
    judge = Judge(book, Ledger(tmp_path))
    plain = ASHAScheduler(
        time_attr="step", metric="loss", mode="min", max_t=STEPS, grace_period=3,
        reduction_factor=2, stop_last_trials=False,
    )  # fmt: skip
    stopped: set[int] = set()
    for number in range(9):
        plain.on_trial_add(NOBODY, cast(Any, Named(str(number))))
    for step in range(1, STEPS):
        for number, level in enumerate(levels(9)):
            if number in stopped:
                continue
            expected = plain.on_trial_result(
                NOBODY, cast(Any, Named(str(number))), {"step": step, "loss": level}
            )
            found = told(judge, entries[number], step, level)
            assert (found == TrialScheduler.PAUSE) == (expected == TrialScheduler.STOP)
            if found == TrialScheduler.PAUSE:
                stopped.add(number)
    assert 3 <= len(stopped) < 9


class Named:
    """A trial of plain Ray, which is asked for its name alone."""

    def __init__(self, name: str) -> None:
        self.trial_id = name


@pytest.fixture
def halves(tmp_path) -> tuple[Ledger, Book, list[Entry]]:
    """Six trials with three points, of the losses 0 to 5: the driver was killed then."""
    ledger = Ledger(tmp_path)
    book, entries = begun(ledger, 6, ASHA)
    for number, entry in enumerate(entries):
        report(ledger, entry.trial, [float(number)] * 3)
    return ledger, book, entries


def test_after_a_kill_the_rungs_hold_what_they_held_and_the_last_points_are_judged(halves):
    ledger, book, entries = halves
    judge = Judge(book, ledger)
    for entry in entries:
        judge.take_in(entry)
    goes_on = [judge.goes_on(entry) for entry in entries]
    assert goes_on == [True, False, False, False, False, False]
    outcome = ledger.trial(entries[3].trial.key).outcome()
    assert outcome is not None
    assert (outcome.name, outcome.step, outcome.metrics["test_loss"]) == ("stopped", 3, 3.0)
    assert outcome.reason == (
        "asha: test_loss 3 at step 3 of 12; rung at 25.0% of the budget, cutoff 1"
    )
    assert ledger.trial(entries[0].trial.key).outcome() is None
    assert told(judge, entries[0], 2, 100.0) == TrialScheduler.CONTINUE  # trained again, known
    assert told(judge, entries[0], 4, 100.0) == TrialScheduler.CONTINUE  # between two rungs


def test_a_trial_that_was_stopped_is_not_judged_again_and_counts_for_the_others(halves):
    ledger, book, entries = halves
    first = Judge(book, ledger)
    for entry in entries:
        first.take_in(entry)
    assert first.goes_on(entries[0])
    assert not first.goes_on(entries[5])
    second = Judge(book, ledger)  # and killed again
    for entry in entries:
        second.take_in(entry)
    assert second.goes_on(entries[0])  # 5 is in the rung already: the lower half is 0
    assert not second.goes_on(entries[4])
    ending = ledger.trial(entries[5].trial.key).ended()
    assert ending is not None
    assert len(ledger.trial(entries[5].trial.key).attempts()) == 1


def test_a_result_that_is_not_finite_and_the_last_one_stop_no_trial(tmp_path):
    ledger = Ledger(tmp_path)
    book, entries = begun(ledger, 3, ASHA)
    judge = Judge(book, ledger)
    assert told(judge, entries[0], 3, 0.1) == TrialScheduler.CONTINUE
    for value in (float("inf"), float("nan")):
        assert told(judge, entries[1], 3, value, sound=False) == TrialScheduler.CONTINUE
    assert told(judge, entries[1], 3, float("nan")) == TrialScheduler.CONTINUE
    assert told(judge, entries[2], STEPS, 9.0) == TrialScheduler.CONTINUE
    assert told(judge, entries[2], STEPS, 9.0) == TrialScheduler.CONTINUE


def test_a_trial_is_paused_until_it_is_saved_however_often_its_worker_dies(tmp_path):
    ledger = Ledger(tmp_path)
    book, entries = begun(ledger, 2, ASHA)
    judge = Judge(book, ledger)
    told(judge, entries[0], 3, 0.1)
    assert told(judge, entries[1], 3, 9.0) == TrialScheduler.PAUSE
    assert ledger.trial(entries[1].trial.key).outcome() is None
    assert told(judge, entries[1], 3, 9.0) == TrialScheduler.PAUSE  # its next worker says it again


def test_each_cell_is_judged_by_itself(tmp_path):
    ledger = Ledger(tmp_path)
    axes = [{"kind": "values", "field": "batch_size", "values": [8, 16]}]
    sweep = searched(trials=4, axes=axes, search={"scheduler": ASHA})
    ledger.sweep("hunt").write_plan(resolved_text(sweep), [])
    book = Book(outlined(sweep), ledger, grown=lambda record: None)
    entries = [book.next() for _ in range(4)]
    one, other, second, fourth = [entry for entry in entries if entry is not None]
    judge = Judge(book, ledger)
    assert told(judge, one, 3, 0.1) == TrialScheduler.CONTINUE
    assert told(judge, other, 3, 9.0) == TrialScheduler.CONTINUE
    assert told(judge, second, 3, 9.0) == TrialScheduler.PAUSE
    assert told(judge, fourth, 3, 8.0) == TrialScheduler.CONTINUE


def test_hyperband_judges_a_trial_in_the_same_bracket_after_every_launch(tmp_path):
    ledger = Ledger(tmp_path)
    scheduler = {"kind": "hyperband", "grace": 0.25, "reduction": 2.0, "brackets": 2}
    book, entries = begun(ledger, 16, scheduler)

    def verdicts(order: Sequence[Entry]) -> dict[str, str]:
        judge = Judge(book, ledger)
        for entry in entries:
            told(judge, entry, 2, 1.0)
        return {entry.trial.key: told(judge, entry, 3, 1.0 + order.index(entry)) for entry in order}

    one = verdicts(entries)
    assert one == verdicts(entries)
    # the first of each bracket goes on; some judge after 3 steps, others only after 6
    at_three = sum(verdict == TrialScheduler.PAUSE for verdict in one.values())
    assert 4 <= at_three <= 14


def test_the_median_rule_stops_what_is_worse_than_most_also_after_a_kill(tmp_path):
    ledger = Ledger(tmp_path)
    book, entries = begun(ledger, 6, {"kind": "median", "grace": 0.25, "samples": 3})
    for number, entry in enumerate(entries[:4]):
        attempt = report(ledger, entry.trial, [float(number)] * STEPS)
        attempt.finish(Outcome("finished", STEPS, {"test_loss": float(number)}))
    judge = Judge(book, ledger)
    for entry in entries:
        judge.take_in(entry)
    assert told(judge, entries[4], 2, 9.0) == TrialScheduler.CONTINUE  # too early
    assert told(judge, entries[4], 4, 9.0) == TrialScheduler.PAUSE
    assert told(judge, entries[5], 4, 0.5) == TrialScheduler.CONTINUE


def test_without_a_scheduler_nothing_is_stopped(tmp_path):
    ledger = Ledger(tmp_path)
    book, entries = begun(ledger, 3, {"kind": "none"})
    judge = Judge(book, ledger)
    for entry in entries:
        judge.take_in(entry)
        assert told(judge, entry, 6, 9.0) == TrialScheduler.CONTINUE


def test_a_stopped_trial_is_in_no_table_of_runs_and_its_reason_is_kept():
    trials = [
        MadeTrial("a" * 20, {"model.width": 4}, {"test_loss": 0.1}),
        MadeTrial("b" * 20, {"model.width": 8}, {"test_loss": 0.9}, {}, "stopped", "asha: step 3"),
    ]
    runs = as_runs(trials)
    assert list(runs.table.index) == ["a" * 20]
    assert [(one.key, one.outcome, one.reason) for one in runs.omitted] == [
        ("b" * 20, "stopped", "asha: step 3")
    ]
