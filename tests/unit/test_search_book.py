import json
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from rich.console import Console

from sweeps.planning.cost import price
from sweeps.planning.plan import plan
from sweeps.running.drive import drive
from sweeps.running.inline import train_inline
from sweeps.running.pack import train_pack
from sweeps.running.where import InProcess
from sweeps.search import OptunaSearcher, RandomSearcher
from sweeps.searching.book import Book, Entry, so_far
from sweeps.searching.drive import drive_search
from sweeps.searching.inline import check_inline, search_inline
from sweeps.searching.past import Past
from sweeps.searching.searchers import optuna as by_optuna
from sweeps.searching.searchers import random as by_random
from sweeps.spec import Objective, Sweep, resolved_text
from sweeps.storage.attempt import Attempt
from sweeps.storage.growing import add_trial, read_trials, write_trials
from sweeps.storage.ledger import Ledger
from sweeps.watching.watch import Watch
from tests.searches import finish, outlined, report, searched
from trainers.result import Outcome, Reported
from trainers.schema import InputError

OPTUNA = {"searcher": {"kind": "optuna", "seed": 3, "startup": 4}}


def opened(ledger: Ledger, sweep: Sweep) -> Book:
    """The book as a launch opens it, killed or not before."""
    ledger.sweep(sweep.name).write_plan(
        resolved_text(sweep), [trial.record() for trial in so_far(outlined(sweep), ledger).trials]
    )
    book = Book(outlined(sweep), ledger, grown=lambda record: None)
    book.take_up(ledger.sweep(sweep.name).trials())
    return book


def loss_of(entry: Entry) -> float:
    """Best at a learning rate of 0.01 and the larger width."""
    lr, width = entry.point.get("optimizer.lr", 0.1), entry.point["model.width"]
    return abs(math.log10(lr) + 2) + (width == 4)


def keys(entries: Sequence[Entry]) -> list[str]:
    return [entry.trial.key for entry in entries]


def searched_whole(ledger: Ledger, sweep: Sweep, *, killed_after: Sequence[int] = ()) -> Book:
    """Suggest and end every trial; at some counts the driver dies, the last trial begun or not."""
    book = opened(ledger, sweep)
    while (entry := book.next()) is not None:
        if len(book.entries) in killed_after:
            killed_after = [count for count in killed_after if count != len(book.entries)]
            if len(book.entries) % 2:
                report(ledger, entry.trial, [1.0])
            book = opened(ledger, sweep)
            continue
        finish(ledger, entry.trial, [9.0, loss_of(entry)])
    return book


@pytest.mark.parametrize("search", [{"searcher": {"kind": "random", "seed": 3}}, OPTUNA])
def test_a_search_that_was_killed_and_begun_again_suggests_what_it_would_have_suggested(
    tmp_path, search
):
    sweep = searched(search=search, trials=12)
    undisturbed = searched_whole(Ledger(tmp_path / "one"), sweep)
    killed = searched_whole(Ledger(tmp_path / "two"), sweep, killed_after=(1, 4, 7, 10))
    assert keys(killed.entries) == keys(undisturbed.entries)
    assert len(set(keys(killed.entries))) == 12
    stored = Ledger(tmp_path / "two").sweep("hunt").trials()
    assert [record["key"] for record in stored] == keys(undisturbed.entries)
    assert killed.is_complete
    assert killed.next() is None


def test_another_seed_suggests_other_trials(tmp_path):
    one = searched_whole(Ledger(tmp_path / "one"), searched(trials=5))
    other = searched(trials=5, search={"searcher": {"kind": "random", "seed": 1}})
    assert not set(keys(one.entries)) & set(
        keys(searched_whole(Ledger(tmp_path / "two"), other).entries)
    )


def test_optuna_finds_better_learning_rates_than_random_draws(tmp_path):
    found = {}
    for kind in ("random", "optuna"):
        sweep = searched(name=kind, trials=40, search={"searcher": {"kind": kind, "seed": 5}})
        losses = [loss_of(e) for e in searched_whole(Ledger(tmp_path / kind), sweep).entries]
        found[kind] = sorted(losses[10:])
    assert found["optuna"][15] < 0.5 * found["random"][15]
    assert found["optuna"][0] < found["random"][22]  # its best, and the worst quarter of the others


def test_a_trial_is_stored_before_it_is_handed_out(tmp_path):
    ledger, sweep = Ledger(tmp_path), searched()
    seen: list[str] = []
    opened(ledger, sweep)
    book = Book(outlined(sweep), ledger, grown=lambda record: seen.append(record["key"]))
    for count in range(1, 4):
        entry = book.next()
        assert entry is not None
        stored = ledger.sweep("hunt").trials()
        assert [record["key"] for record in stored] == seen
        assert (stored[-1]["key"], stored[-1]["point"]) == (entry.trial.key, entry.point)
        assert len(seen) == count


