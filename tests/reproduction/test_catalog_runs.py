"""The catalogue sweeps of the demo, run whole; minutes long, so `pytest -m slow` runs them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration import sweeping

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def study_of(name: str, storage: Path) -> dict[str, Any]:
    """The study of a catalogue sweep that was launched on an embedded Ray."""
    launched = sweeping.run("launch", name, "--storage", storage, "--yes", timeout_s=1500)
    assert launched.returncode == 0, launched.stdout + launched.stderr
    reported = sweeping.run("report", name, "--storage", storage)
    assert reported.returncode == 0, reported.stdout + reported.stderr
    return json.loads((storage / "sweeps" / name / "report" / "study.json").read_text())


def test_gcd_accuracy_is_what_theory_gives_for_the_divisors_that_were_learned(tmp_path):
    study = study_of("quickstart", tmp_path)
    table = study["tables"][0]
    assert {row["fields"]["encoding.base"] for row in table["rows"]} == {6, 10, 12, 30, 31}
    for row in table["rows"]:
        measured, oracle = row["metrics"]["accuracy"]["mean"], row["beside"]["mean"]
        assert abs(measured - oracle) <= 0.015, row["fields"]


def test_the_loss_on_a_parabola_falls_with_the_first_power_of_the_width_not_the_fourth(tmp_path):
    study = study_of("square-width", tmp_path)
    (long,) = [fit for fit in study["fits"] if fit["group"]["budget.steps"] == 5_000]
    exponent = long["fit"]["coefficients"]["c"]
    assert exponent["low"] <= 1.0 <= exponent["high"]
    assert exponent["high"] < 4.0
