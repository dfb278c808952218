"""Every check of a design: one sweep or table that triggers it, and one that does not."""

from typing import Any

import pandas as pd
import pytest

from analysis.checks.checks import CHECKS, design_checks, table_checks
from analysis.checks.columns import Design
from analysis.runs import Runs
from sweeps.spec import load
from tests.design_cases import (
    BY_BOTH,
    CASES,
    RATES,
    Case,
    case_of,
    continuum,
    of_sweep,
    of_table,
    surface,
    tuned,
)
from trainers.schema import InputError


@pytest.mark.parametrize("name", CASES)
def test_a_check_speaks_where_it_should_and_is_silent_where_it_should_not(name):
    code = CASES[name][0]
    assert code in case_of(name, bad=True).codes()
    assert code not in case_of(name, bad=False).codes()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_check_speaks_of_some_case_and_is_silent_of_another(check):
    assert any(speaks(check, case_of(name, bad=True)) for name in CASES)
    assert not all(speaks(check, case_of(name, bad=False)) for name in CASES)


def speaks(check: Any, case: Case) -> bool:
    of: Any = case
    design = Design(of.runs, of.inputs, of.target, of.sweep, of.pool, of.cluster)
    return bool(list(check(design)))


def test_a_clean_table_has_no_findings():
    assert of_table(surface()).codes() == []
    assert of_table(continuum()).codes() == []


def test_a_clean_sweep_has_no_findings():
    case = tuned(lambda params: 0.2 * params**-0.6, RATES)
    assert case.codes() == []


@pytest.mark.parametrize("name", CASES)
def test_every_finding_says_numbers_and_what_to_do(name):
    case = case_of(name, bad=True)
    more: Any = {"pool": case.pool, "cluster": case.cluster}
    if case.sweep is None:
        found = table_checks(case.runs, case.inputs, case.target, **more)
    else:
        found = design_checks(case.sweep, case.runs, case.inputs, case.target, **more)
    for one in found:
        assert any(letter.isdigit() for letter in one.text), one
        assert ";" in one.text or ":" in one.text, one  # what is so; what to do about it
        assert "nan" not in one.text.split(), one
        assert "\n" not in one.text


@pytest.mark.parametrize("name", ["quickstart", "square-width"])
def test_sweeps_that_ship_are_judged_by_what_they_are(name):
    sweep = load(name)
    codes = of_sweep(sweep, {"x": "model.width"}, "median").codes()
    allowed = {
        "quickstart": {"data_repeated", "rate_untuned", "embeddings_counted"},
        "square-width": {"rate_untuned", "batch_untuned"},  # one batch for 16 times the steps
    }
    assert set(codes) <= allowed[name]
    assert ("data_repeated" in codes) == (name == "quickstart")  # 4,000 of 42,000 examples


def test_missing_columns_are_refused_by_name():
    with pytest.raises(InputError, match="tokens: expected a column"):
        table_checks(Runs(pd.DataFrame({"params": [1.0], "loss": [2.0]})), BY_BOTH, "loss")


def test_nothing_is_said_about_a_table_without_rows():
    empty = Runs(pd.DataFrame({"params": [], "tokens": [], "loss": []}))
    assert table_checks(empty, BY_BOTH, "loss") == ()


@pytest.mark.parametrize("cells", [[None, "x", True], [float("inf"), -1.0, 0.0], [[1, 2], [], [3]]])
@pytest.mark.parametrize(
    "column", ["lr", "seed", "run", "flops", "schedule", "steps", "perplexity"]
)
def test_columns_of_anything_break_no_check(column, cells):
    rows = surface()
    for number, row in enumerate(rows):
        row[column] = cells[number % 3]
    of_table(rows).codes()


@pytest.mark.parametrize("cells", [[None, "x", True], [float("inf"), -1.0, 0.0]])
@pytest.mark.parametrize("column", ["params", "tokens", "loss"])
def test_inputs_and_targets_of_anything_break_no_check(column, cells):
    rows = surface(lr=1e-3, seed=1, run="a")
    for number, row in enumerate(rows):
        row[column] = cells[number % 3]
    of_table(rows).codes()


def test_texts_from_a_csv_file_are_read_as_the_numbers_that_they_spell():
    rows = surface(lr=3e-4, batch_size=256)
    texts = [{name: str(value) for name, value in row.items()} for row in rows]
    assert of_table(texts).codes() == of_table(rows).codes() == ["rate_untuned", "batch_untuned"]
