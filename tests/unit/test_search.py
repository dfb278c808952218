import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from sweeps.publishing.pages import experiment_note
from sweeps.ranges import Choice, LogUniform, LogWhole, Range, Uniform, Whole
from sweeps.search import Search
from sweeps.searching.points import drawn, looked_at, written
from sweeps.searching.survey import show_survey, survey, survey_document
from sweeps.spec import SpecError, from_resolved, load, resolved_text
from sweeps.storage.ledger import Ledger
from tests.searches import SPACE, finish, outlined, searched

RANGES = [
    Uniform(low=-1.0, high=3.0),
    Uniform(low=1e6, high=1e6 + 1e-3),
    LogUniform(low=1e-4, high=1e-1),
    LogUniform(low=1.0, high=1.0001),
    Whole(low=2, high=20, step=3),
    LogWhole(low=1, high=1000),
    Choice(values=(4, "rope", None, {"kind": "alibi"})),
]


@pytest.mark.parametrize("one", RANGES, ids=lambda one: one.words())
@given(share=st.floats(0, 1, exclude_max=True))
def test_every_share_of_a_range_is_a_value_that_it_holds_also_without_needless_digits(
    one: Range, share: float
):
    value = one.at(share)
    assert one.holds(value)
    neat = one.neat(value)
    assert one.holds(neat)
    assert one.neat(neat) == neat
    assert len(repr(neat)) <= 22


@pytest.mark.parametrize("one", RANGES, ids=lambda one: one.words())
def test_the_ends_of_a_range_belong_to_it_and_what_lies_outside_does_not(one: Range):
    assert all(one.holds(end) for end in one.ends())
    assert not one.holds("elsewhere")
    if not isinstance(one, Choice):
        low, high = one.ends()
        assert not one.holds(low - 1)
        assert not one.holds(high + 1)
        assert one.at(0.0) == pytest.approx(low)
        assert one.at(1 - 1e-12) == pytest.approx(high)


def test_a_log_uniform_range_gives_each_decade_as_many_values():
    one = LogUniform(low=1e-4, high=1e-1)
    values = [one.at((number + 0.5) / 300) for number in range(300)]
    for low in (1e-4, 1e-3, 1e-2):
        assert sum(low <= value < 10 * low for value in values) == 100


def test_a_point_drawn_again_with_the_same_words_is_the_same_and_its_fields_are_independent():
    space = {f"field{number}": Uniform(low=0.0, high=1.0) for number in range(200)}
    point = drawn(space, "seed 1")
    assert point == drawn(space, "seed 1")
    assert point != drawn(space, "seed 2")
    assert point["field7"] == drawn({"field7": space["field7"]}, "seed 1")["field7"]
    assert 0.4 < sum(point.values()) / 200 < 0.6


def test_every_end_of_a_space_of_any_size_is_looked_at():
    space = {f"field{number}": Choice(values=tuple(range(9))) for number in range(12)}
    rows = looked_at(space)
    assert len(rows) < 300
    assert len({written(row) for row in rows}) == len(rows)
    for field in space:
        assert {row[field] for row in rows} == set(range(9))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"search": {"trials": 0}}, "search.trials"),
    ({"search": {"space": {}}}, "search.space"),
    ({"space": {"seed": {"kind": "whole", "low": 0, "high": 9}}}, "seed"),
    ({"space": {"optimizer.lr": {"kind": "log_uniform", "low": 0.0, "high": 1.0}}}, "low"),
    ({"space": {"optimizer.lr": {"kind": "uniform", "low": 1.0, "high": 1.0}}}, "high above low"),
    ({"space": {"model.width": {"kind": "whole", "low": 4, "high": 9, "step": 2}}}, "multiple"),
    ({"space": {"model.width": {"kind": "choice", "values": [4, 4]}}}, "each value once"),
    ({"space": {"optimizer.lr": {"kind": "lognormal"}}}, "log_uniform"),
    ({"search": {"scheduler": {"kind": "pbt"}}}, "copies weights between trials"),
    ({"search": {"scheduler": {"kind": "asha", "grace": 1.0}}}, "grace"),
    ({"search": {"scheduler": {"kind": "hyperband", "brackets": 9}}}, "at most 3 brackets"),
    ({"search": {"searcher": {"kind": "grid"}}}, "random, optuna"),
    ({"search": {"at_once": 0}}, "at_once"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_search_that_cannot_be_is_refused_in_one_line_that_names_its_place(
    tmp_path: Path, changes: dict[str, Any], words: str
):
    with pytest.raises(ValidationError):
        searched(**changes)
    good = json.loads(searched().model_dump_json())
    good["search"] |= changes.get("search", {})
    good["search"]["space"] = changes.get("space", good["search"]["space"])
    if "search" in changes and "space" in changes["search"]:
        good["search"]["space"] = changes["search"]["space"]
    file = tmp_path / "hunt.yaml"
    file.write_text(json.dumps(good))
    with pytest.raises(SpecError) as error:
        load(str(file))
    assert words in str(error.value)
    assert "search" in str(error.value)
    assert "\n" not in str(error.value)


MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"replicates": 2}, "replicates: expected 1 beside search, got 2"),
    (
        {"axes": [{"kind": "values", "field": "model.width", "values": [4, 8]}]},
        "model.width in both",
    ),
    (
        {"space": {"model.width": {"kind": "choice", "values": [4, -8]}}},
        "search.space: model.width = -8",
    ),
    (
        {"space": {**SPACE, "model.depth": {"kind": "choice", "values": [1, 2]}}},
        "search.space: model.depth",
    ),
    (
        {"space": {"model.width": {"kind": "choice", "values": [4, 8]}}},
        "search.trials: expected at most 2, the places of the space, got 10",
    ),
    ({"objective": {"metric": "flops", "mode": "min"}}, "objective.metric"),
    ({"objective": {"metric": "accuracy", "mode": "max"}}, "objective.metric"),
    (
        {
            "search": {"scheduler": {"kind": "asha"}},
            "trial": {
                **json.loads(searched().model_dump_json())["trial"],
                "evaluation": {"points": 1},
            },
        },
        "trial.evaluation.points: expected at least 2",
    ),
]


