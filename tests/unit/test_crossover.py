"""Crossovers of two fitted laws, against closed forms."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.cli import main
from analysis.custom import any_law
from analysis.engine.objective import Objective
from analysis.fit import Fit, fit
from analysis.judgement.between_groups import cross
from analysis.judgement.crossover import along, as_document, at_ratio, crossover
from analysis.law import find_law
from analysis.runs import Runs
from analysis.uncertainty.paired import drawn_together, same_rows
from trainers.schema import InputError

POWER, FLOOR = find_law("power"), find_law("power_floor")
SIZES = np.tile(2.0 ** np.arange(10), 3)
SQUARES = Objective(kind="squares")


def _fit(loss: np.ndarray, law=POWER, x: np.ndarray = SIZES, target: str = "loss") -> Fit:
    runs = Runs(pd.DataFrame({"x": x, target: loss}))
    return fit(law, runs, {"x": "x"}, target, objective=SQUARES, bootstrap=0)


def _noise(seed: int, scale: float = 0.05) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, scale, len(SIZES)))


def test_two_power_laws_meet_where_their_formulas_say():
    # 2 x^-0.3 = 4 x^-0.5 at x = 2^5
    found = crossover(_fit(2 * SIZES**-0.3), _fit(4 * SIZES**-0.5), names=("slow", "fast"))
    assert found.scale == pytest.approx(32.0, rel=1e-8)
    assert found.crossings == (found.scale,)
    assert (found.better_below, found.better_beyond) == ("slow", "fast")
    assert "fast is better beyond 32" in found.text


def test_a_law_that_is_higher_is_the_better_when_more_is_wanted():
    found = crossover(
        _fit(2 * SIZES**-0.3), _fit(4 * SIZES**-0.5), names=("slow", "fast"), mode="max"
    )
    assert (found.better_below, found.better_beyond) == ("fast", "slow")


def test_every_draw_crosses_where_its_formulas_say():
    one, other = _fit(2 * SIZES**-0.3 * _noise(1)), _fit(4 * SIZES**-0.5 * _noise(2))
    found = crossover(one, other, seed=3)
    first, second = drawn_together(one, other, 1_000, 3)
    exact = (first[:, 0] / second[:, 0]) ** (1 / (first[:, 1] - second[:, 1]))
    assert found.draws == 1_000
    assert found.probability_within == 1.0
    low, high = np.percentile(exact, [2.5, 97.5], method="inverted_cdf")
    assert found.low == pytest.approx(low, rel=1e-4)
    assert found.high == pytest.approx(high, rel=1e-4)
    inside = ((exact >= 1) & (exact <= 512)).mean()
    assert found.probability_inside == pytest.approx(inside, abs=1e-9)


def test_the_same_rows_are_drawn_together():
    loss = (1 + 3 * SIZES**-0.5) * _noise(4, 0.2)
    one, other = _fit(loss), _fit(loss, FLOOR)
    assert crossover(one, other, bootstrap=50).paired
    first, second = drawn_together(one, one, 400, 1)
    np.testing.assert_array_equal(first, second)
    # other measurements of the same sizes are other rows
    again = _fit((1 + 3 * SIZES**-0.5) * _noise(5, 0.2))
    assert not same_rows(one, again)
    first, second = drawn_together(one, again, 400, 1)
    assert abs(np.corrcoef(first[:, 1], second[:, 1])[0, 1]) < 0.2


def test_the_chance_to_be_better_is_that_of_two_straight_lines():
    # Independent lines in ln x: the gap at a place is normal around its estimate.
    generator = np.random.default_rng(5)
    x = np.exp(generator.uniform(0, 6, 200))
    losses = [2 * x**-0.30 * np.exp(generator.normal(0, 0.5, 200)) for _ in range(2)]
    fits = [_fit(loss, x=x) for loss in losses]
    end = 1e4
    found = crossover(*fits, within=(1.0, end), bootstrap=1_000)
    gaps, variance = [], 0.0
    for loss in losses:
        line = stats.linregress(np.log(x), np.log(loss))
        gaps.append(line.intercept + line.slope * np.log(end))
        left = np.log(loss) - line.intercept - line.slope * np.log(x)
        apart = (np.log(end) - np.log(x).mean()) ** 2 / ((np.log(x) - np.log(x).mean()) ** 2).sum()
        variance += (left**2).sum() / 198 * (1 / 200 + apart)
    expected = stats.norm.cdf(abs(gaps[0] - gaps[1]) / np.sqrt(variance))
    assert found.probability_beyond == pytest.approx(expected, abs=0.04)
    assert found.better_beyond == ("the first" if gaps[0] < gaps[1] else "the second")


def test_laws_that_do_not_meet_have_open_ends():
    found = crossover(_fit(2 * SIZES**-0.3 * _noise(6)), _fit(4 * SIZES**-0.3 * _noise(7)),
                      within=(1.0, 1024.0))  # fmt: skip
    assert (found.scale, found.low, found.high) == (None, None, None)
    assert found.probability_within == 0.0
    assert "the first is better from 1 to 1.02e+03 (at 1.02e+03 in 100 % of" in found.text


def test_an_interval_that_leaves_the_range_is_open():
    one, other = _fit(2 * SIZES**-0.30 * _noise(8)), _fit(4 * SIZES**-0.42 * _noise(9))
    found = crossover(one, other, within=(1.0, 330.0))
    assert found.probability_within is not None
    assert 0.3 < found.probability_within < 0.975
    assert found.high is None
    assert found.low is not None
    assert "beyond 330" in found.text


def test_several_crossings_are_all_found():
    # 1 + 4 / x and 5.5 / x^0.5 - 0.35: a quadratic in 1 / sqrt(x)
    one = _fit(1 + 4 / SIZES, FLOOR)
    other = _fit(4.5 * SIZES**-0.5)
    roots = np.sort(np.roots([4.0, -4.5, 1.0]) ** -2)
    found = crossover(one, other, bootstrap=0)
    np.testing.assert_allclose(found.crossings, roots, rtol=1e-6)
    assert found.scale == pytest.approx(roots[-1], rel=1e-6)
    assert "several_crossings" in [one.code for one in found.warnings]


def test_a_crossing_that_nothing_shows_is_said():
    found = crossover(_fit(2 * SIZES**-0.3), _fit(20 * SIZES**-0.5), within=(1.0, 1e6), bootstrap=0)
    assert found.scale == pytest.approx(1e5, rel=1e-6)
    codes = [one.code for one in found.warnings]
    assert codes == ["no_interval", "crossing_outside_data"]
    assert "195 times beyond the largest scale" in found.warnings[1].text


def test_a_law_and_itself_are_the_same():
    same = _fit(2 * SIZES**-0.3 * _noise(10))
    assert crossover(same, same).text == "both laws are the same"


def test_laws_of_two_inputs_meet_along_a_path():
    generator = np.random.default_rng(11)
    params, tokens = 10 ** generator.uniform(6, 9, 40), 10 ** generator.uniform(8, 11, 40)
    table = pd.DataFrame({"params": params, "tokens": tokens})
    table["first"] = 1.8 + 400 * params**-0.34 + 400 * tokens**-0.28
    law = find_law("chinchilla")
    inputs = {"params": "params", "tokens": "tokens"}
    fits = []
    for floor in (1.8, 1.6):
        table["loss"] = floor + 400 * params**-0.34 + (1 - 5 * (floor - 1.8)) * 400 * tokens**-0.28
        fits.append(fit(law, Runs(table), inputs, "loss", bootstrap=0))
    path = at_ratio(20.0)
    spot = path(np.array([6e18]))
    assert 6 * spot["params"] * spot["tokens"] == pytest.approx(6e18)
    # floors differ by 0.2, data terms by 400 tokens^-0.28
    tokens_there = (0.2 / 400) ** (-1 / 0.28)
    found = crossover(
        fits[0], fits[1], paths=(path, path), inside=(1e15, 1e21), within=(1e15, 1e25), bootstrap=0
    )
    assert found.scale == pytest.approx(6 * tokens_there**2 / 20, rel=1e-3)


def test_what_cannot_be_compared_is_refused():
    one = _fit(2 * SIZES**-0.3)
    with pytest.raises(InputError, match="expected fits of one target, got loss and error"):
        crossover(one, _fit(2 * SIZES**-0.3, target="error"))
    with pytest.raises(InputError, match="within: expected 0 < low < high"):
        crossover(one, one, within=(5.0, 5.0))
    with pytest.raises(InputError, match="inside: expected the range of the data"):
        crossover(one, one, paths=(along("x"), along("x")))


def test_a_crossover_is_plain_data():
    one, other = _fit(2 * SIZES**-0.3 * _noise(1)), _fit(4 * SIZES**-0.5 * _noise(2))
    document = as_document(crossover(one, other, bootstrap=100))
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def _two_groups() -> Runs:
    """Exact runs of 2 x^-0.3 (slow) and 4 x^-0.5 (fast), which meet at 32."""
    table = pd.DataFrame({"x": np.tile(SIZES[:10], 2), "how": ["slow"] * 10 + ["fast"] * 10})
    table["loss"] = np.where(table.how == "slow", 2 * table.x**-0.3, 4 * table.x**-0.5)
    return Runs(table)


def test_two_groups_of_a_table_cross_where_their_laws_do():
    found = cross(POWER, _two_groups(), {"x": "x"}, "loss", split="how", bootstrap=0)
    assert found.names == ("fast", "slow")
    assert found.found.scale == pytest.approx(32.0, rel=1e-6)
    assert found.found.better_beyond == "fast"
    assert found.found.inside == (1.0, 512.0)
    assert [one.rows for one in found.fits] == [10, 10]


def test_groups_cross_along_compute_at_equal_tokens_per_parameter():
    params, tokens = (
        one.ravel() for one in np.meshgrid(10.0 ** np.arange(6, 11), [1e8, 1e9, 1e10])
    )
    tables = []
    for name, amplitude, power in (("a", 40.0, 0.2), ("b", 400.0, 0.35)):
        loss = amplitude * params**-power + 100 * tokens**-0.3
        tables.append(pd.DataFrame({"N": params, "D": tokens, "loss": loss, "kind": name}))
    runs = Runs(pd.concat(tables, ignore_index=True))
    law = any_law("loss = A / params^p + B / tokens^q", ("params", "tokens", "loss"))
    found = cross(
        law, runs, {"params": "N", "tokens": "D"}, "loss", split="kind", along="compute",
        held={"ratio": 20.0}, bootstrap=0, objective=SQUARES,
    )  # fmt: skip
    # The terms of the tokens are equal, so the laws meet where those of the parameters do.
    meet = (400 / 40) ** (1 / (0.35 - 0.2))
    assert found.found.scale == pytest.approx(6 * 20 * meet**2, rel=1e-4)
    assert found.held == (("ratio", 20.0),)
    still = cross(
        law, runs, {"params": "N", "tokens": "D"}, "loss", split="kind", along="params",
        bootstrap=0, objective=SQUARES,
    )  # fmt: skip
    assert still.found.scale == pytest.approx(meet, rel=1e-4)
    assert dict(still.held)["tokens"] == pytest.approx(1e9)  # the geometric mean


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "nobody"}, "expected a column"),
        ({"split": "x"}, "expected two values"),
        ({"split": "how", "names": ("slow", "sloth")}, "expected one of fast, slow, got sloth"),
        ({"split": "how", "names": ("slow", "slow")}, "two different"),
        ({"split": "how", "along": "y"}, "expected x"),
        ({"split": "how", "held": {"y": 1.0}}, "expected nothing"),
    ],
)
def test_groups_that_cannot_be_crossed_are_refused(options: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        cross(POWER, _two_groups(), {"x": "x"}, "loss", bootstrap=0, **options)


def test_the_crossover_of_a_table_is_a_command_with_a_report(tmp_path: Path, capsys: Any):
    table = tmp_path / "runs.csv"
    _two_groups().table.to_csv(table, index=False)
    told = ["crossover", str(table), "--law", "power", "--split", "how=slow,fast"]
    assert main([*told, "--bootstrap", "0", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["crossover"]["scale"] == pytest.approx(32.0, rel=1e-6)
    assert data["crossover"]["better_beyond"] == "fast"
    assert list(data["fits"]) == ["slow", "fast"]
    folder = tmp_path / "report"
    assert main([*told, "--bootstrap", "0", "--report", str(folder)]) == 0
    assert "fast is better beyond 32" in capsys.readouterr().out
    assert "fast is better beyond 32" in (folder / "report.html").read_text()
    assert (folder / "figures/crossing-laws.svg").is_file()
    evil = _two_groups().table.replace({"how": {"slow": "<script>alert(1)</script>"}})
    evil.to_csv(table, index=False)
    told = [*told[:-1], "how", "--bootstrap", "0", "--report", str(folder)]
    assert main(told) == 0
    assert "<script>" not in (folder / "report.html").read_text()
    assert main([*told[:5], "how=slow"]) == 2
    assert "COLUMN=ONE,OTHER" in capsys.readouterr().err
