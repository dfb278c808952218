"""Decisions from the command line and from a sweep file, through to the page and its numbers."""

import json
import math
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.cli import main
from analysis.decisions import WEAK, Decisions, unasked
from analysis.engine.compiled import predict
from analysis.fit import fit
from analysis.law import find_law
from analysis.reporting.answer import answer
from analysis.reporting.decision_sections import decided_sections, next_runs_section
from analysis.reporting.report import write_report
from analysis.runs import Runs
from analysis.study import study
from analysis.trials import as_runs
from sweeps.spec import SpecError, Sweep, from_resolved, load, resolved_text
from tests.sweep_trials import MadeTrial

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
TRUE = {"E": 1.2, "A": 300.0, "B": 500.0, "alpha": 0.4, "beta": 0.35}
SURFACE = ["fit", str(TABLE), "--law", "chinchilla", "--where", "loss < 3.44"]
CURVE = ["fit", str(TABLE), "--law", "power_floor", "--map", "x=flops"]


def _document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json", "--bootstrap", "200"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


def test_budgets_give_the_best_sizes_of_the_closed_form(capsys: pytest.CaptureFixture[str]):
    found = _document(capsys, *SURFACE, "--budget", "1e21", "--budget", "1e24")
    c = {name: one["value"] for name, one in found["coefficients"].items()}
    made = found["decisions"]["allocation"]
    both = c["alpha"] + c["beta"]
    scale = (c["alpha"] * c["A"] / (c["beta"] * c["B"])) ** (1 / both)
    assert [one["budget"] for one in made["best"]] == [1e21, 1e24]
    for one in made["best"]:
        size = scale * (one["budget"] / 6) ** (c["beta"] / both)
        assert one["params"]["value"] == pytest.approx(size, rel=1e-9)
        assert one["tokens"]["value"] == pytest.approx(one["budget"] / 6 / size, rel=1e-9)
        assert one["params"]["low"] < size < one["params"]["high"]
        assert one["alternatives"][0]["what"] == "20 tokens per parameter"
    near, far = (
        {each["code"] for each in one["warnings"]} & {"beyond_backtests"} for one in made["best"]
    )
    assert (near, far) == (set(), {"beyond_backtests"})


def test_a_throughput_turns_budgets_into_gpu_hours(capsys: pytest.CaptureFixture[str]):
    hours = 1e21 / 4e14 / 3600
    plain = _document(capsys, *SURFACE, "--budget", "1e21", "--narrow", "alpha", "--spend", "1e21")
    timed = _document(
        capsys, *SURFACE, "--cost", "6nd throughput=4e14", "--budget", repr(hours),
        "--narrow", "alpha", "--spend", repr(hours),
    )  # fmt: skip
    assert timed["decisions"]["allocation"]["cost"]["unit"] == "GPU hours"
    one, other = (each["decisions"]["allocation"]["best"][0] for each in (plain, timed))
    assert other["params"]["value"] == pytest.approx(one["params"]["value"], rel=1e-6)
    one, other = (each["decisions"]["next_runs"][0] for each in (plain, timed))
    assert other["unit"] == "GPU hours"
    assert [each["place"] for each in other["batch"]] == [each["place"] for each in one["batch"]]
    assert other["spent"] == pytest.approx(one["spent"] / 4e14 / 3600)
    assert other["spent"] <= hours


def test_a_reach_is_the_scale_at_which_the_printed_law_comes_to_it(
    capsys: pytest.CaptureFixture[str],
):
    found = _document(capsys, *CURVE, "--reach", "2.0", "--reach", "1.0")
    c = {name: one["value"] for name, one in found["coefficients"].items()}
    first, second = found["decisions"]["reach"]
    assert first["scale"]["value"] == pytest.approx(
        (c["b"] / (2 - c["E"])) ** (1 / c["c"]), rel=1e-8
    )
    assert second["scale"] is None
    assert second["probability_unreachable"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "decision"),
    [
        ([*SURFACE, "--narrow", "beta"], "beta (data exponent)"),
        (
            [*SURFACE, "--narrow", "loss params=1e11 tokens=2e12"],
            "the loss at params 1.0e11, tokens 2.0e12",
        ),
        ([*SURFACE, "--narrow", "best_size=1e23"], "the best size at 1.0e23 FLOPs"),
        ([*CURVE, "--narrow", "reach=2.1"], "the x at which loss comes to 2.1"),
    ],
)
def test_every_decision_can_be_narrowed(
    capsys: pytest.CaptureFixture[str], arguments: list[str], decision: str
):
    (found,) = _document(capsys, *arguments)["decisions"]["next_runs"]
    assert found["decision"] == decision
    assert found["batch"]
    assert found["share_left"] < 0.95
    assert found["spent"] <= found["budget"] * (1 + 1e-9)
    now, after = found["now"], found["after"]
    assert now["low"] <= after["low"] <= now["value"] <= after["high"] <= now["high"]