def test_trials_that_another_sweep_has_finished_count_and_are_not_trained_again(tmp_path):
    ledger = Ledger(tmp_path)
    first = searched_whole(ledger, searched(name="first", trials=6))
    again = opened(ledger, searched(name="second", trials=6))
    assert again.next() is None
    assert keys(again.entries) == keys(first.entries)
    longer = opened(ledger, searched(name="third", trials=7))
    entry = longer.next()
    assert entry is not None
    assert entry.trial.key not in keys(first.entries)


def test_open_trials_are_handed_out_first_and_failed_ones_are_tried_again(tmp_path):
    ledger, sweep = Ledger(tmp_path), searched(trials=4)
    book = opened(ledger, sweep)
    entries = [book.next(), book.next(), book.next()]
    trials = [entry.trial for entry in entries if entry is not None]
    finish(ledger, trials[0], [1.0])
    assert report(ledger, trials[1], [1.0]).finish(Outcome("failed", 1, reason="a mistake"))
    report(ledger, trials[2], [1.0])
    again = opened(ledger, sweep)
    handed = [again.next(), again.next(), again.next(), again.next()]
    found = [entry.trial.key for entry in handed if entry is not None]
    assert found[:2] == [trials[1].key, trials[2].key]
    assert len(found) == 3
    assert ledger.trial(trials[1].key).outcome() is None


def test_a_changed_file_keeps_the_trials_that_still_lie_in_its_space(tmp_path):
    ledger = Ledger(tmp_path)
    before = searched_whole(ledger, searched(trials=8))
    narrower = {
        "optimizer.lr": {"kind": "log_uniform", "low": 1e-3, "high": 1e-1},
        "model.width": {"kind": "choice", "values": [4, 8]},
    }
    after = opened(ledger, searched(trials=8, space=narrower))
    inside = [e for e in before.entries if e.point["optimizer.lr"] >= 1e-3]
    assert 0 < len(inside) < 8
    assert keys(after.entries) == keys(inside)
    fewer = opened(ledger, searched(trials=2, space=narrower))
    assert keys(fewer.entries) == keys(inside)[:2]
    other_trial = searched(trials=8, trial={**searched().trial, "batch_size": 16})
    assert opened(ledger, other_trial).entries == ()


def test_each_cell_of_the_axes_is_searched_by_itself_in_turn(tmp_path):
    axes = [{"kind": "values", "field": "batch_size", "values": [8, 16, 32]}]
    one = searched_whole(Ledger(tmp_path / "one"), searched(trials=8, axes=axes))
    cells = [entry.trial.point["batch_size"] for entry in one.entries]
    assert cells == [8, 16, 32, 8, 16, 32, 8, 16]
    points = [entry.point for entry in one.entries if entry.trial.point["batch_size"] == 8]
    alone = searched(trials=3, axes=[{**axes[0], "values": [8]}])
    same = searched_whole(Ledger(tmp_path / "two"), alone)
    assert [entry.point for entry in same.entries] == points


def test_a_small_space_is_searched_to_its_last_place(tmp_path):
    space = {
        "model.width": {"kind": "choice", "values": [4, 8]},
        "batch_size": {"kind": "whole", "low": 8, "high": 14, "step": 2},
    }
    for kind in ("random", "optuna"):
        sweep = searched(name=kind, space=space, trials=8, search={"searcher": {"kind": kind}})
        book = searched_whole(Ledger(tmp_path / kind), sweep)
        assert len({tuple(entry.point.values()) for entry in book.entries}) == 8


def test_optuna_takes_diverged_and_stopped_trials_for_poor_and_failed_ones_for_nothing():
    space = outlined(searched()).search.space
    objective = Objective(metric="test_loss", mode="min")
    searcher = OptunaSearcher(seed=1, startup=1)
    grid = [10 ** (-4 + 3 * (number + 0.5) / 30) for number in range(30)]

    def suggested(state: Any) -> list[float]:
        """Where it looks when all below a learning rate of 0.01 ended in this state."""
        past = [
            Past({"optimizer.lr": lr, "model.width": 8}, state, None, (0.1, 0.1))
            if lr < 1e-2
            else Past({"optimizer.lr": lr, "model.width": 8}, "finished", 1.0 + lr)
            for lr in grid
        ]
        points = [
            by_optuna.suggest(searcher, space, past, objective, f"{number}") for number in range(30)
        ]
        return [point["optimizer.lr"] for point in points]

    assert sum(lr < 8e-3 for lr in suggested("diverged")) <= 3
    assert sum(lr < 8e-3 for lr in suggested("stopped")) <= 3
    assert suggested("failed") != suggested("stopped")


def test_a_random_point_depends_on_nothing_that_is_known():
    space = outlined(searched()).search.space
    objective = Objective(metric="test_loss", mode="min")
    past = [Past({"optimizer.lr": 0.01, "model.width": 4}, "finished", 0.1)]
    one = by_random.suggest(RandomSearcher(seed=1), space, past, objective, "words")
    assert one == by_random.suggest(RandomSearcher(seed=1), space, [], objective, "words")


