"""The commands on published tables, as a person types them: text, strict JSON, warnings, a report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[1] / "data"
CHINCHILLA = DATA / "chinchilla_epoch_245.csv"
OVER_TRAINING = DATA / "overtraining_gadre_104.csv"
REPEATED = DATA / "data_constrained_182.csv"
ROUTED = DATA / "routed_moe_final_losses.csv"

# The fit of single-epoch runs of the authors: what the repeats add is fitted alone.
KNOWN = ["E=1.8691", "A=520.57", "B=1487.7", "alpha=0.3526596", "beta=0.3526596"]
FIXED = [word for one in KNOWN for word in ("--fix", one)]
ROUTER = "routing_frequency == 0.5 and k == 1 and seed == 42 and router_type == S-Base"

FITS = {
    "chinchilla": [CHINCHILLA, "--law", "chinchilla", "--where", "loss < 3.44"],
    "compute": [CHINCHILLA, "--law", "power_floor", "--map", "x=flops"],
    "over_training": [
        OVER_TRAINING, "--law", "over_training", "--where", "dataset == rpj",
        "--map", "ratio=token_multiplier", "loss=loss_c4_val",
    ],
    "error_of_loss": [
        OVER_TRAINING, "--law", "error_of_loss", "--where", "dataset == rpj",
        "--map", "loss=loss_c4_val", "error=err_avg_17",
    ],
    "repeated": [REPEATED, "--law", "data_constrained", *FIXED],
    "routed": [
        ROUTED, "--law", "moe_saturating", "--where", ROUTER,
        "--map", "params=dense_parameter_count", "experts=num_experts", "loss=loss_validation",
    ],
}  # fmt: skip
COMPARISONS = {
    "chinchilla": [CHINCHILLA, "--laws", "chinchilla,chinchilla_tied", "--where", "loss < 3.44"],
    "over_training": [
        OVER_TRAINING, "--laws", "over_training,loss = E + a / flops^c", "--where",
        "dataset == rpj", "--map", "ratio=token_multiplier", "loss=loss_c4_val",
    ],
    "repeated": [REPEATED, "--laws", "chinchilla,chinchilla_tied"],
    "routed": [
        ROUTED, "--laws", "moe_bilinear,loss = E + A / params^alpha", "--where", ROUTER,
        "--map", "params=dense_parameter_count", "experts=num_experts", "loss=loss_validation",
    ],
}  # fmt: skip


def _run(*arguments: object) -> str:
    """What a command prints; it fails unless the command ends well and says nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "analysis.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _refused(text: str) -> float:
    raise AssertionError(f"expected strict JSON, got {text}")


TABLES = ("chinchilla", "over_training", "repeated", "routed")  # one fit of each, in every run


@pytest.mark.parametrize("name", TABLES)
def test_a_fit_is_one_strict_document_with_the_warnings_that_are_due(name: str):
    _checked(name, json.loads(_run("fit", *FITS[name], "--json"), parse_constant=_refused))


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_a_report_stands_in_its_folder_with_its_figures(name: str, tmp_path: Path):
    folder = tmp_path / "report"
    printed = _run("fit", *FITS[name], "--json", "--report", folder)
    found = json.loads(printed, parse_constant=_refused)
    _checked(name, found)
    page = (folder / "report.html").read_text()
    assert found["law"] in page
    assert "<script src" not in page
    assert (folder / "report.md").read_text().startswith("# ")
    json.loads((folder / "study.json").read_text(), parse_constant=_refused)
    figures = [one.suffix for one in (folder / "figures").iterdir()]
    assert figures.count(".svg") == figures.count(".png") > 0


def _checked(name: str, found: dict[str, Any]) -> None:
    for one in found["coefficients"].values():
        assert one["low"] <= one["value"] <= one["high"]
        assert one["standard_error"] >= 0
    assert found["objective"] > 0
    assert found["backtests"]
    assert found["trust"]["verdict"] in ("trust", "with care", "do not use")
    weak = [one["text"] for one in found["warnings"] if one["code"] == "weak"]
    if name == "chinchilla":
        assert (found["status"], found["rows"], weak) == ("converged", 240, [])
    if name == "repeated":
        assert found["status"] == "not identified"
        assert any(text.startswith("RD is weakly identified") for text in weak)
    if name == "routed":
        assert found["rows"] == 53


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_comparison_is_one_strict_document_with_every_law_ranked(name: str):
    printed = _run("compare", *COMPARISONS[name], "--json")
    found = json.loads(printed, parse_constant=_refused)
    errors = [one["held_out_error"] for one in found["laws"]]
    assert len(errors) == 2
    assert errors == sorted(errors)
    assert all(one["refused"] == "" for one in found["laws"])


def test_the_terminal_says_the_verdict_first_and_no_colour_in_a_pipe():
    printed = _run("fit", *FITS["chinchilla"], "--bootstrap", 200)
    assert printed.startswith("alpha = 0.347 (")
    assert "trust" in printed.splitlines()[0]
    assert "\x1b" not in printed
    assert "5 left out by --where loss < 3.44" in " ".join(printed.split())
