"""Notes in Markdown: what they say is what the trials gave, however many there are."""

import math
import os
import statistics

import pytest
from scipy import stats

from sweeps.publishing import pages
from sweeps.publishing.backlog import Backlog, Standing
from sweeps.publishing.published import LONGEST_TAG
from sweeps.storage.ledger import Ledger
from tests.small_sweep import records_of, sweep_of, write_trial


def standing(total: int, best: list[tuple[str, float]], **counts: int) -> Standing:
    found = {
        "running": 0,
        "finished": len(best),
        "diverged": 0,
        "stopped": 0,
        "failed": 0,
        **counts,
    }
    return Standing(total=total, device_hours=2.5, best=tuple(best), **found)


def rows(note: str) -> list[list[str]]:
    """The cells of every line of a table, without the space that makes columns stand apart."""
    return [
        [cell.strip(" \N{NO-BREAK SPACE}") for cell in line.strip("|").split("|")]
        for line in note.splitlines()
        if line.startswith("|") and "---" not in line
    ]


def test_a_cell_of_the_grid_is_the_mean_over_its_seeds_with_a_student_t_interval():
    sweep = sweep_of("notes", bases=(10,))
    records = records_of(sweep)
    values = {record["key"]: 0.5 + 0.01 * number for number, record in enumerate(records)}
    note = pages.sweep_note(
        sweep, records, standing(8, sorted(values.items(), key=lambda p: -p[1]))
    )
    head, first = rows(note)[:2]
    assert head == ["`encoding.base`", "`model.width`", "distinct 2000", "distinct null"]
    assert first[:2] == ["10", "32"]
    mean, half = (float(part) for part in first[2].split("±"))
    pair = [values[record["key"]] for record in records[:2]]
    low, high = stats.t.interval(
        0.95, 1, statistics.mean(pair), statistics.stdev(pair) / math.sqrt(2)
    )
    assert mean == pytest.approx(statistics.mean(pair), rel=1e-3)
    assert half == pytest.approx((high - low) / 2, rel=0.05)


def test_a_point_of_one_finished_seed_has_a_value_and_no_interval_and_one_of_none_is_empty():
    sweep = sweep_of("notes", bases=(10,))
    records = records_of(sweep)
    note = pages.sweep_note(sweep, records, standing(8, [(records[0]["key"], 0.25)], running=3))
    _, first, second = rows(note)[:3]
    assert first == ["10", "32", "0.25", ""]
    assert second == ["10", "64", "", ""]
    assert note.startswith(
        "1 of 8 trials have ended (3 running, 4 waiting), 2 h 30 min of training"
    )


def test_the_time_left_is_said_while_there_is_something_left():
    sweep = sweep_of("notes", bases=(10,))
    records = records_of(sweep)
    open_ones = pages.sweep_note(sweep, records, standing(8, []), seconds_left=7_200)
    assert "about 2 h 00 min left" in open_ones
    done = standing(8, [(record["key"], 0.5) for record in records])
    assert "left" not in pages.sweep_note(sweep, records, done, seconds_left=7_200)


def test_a_pack_takes_the_time_of_its_device_once_and_two_workers_theirs_each(
    tmp_path, monkeypatch
):
    ledger, sweep = Ledger(tmp_path), sweep_of("hours", bases=(10,))
    records = records_of(sweep)
    for number, record in enumerate(records):
        monkeypatch.setattr(os, "getpid", lambda number=number: 1 + number % 2)
        write_trial(ledger, record)  # each of them four seconds long, all at the same time
    backlog = Backlog(ledger, sweep.name, sweep.objective, records, "sqlite:///nowhere.db")
    backlog.open()
    ends = [backlog.ending(record["key"]).time_ms for record in records]
    spread_h = (max(ends) - min(ends)) / 3_600_000
    together = 2 * 4.0 / 3600
    assert together <= backlog.standing().device_hours <= together + 2 * spread_h + 1e-9
    assert backlog.standing().ended == 8


@pytest.mark.parametrize("bases", [3, 40, 900])
def test_a_note_fits_a_tag_and_says_what_it_leaves_out(bases):
    sweep = sweep_of("notes", bases=tuple(range(2, 2 + bases)))
    records = records_of(sweep)
    best = [(record["key"], 1 / (number + 3)) for number, record in enumerate(records)]
    note = pages.sweep_note(sweep, records, standing(len(records), best))
    assert len(note) <= LONGEST_TAG
    shown = len(rows(note)) - 2 - 5  # two heads, and the five best
    assert (f"and {2 * bases - shown:,} more rows" in note) == (shown < 2 * bases)
    assert shown > 5


def test_the_first_line_of_the_experiments_note_is_one_plain_sentence():
    sweep = sweep_of("notes", bases=(10, 30)).model_copy(
        update={"about": "Which base\nlearns most? Two are tried.", "source": "arXiv:2308.15594"}
    )
    note = pages.experiment_note(sweep, records_of(sweep))
    assert note.splitlines()[0] == "Which base learns most?"
    assert "Two are tried." in note
    assert "| `encoding.base` | 10, 30 |" in note


def test_a_value_with_a_bar_does_not_break_the_table():
    sweep = sweep_of("notes", bases=(10,))
    records = records_of(sweep)
    for record in records:
        record["point"]["model.kind"] = "a|b"
    note = pages.sweep_note(sweep, records, standing(8, [(records[0]["key"], 0.5)]))
    assert "a\\|b" in note
    assert "a|b" not in note.replace("a\\|b", "").replace("seed", "").split("\n", 1)[1]