@pytest.mark.parametrize(("changes", "words"), MISFITS, ids=[words for _, words in MISFITS])
def test_a_search_whose_space_or_objective_does_not_fit_its_trial_is_refused_before_it_starts(
    changes: dict[str, Any], words: str
):
    with pytest.raises(SpecError) as error:
        outlined(searched(**changes))
    assert words in str(error.value)
    assert error.value.place


def test_a_whole_range_with_values_between_its_ends_that_are_no_trials_is_refused():
    trial = {
        "task": {"kind": "gcd", "largest": 99, "top_class": 5},
        "encoding": {"kind": "digits", "base": 10},
        "model": {"kind": "transformer", "width": 16, "heads": 8},
        "budget": {"steps": 20},
    }
    space = {"model.width": {"kind": "whole", "low": 16, "high": 64}}
    with pytest.raises(SpecError, match=r"search\.space: model\.width = \d+: "):
        outlined(searched(space=space, trial=trial, trials=5))
    space["model.width"]["step"] = 8
    assert outlined(searched(space=space, trial=trial, trials=5)).cells == ({},)


def test_axes_beside_a_search_are_cells_and_the_trials_are_shared_among_them():
    axes = [{"kind": "values", "field": "batch_size", "values": [8, 16]}]
    found = outlined(searched(axes=axes))
    assert found.cells == ({"batch_size": 8}, {"batch_size": 16})
    with pytest.raises(SpecError, match="each of the 2 cells"):
        outlined(searched(axes=axes, trials=1))


def test_a_stored_search_is_read_back_as_it_was():
    sweep = searched(search={"searcher": {"kind": "optuna"}, "scheduler": {"kind": "hyperband"}})
    assert from_resolved(resolved_text(sweep)) == sweep
    assert Search.model_fields["scheduler"].default.kind == "none"


def test_the_plan_of_a_search_says_its_space_and_the_price_of_its_cheapest_and_dearest_point(
    tmp_path,
):
    found = survey(outlined(searched()), Ledger(tmp_path), device="cpu", workers=2)
    assert found.cheapest.trial.point["model.width"] == 4
    assert found.dearest.trial.point["model.width"] == 8
    assert found.cheapest.trial.flops < found.dearest.trial.flops
    assert found.left == 10
    console = Console(record=True, width=200)
    show_survey(found, console)
    text = console.export_text()
    assert "10 trials, searched by random with seed 0: 10 to be suggested" in text
    assert "0.0001 to 0.1, log_uniform" in text
    assert "4, 8" in text
    assert all(word in text for word in ("cheapest", "median", "dearest"))
    document = survey_document(found)
    assert json.loads(json.dumps(document))["total"]["trials"] == 10


def test_a_search_that_could_cost_more_than_its_budget_is_refused(tmp_path):
    sweep = searched(budget={"flops": 1e3})
    found = survey(outlined(sweep), Ledger(tmp_path), device="cpu", workers=2)
    with pytest.raises(SpecError, match=r"budget\.flops: expected at most"):
        found.check_budget()
    roomy = searched(budget={"flops": 1e15, "trials": 10})
    survey(outlined(roomy), Ledger(tmp_path), device="cpu", workers=2).check_budget()


def test_trials_of_a_search_that_are_done_are_not_in_its_price(tmp_path):
    ledger = Ledger(tmp_path)
    found = outlined(searched(trials=3))
    trial = found.trial({}, {"optimizer.lr": 0.01, "model.width": 4})
    assert trial is not None
    finish(ledger, trial, [1.0, 0.5])
    ledger.sweep("hunt").write_plan(resolved_text(found.sweep), [trial.record()])
    priced = survey(found, ledger, device="cpu", workers=1)
    assert [state for _, state in priced.known] == ["finished"]
    assert priced.left == 2


def test_the_note_in_mlflow_says_the_space_and_does_not_change_as_the_search_grows():
    sweep = searched(search={"scheduler": {"kind": "asha"}})
    trial = outlined(sweep).trial({}, {"optimizer.lr": 0.01, "model.width": 4})
    assert trial is not None
    note = experiment_note(sweep, [])
    assert note == experiment_note(sweep, [trial.record()])
    assert "10 trials, searched by random with seed 0, stopped early by asha" in note
    assert "| `optimizer.lr` | 0.0001 to 0.1, log_uniform |" in note