def test_the_terminal_says_sizes_losses_and_runs(capsys: pytest.CaptureFixture[str]):
    assert main([*SURFACE, "--bootstrap", "100", "--budget", "1e24", "--narrow", "alpha"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "At 1.0e24 FLOPs: 9.7e10 parameters (" in said
    assert "20 tokens per parameter would raise it by less than 0.01 %" in said
    assert "The best size rises with the power 0.514 (" in said
    assert "beyond_backtests: at 1.0e24 FLOPs: predicts 77.2 times beyond" in said
    assert "alpha (size exponent) is 0.347 (" in said


def test_what_the_runs_do_not_allow_is_an_outcome_and_not_a_mistake(
    capsys: pytest.CaptureFixture[str],
):
    # No scale comes to a loss of 1, so nothing can be bought to know it better; the fit is shown.
    found = _document(capsys, *CURVE, "--narrow", "reach=1.0", "--narrow", "c")
    assert [one["decision"] for one in found["decisions"]["next_runs"]] == ["c (exponent of x)"]
    assert found["decisions"]["refused"] == [
        "there is no x at which loss comes to 1: loss 1 is not reached up to 1.3e31 x, the law comes to "
        "1.735 at best; it is never reached in 100% of the resamples"
    ]
    assert main([*CURVE, "--bootstrap", "50", "--narrow", "reach=1.0"]) == 0
    assert "Not decided: there is no x at which" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--budget", "-1"], "budget: expected a positive number, got -1"),
        (["--budget", "inf"], "budget: expected a positive number, got inf"),
        (["--budget", "1e21", "--cost", "nothing"], "cost: expected params and tokens"),
        (["--budget", "1e21", "--cost", "6nd context=3"], "cost: expected 6nd with served"),
        (["--budget", "1e21", "--cost", "transformer"], "cost: expected transformer context="),
        (["--budget", "1e21", "--cost", "6nd throughput=0"], "expected a positive throughput"),
        (["--budget", "1e21", "--cost", "6 *"], "expected an expression"),
        (["--cost", "6nd"], "cost: expected a budget or something to narrow"),
        (["--budget", "1e21", "--held", "bits=8"], "held: expected inputs of none, got bits"),
        (["--budget", "1e21", "--held", "bits"], "--held bits: expected NAME=NUMBER"),
        (["--held", "bits=8"], "held: expected a budget beside it"),
        (["--reach", "2"], "reach: expected a law of one positive input"),
        (["--narrow", "gamma"], "narrow: expected a coefficient (E, A, B, alpha, beta)"),
        (["--narrow", "loss params=1e9"], "expected tokens=NUMBER too"),
        (["--narrow", "loss params=1e9 tokens=-1"], "expected a positive tokens, got -1"),
        (["--narrow", "loss params=1e9 tokens=1 x=2"], "expected params, tokens, got x"),
        (["--narrow", "best_size=many"], "expected NAME=NUMBER"),
        (["--narrow", "reach=2"], "expected a law of one positive input"),
        (["--narrow", ""], "narrow: expected 1 to 500 characters"),
        (["--narrow", "alpha", "--spend", "1"], "spend: expected what pays for a run, at least"),
        (["--narrow", "alpha", "--spend", "0"], "spend: expected a positive number"),
        (["--spend", "1e20"], "spend: expected something to narrow beside it"),
        (["--narrow", "alpha", "--bootstrap", "0"], "narrow: expected resamples"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
):
    assert main([*SURFACE, "--bootstrap", "20", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.slow
def test_a_doubtful_table_has_next_runs_in_its_report_without_being_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    _doubtful().table.to_csv(tmp_path / "few.csv", index=False)
    asked = ["fit", str(tmp_path / "few.csv"), "--law", "chinchilla", "--bootstrap", "200"]
    assert main([*asked, "--report", str(tmp_path / "report")]) == 0
    capsys.readouterr()
    assert "The next runs, for alpha" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.slow
def test_the_report_of_a_table_holds_its_decisions_and_is_the_same_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    table = tmp_path / "few.csv"
    _doubtful().table.to_csv(table, index=False)
    asked = ["fit", str(table), "--law", "chinchilla", "--bootstrap", "100"]
    asked += ["--budget", "1e17", "--budget", "1e18", "--narrow", "best_size=1e18"]
    pages = [tmp_path / "one", tmp_path / "two"]
    for folder in pages:
        assert main([*asked, "--report", str(folder)]) == 0
    capsys.readouterr()
    text = (pages[0] / "report.md").read_text()
    for title in (
        "The best size for a budget",
        "What other choices lose",
        "How the best size scales",
        "The next runs, for the best size at 1.0e18 FLOPs",
    ):
        assert title in text
    assert "The best size for a budget" in (pages[0] / "report.html").read_text()
    data, again = (json.loads((one / "study.json").read_text()) for one in pages)
    assert data == again
    figures = sorted(one.name for one in (pages[0] / "figures").iterdir())
    assert {"decided-cost-curves.svg", "decided-best-size.svg", "decided-1-next-runs.svg"} <= set(
        figures
    )
    for name in figures:
        assert (pages[0] / "figures" / name).read_bytes() == (
            pages[1] / "figures" / name
        ).read_bytes()


def _trials(noise: float = 0.004) -> list[MadeTrial]:
    """Losses of a known surface over five sizes and five lengths, twice."""
    generator = np.random.default_rng(0)
    trials: list[MadeTrial] = []
    for width in (16, 32, 64, 128, 256):
        for steps in (500, 1000, 2000, 4000, 8000):
            for seed in (0, 1):
                params, tokens = 12.0 * 2 * width**2, 4096.0 * steps
                place = {"params": np.array([params]), "tokens": np.array([tokens])}
                loss = float(predict(find_law("chinchilla"), TRUE, place)[0])
                trials.append(
                    MadeTrial(
                        f"{width}-{steps}-{seed}",
                        {"model.width": width, "budget.steps": steps, "seed": seed},
                        {
                            "params": params,
                            "tokens": tokens,
                            "test_loss": loss * math.exp(generator.normal(0, noise)),
                        },
                    )
                )
    return trials


def _sweep(**changes: Any) -> Sweep:
    wanted = {
        "name": "surface",
        "law": "chinchilla",
        "inputs": {"params": "params", "tokens": "tokens"},
        "metric": "test_loss",
        **changes,
    }
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": "surface-small",
                "trial": {"task": {"kind": "square"}},
                "axes": [
                    {"kind": "values", "field": "model.width", "values": [16, 32, 64, 128, 256]},
                    {
                        "kind": "values",
                        "field": "budget.steps",
                        "values": [500, 1000, 2000, 4000, 8000],
                    },
                ],
                "replicates": 2,
                "objective": {"metric": "test_loss", "mode": "min"},
                "report": {"fits": [wanted]},
            }
        )
    )


def test_a_sweep_file_asks_for_budgets_and_next_runs(tmp_path: Path):
    sweep = _sweep(budgets=[1e16], narrow=["beta", "best_size=1e16"], spend=1e15)
    assert from_resolved(resolved_text(sweep)) == sweep
    found = study(sweep, as_runs(_trials()), resamples=100)
    made = found.fits[0].decisions.allocation
    assert made is not None
    (best,) = made.best
    both = TRUE["alpha"] + TRUE["beta"]
    scale = (TRUE["alpha"] * TRUE["A"] / (TRUE["beta"] * TRUE["B"])) ** (1 / both)
    truth = scale * (1e16 / 6) ** (TRUE["beta"] / both)
    assert best.params.low is not None
    assert best.params.high is not None
    assert best.params.low < truth < best.params.high
    text = " ".join(answer(found))
    assert "surface (all trials): At 1.0e16 FLOPs: " in text
    assert "beta (data exponent) is 0.3" in text
    page = write_report(found, tmp_path)
    assert "The best size for a budget" in page.read_text()
    data = json.loads((tmp_path / "study.json").read_text())
    decided = data["fits"][0]["decisions"]
    assert [one["decision"] for one in decided["next_runs"]] == [
        "beta (data exponent)",
        "the best size at 1.0e16 FLOPs",
    ]
    assert all(one["spent"] <= 1e15 for one in decided["next_runs"])
    assert decided["refused"] == []


def test_a_sweep_file_asks_for_the_scale_of_a_target():
    sweep = _sweep(
        law="power_floor", inputs={"x": "params"}, where={"budget.steps": 8000}, reach=[3.0],
        narrow=["reach=3.0"],
    )  # fmt: skip
    found = study(sweep, as_runs(_trials()), resamples=100)
    decided = found.fits[0].decisions
    (made,) = decided.reaches
    assert made.scale is not None
    assert "is reached at params" in " ".join(answer(found))
    # At 8,000 steps the surface comes to E + B / tokens^beta at best.
    floor = TRUE["E"] + TRUE["B"] / (4096.0 * 8000) ** TRUE["beta"]
    truth = (TRUE["A"] / (3.0 - floor)) ** (1 / TRUE["alpha"])
    assert made.scale.value == pytest.approx(truth, rel=0.1)
    assert made.far is not None
    assert made.far.factor == pytest.approx(made.scale.value / (24.0 * 256**2))
    fitted = found.fits[0].fit
    assert fitted is not None
    (section,) = decided_sections("a", fitted, replace(decided, next_runs=()))
    assert section.title == "The scale for test_loss 3"
    assert section.picture is not None


def test_what_the_runs_of_a_sweep_do_not_allow_is_said_and_the_rest_is_decided():
    sweep = _sweep(budgets=[1e16], narrow=["alpha"], spend=1.0)
    found = study(sweep, as_runs(_trials()), resamples=50)
    decisions = found.fits[0].decisions
    assert decisions.allocation is not None
    assert len(decisions.refused) == 1
    assert decisions.next_runs == ()
    fitted = found.fits[0].fit
    assert fitted is not None
    only = Decisions(refused=decisions.refused)
    assert [one.title for one in decided_sections("a", fitted, only)] == [
        "What could not be decided"
    ]
    assert "Not decided: spend: expected what pays for a run" in " ".join(answer(found))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("budgets: [-1.0]", "report.fits[0].budgets[0]: expected greater than 0"),
        ("reach: [.inf]", "report.fits[0].reach[0]"),
        ("narrow: [gamma]", "report.fits[0]: narrow: expected a coefficient"),
        ("spend: 1.0e+20", "report.fits[0]: spend: expected something to narrow"),
        ("cost: 6nd bits=3, budgets: [1.0e+20]", "report.fits[0]: cost: expected 6nd with served"),
        ("reach: [2.0]", "report.fits[0]: reach: expected a law of one positive input"),
        ("budgets: [1.0e+20], held: {bits: 8}", "report.fits[0]: held: expected inputs of none"),
    ],
)
def test_a_sweep_file_that_asks_for_what_cannot_be_decided_is_refused_before_training(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, words: str
):
    file = tmp_path / "bad.yaml"
    file.write_text(
        "name: bad\n"
        "trial: {task: {kind: gcd}, budget: {steps: 10}}\n"
        "objective: {metric: accuracy, mode: max}\n"
        "report:\n"
        "  fits:\n"
        "    - {name: surface, law: chinchilla, inputs: {params: params, tokens: tokens}, "
        f"metric: test_loss, {line}}}\n"
    )
    assert main(["plan", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert "bad.yaml:" in printed.err
    assert printed.err.count("\n") == 1


def test_a_sweep_file_bounds_what_it_asks_for():
    with pytest.raises(ValueError, match="spend"):
        _sweep(narrow=["alpha"], spend=-1.0)
    with pytest.raises(ValueError, match="narrow"):
        _sweep(narrow=["alpha"] * 13)
    assert load("quickstart").report.fits[0:0] == ()
    assert issubclass(SpecError, ValueError)


def _doubtful() -> Runs:
    generator = np.random.default_rng(5)
    params = np.repeat([1e6, 4e6, 16e6], 4)
    tokens = np.tile([2e7, 8e7, 3.2e8, 1.28e9], 3)
    loss = predict(find_law("chinchilla"), TRUE, {"params": params, "tokens": tokens})
    loss = loss * np.exp(generator.normal(0, 0.01, 12))
    return Runs(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}))


def test_a_doubtful_fit_offers_next_runs_for_its_least_known_exponent_in_a_moment():
    inputs = {"params": "params", "tokens": "tokens"}
    fitted = fit(find_law("chinchilla"), _doubtful(), inputs, "loss")
    started = process_time()
    found = unasked(fitted)
    assert found is not None
    sections = next_runs_section("offered", found, drawn=False)
    assert process_time() - started < 0.3
    widths = {
        name: (one.high or 0.0) / abs(one.value) - (one.low or 0.0) / abs(one.value)
        for name, one in ((name, fitted.coefficient(name)) for name in ("alpha", "beta"))
    }
    assert found.decision.startswith(max(widths, key=lambda name: widths[name]))
    assert sections[0].picture is None
    assert "the fit leaves a doubt" in sections[0].note


def test_a_fit_without_doubt_offers_none():
    found = study(_sweep(), as_runs(_trials(noise=0.0005)), resamples=100)
    fitted = found.fits[0].fit
    assert fitted is not None
    assert fitted.status == "converged"
    assert not {one.code for one in fitted.warnings} & WEAK
    assert found.fits[0].decisions.offered is None