def test_a_random_search_trains_inline_and_a_second_launch_finds_nothing_to_do(tmp_path, capsys):
    ledger, sweep = Ledger(tmp_path), searched(trials=3)

    def train(book: Book, ledger: Ledger, *, lost: Any) -> None:
        search_inline(book, ledger, InProcess(), lost=lost)

    for _ in range(2):
        done = drive_search(outlined(sweep), ledger, train=train, publisher=None, console=Console())
        assert done
    assert "3 finished" in capsys.readouterr().out
    stored = ledger.sweep("hunt").trials()
    assert len(stored) == 3
    assert all(len(ledger.trial(record["key"]).attempts()) == 1 for record in stored)
    assert not (tmp_path / "sweeps/hunt/trials.jsonl").exists()  # the second launch put all in one


def test_what_one_search_has_stopped_a_sweep_that_stops_nothing_trains_to_its_end(tmp_path):
    ledger, asha = Ledger(tmp_path), {"scheduler": {"kind": "asha"}}
    sweep = searched(trials=1, search=asha)
    entry = opened(ledger, sweep).next()
    assert entry is not None
    folder = ledger.trial(entry.trial.key)
    stop = Outcome("stopped", 2, {"test_loss": 1.0}, reason="asha: ...")
    assert report_first_steps(ledger, entry).finish(stop)
    assert opened(ledger, sweep).is_complete  # for the search that has stopped it, it has ended
    assert opened(ledger, searched(name="other", trials=1, search=asha)).next() is None
    whole = opened(ledger, searched(name="whole", trials=1)).next()
    assert whole is not None
    assert whole.trial.key == entry.trial.key
    assert folder.outcome() is None

    assert report_first_steps(ledger, entry).finish(stop)
    axes = [{"kind": "values", "field": f, "values": [v]} for f, v in entry.point.items()]
    designed = sweep.model_copy(update={"name": "designed", "search": None, "axes": ()})
    designed = Sweep.model_validate_json(
        json.dumps({**json.loads(designed.model_dump_json()), "axes": axes})
    )
    priced = price(plan(designed), ledger, device="cpu", workers=1)
    assert [(each.trial.key, each.state, each.is_open) for each in priced.trials] == [
        (entry.trial.key, "stopped", True)
    ]
    train = partial(train_inline, ledger=ledger, sweep="designed", here=InProcess())
    assert drive(priced, ledger, train=train, publisher=None, console=Console())
    outcome = folder.outcome()
    assert outcome is not None
    assert (outcome.name, outcome.step) == ("finished", 12)


def report_first_steps(ledger: Ledger, entry: Entry) -> Attempt:
    """An attempt whose worker had begun and is asked to stop at the second report."""
    points = 0

    def stop() -> bool:
        return points == 2

    config = entry.trial.config
    training = train_pack(ledger, [config], device="cpu", save_every_s=60.0, should_stop=stop)
    for event in training:
        points += isinstance(event, Reported)
    return Attempt(ledger.trial(entry.trial.key).attempts()[-1])


@pytest.mark.parametrize("search", [OPTUNA, {"scheduler": {"kind": "asha"}}])
def test_inline_refuses_a_search_that_only_ray_tune_can_do(search):
    with pytest.raises(InputError, match="--inline: expected searcher random and scheduler none"):
        check_inline(outlined(searched(search=search)).search)
    check_inline(outlined(searched()).search)


def test_a_watch_counts_trials_that_are_not_suggested_yet(tmp_path):
    ledger, sweep = Ledger(tmp_path), searched(trials=10)
    book = opened(ledger, sweep)
    watch = Watch(ledger, sweep, [])
    assert (watch.snapshot().total, watch.snapshot().waiting) == (10, 10)
    entry = book.next()
    assert entry is not None
    finish(ledger, entry.trial, [1.0])
    watch.extend([entry.trial.record()])
    snap = watch.snapshot()
    assert (snap.total, snap.finished, snap.waiting) == (10, 1, 9)
    assert snap.share == pytest.approx(0.1)


def test_a_list_of_trials_that_was_torn_or_stored_twice_has_each_trial_once(tmp_path):
    rest = {"config": {}, "point": {}, "replicate": 0, "steps": 1, "flops": 1, "examples": 1}
    keys = ["a" * 20, "b" * 20, "c" * 20]
    write_trials(tmp_path, [{"key": keys[0], **rest}])
    for key in keys[1:]:
        add_trial(tmp_path, {"key": key, **rest})
    lines = (tmp_path / "trials.jsonl").read_bytes()
    write_trials(tmp_path, read_trials(tmp_path))
    (tmp_path / "trials.jsonl").write_bytes(lines)  # killed before the old lines were taken away
    assert [record["key"] for record in read_trials(tmp_path)] == keys
    (tmp_path / "trials.jsonl").write_bytes(lines + b'{"key": "d", "po')
    assert [record["key"] for record in read_trials(tmp_path)] == keys
