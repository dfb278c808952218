"""Every check of a design: one sweep or table that triggers it, and one that does not."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.checks.checks import CHECKS, design_checks, table_checks
from analysis.checks.columns import Design
from analysis.checks.counts import embedding_params, epochs_of
from analysis.checks.ended import censored_runs, ended_trials, lowered
from analysis.checks.noise import CellNoise, below_mean, cell_noise, noise_trend
from analysis.checks.tuning import searched
from analysis.runs import Runs
from analysis.trials import as_runs
from sweeps.planning.plan import PlannedTrial, plan
from sweeps.spec import Sweep, load
from tests.sweep_trials import MadeTrial
from tests.trials import gcd_fields, square_fields
from trainers.schema import InputError, flattened

Loss = Callable[[PlannedTrial], float]
Row = dict[str, Any]


def sweep_of(trial: Row, axes: Row, *, zipped: Row | None = None, replicates: int = 1) -> Sweep:
    """A sweep with one axis of values for each field, and one on which fields change together."""
    every: list[Row] = [{"kind": "values", "field": f, "values": v} for f, v in axes.items()]
    if zipped:
        every.append({"kind": "zip", "fields": zipped})
    fields = {
        "name": "design",
        "trial": trial,
        "axes": every,
        "replicates": replicates,
        "objective": {"metric": "loss", "mode": "min"},
    }
    return Sweep.model_validate_json(json.dumps(fields))


def power(trial: PlannedTrial) -> float:
    """A loss that falls with size and length, with some noise of the trial's own."""
    noise = np.random.default_rng(int(trial.key[:8], 16)).normal(0, 0.01)
    size, length = trial.params**-0.3, (trial.config.examples / 1e3) ** -0.3
    return float((1 + size + 0.1 * length) * math.exp(noise))


def made(
    sweep: Sweep,
    loss: Loss = power,
    *,
    outcome: Callable[[PlannedTrial], str] = lambda _: "finished",
    done: Callable[[PlannedTrial], float] = lambda _: 1.0,
    extra: Callable[[PlannedTrial], Row] = lambda _: {},
) -> Runs:
    """The sweep's own trials, planned and not trained, as a tracker would give them back."""
    trials = []
    for trial in plan(sweep).trials:
        name, share, record = outcome(trial), done(trial), trial.record()
        spent = {one: record[one] * share for one in ("flops", "examples", "tokens")}
        metrics = {"params": float(trial.params), **spent, "diverged": float(name == "diverged")}
        if name == "finished":
            metrics["loss"] = loss(trial)
        fields = flattened(json.loads(json.dumps(trial.config.model_dump())))
        trials.append(MadeTrial(trial.key, fields, {**metrics, **extra(trial)}, {}, name))
    return as_runs(trials)


WIDTHS = [16, 32, 64, 128]
BY_SIZE = {"params": "params"}
BY_BOTH = {"params": "params", "tokens": "tokens"}


def mlp(optimizer: Row | None = None, **changes: Any) -> Row:
    return square_fields(
        optimizer={"kind": "adam", "lr": 1e-2, **(optimizer or {})},
        budget={"steps": 1000},
        **changes,
    )


def transformer(**changes: Any) -> Row:
    return gcd_fields(**{"budget": {"steps": 1000}, **changes})


@dataclass(frozen=True)
class Case:
    """Runs of one fit, and whether a check must speak."""

    runs: Runs
    inputs: dict[str, str]
    target: str = "loss"
    sweep: Sweep | None = None
    pool: str = "none"
    cluster: str | None = None

    def codes(self) -> list[str]:
        """The codes of all findings."""
        more: Any = {"pool": self.pool, "cluster": self.cluster}
        if self.sweep is None:
            found = table_checks(self.runs, self.inputs, self.target, **more)
        else:
            found = design_checks(self.sweep, self.runs, self.inputs, self.target, **more)
        return [one.code for one in found]


def of_sweep(sweep: Sweep, inputs: dict[str, str] = BY_SIZE, pool: str = "none", **made_with: Any):
    return Case(made(sweep, **made_with), inputs, "loss", sweep, pool)


def of_table(
    rows: Sequence[Row] | pd.DataFrame, inputs: dict[str, str] | None = None, target: str = "loss"
):
    return Case(
        Runs(pd.DataFrame(rows)), inputs or {"params": "params", "tokens": "tokens"}, target
    )


def surface(**changes: Any) -> list[Row]:
    """A table of 16 runs as it should be: two scales that vary apart, in plain counts and nats."""
    rows = []
    for params in (1e7, 4e7, 1.6e8, 6.4e8):
        for tokens in (1e9, 3e9, 1e10, 3e10):
            loss = 1.8 + 480 * params**-0.35 + 2000 * tokens**-0.37
            row = {"params": params, "tokens": tokens, "loss": loss, "flops": 6 * params * tokens}
            rows.append({**row, **{k: v(row) if callable(v) else v for k, v in changes.items()}})
    return rows


def replicated(deviation: Callable[[float], float], seeds: int = 8, shared: float = 0.0) -> Case:
    """Cells of several seeds, with a scatter of its own each, and a part that seeds share."""
    generator = np.random.default_rng(3)
    common = generator.normal(0, shared, seeds)
    rows = [
        {
            "params": size,
            "seed": seed,
            "loss": size**-0.2 * math.exp(generator.normal(0, deviation(size)) + common[seed]),
        }
        for size in (1e4, 1e5, 1e6, 1e7, 1e8)
        for seed in range(seeds)
    ]
    return of_table(rows, BY_SIZE)


def tuned(best: Callable[[float], float], rates: Sequence[float], **with_fields: Any) -> Case:
    """Widths and learning rates, with a bowl in the log of the rate around `best(params)`."""

    def loss(trial: PlannedTrial) -> float:
        off = math.log(trial.config.optimizer.lr / best(trial.params))
        return power(trial) * (1 + 0.3 * off**2)

    axes = {"model.width": [16, 64, 256], "optimizer.lr": list(rates)}
    return of_sweep(sweep_of(mlp(**with_fields), axes), loss=loss)


def curve(column: str, **changes: Any) -> list[Row]:
    """Five runs with eight points each along their training."""
    return [
        {
            column: f"run{number}",
            "params": 1e6 * 3**number,
            "tokens": 1e8 * point * 1.37**number,
            "loss": 2 + 3**-number + (point * 1.37**number) ** -0.5,
            **changes,
        }
        for number in range(5)
        for point in range(1, 9)
    ]


def warmups(steps: Sequence[int], warmup: Sequence[int]) -> Case:
    cosine = {"schedule": "cosine"}
    zipped = {"budget.steps": list(steps), "optimizer.warmup_steps": list(warmup)}
    return of_sweep(sweep_of(mlp(cosine), {"model.width": WIDTHS}, zipped=zipped))


def schedules(kinds: Sequence[str], **optimizer: Any) -> Case:
    axes = {"optimizer.schedule": list(kinds), "model.width": WIDTHS}
    return of_sweep(sweep_of(mlp(optimizer), axes))


def some_end(diverged: int, width: int = 128, how: str = "diverged") -> Case:
    """Ten replicates a width, of which some at one width ended early."""
    sweep = sweep_of(mlp(), {"model.width": WIDTHS}, replicates=10)

    def ends(trial: PlannedTrial) -> bool:
        return trial.point["model.width"] == width and trial.replicate < diverged

    return of_sweep(
        sweep,
        {"x": "params"},
        outcome=lambda trial: how if ends(trial) else "finished",
        done=lambda trial: 0.3 if ends(trial) else 1.0,
    )


def bases(largest: int, **made_with: Any) -> Case:
    """Transformers whose numbers are written in a base, the larger the more embeddings."""
    trial = transformer(encoding={"kind": "digits", "base": largest})
    return of_sweep(sweep_of(trial, {"model.width": [16, 32, 64, 128]}), **made_with)


def repeated(distinct: Sequence[int | None], inputs: dict[str, str] = BY_SIZE) -> Case:
    axes = {"data.distinct": list(distinct), "model.width": WIDTHS}
    return of_sweep(sweep_of(mlp(batch_size=8), axes), inputs)


RATES = [1e-3 * 2**step for step in range(7)]

CASES: dict[str, tuple[str, Callable[[], Case], Callable[[], Case]]] = {
    "warm-up is most of the shortest run": (
        "warmup_too_long",
        lambda: warmups([100, 1000, 10_000], [80, 80, 80]),
        lambda: warmups([100, 1000, 10_000], [5, 50, 500]),
    ),
    "warm-up is a fifth of the shortest run and little of the longest": (
        "warmup_uneven",
        lambda: warmups([250, 1000, 10_000], [50, 50, 50]),
        lambda: warmups([1000, 2000, 10_000], [50, 50, 50]),
    ),
    "a constant rate beside a decayed one": (
        "schedules_mixed",
        lambda: schedules(["constant", "cosine"]),
        lambda: schedules(["cosine"]),
    ),
    "two lengths of cooldown": (
        "schedules_mixed",
        lambda: of_sweep(
            sweep_of(
                mlp({"schedule": "wsd_linear", "decay_share": 0.1}),
                {"optimizer.decay_share": [0.1, 0.4], "model.width": WIDTHS},
            )
        ),
        lambda: schedules(["wsd_sqrt"], decay_share=0.2),
    ),
    "a cosine of another length than the run": (
        "decay_off_length",
        lambda: of_table(
            surface(steps=1000, decay_steps=lambda row: 5 * row["tokens"] / 1e7, schedule="cosine")
        ),
        lambda: of_table(surface(steps=1000, decay_steps=1010, schedule="cosine")),
    ),
    "a run that was stopped while its rate was high": (
        "stopped_before_decay",
        lambda: of_sweep(
            sweep_of(mlp({"schedule": "cosine"}), {"model.width": WIDTHS}), done=lambda _: 0.4
        ),
        lambda: of_sweep(sweep_of(mlp(), {"model.width": WIDTHS}), done=lambda _: 0.4),
    ),
    "lengths under a schedule that knows no length": (
        "lengths_without_decay",
        lambda: of_sweep(
            sweep_of(
                mlp({"schedule": "inverse_sqrt", "warmup_steps": 10}),
                {"budget.steps": [500, 1000, 10_000]},
            )
        ),
        lambda: of_sweep(
            sweep_of(mlp({"schedule": "linear"}), {"budget.steps": [500, 1000, 10_000]})
        ),
    ),
    "one learning rate for all sizes": (
        "rate_untuned",
        lambda: of_sweep(sweep_of(mlp(), {"model.width": WIDTHS})),
        lambda: of_sweep(sweep_of(mlp(), {"model.width": [16, 32, 48]})),
    ),
    "one learning rate for all widths, but under muP": (
        "rate_untuned",
        lambda: of_sweep(sweep_of(transformer(), {"model.width": WIDTHS})),
        lambda: of_sweep(
            sweep_of(
                transformer(
                    model={"kind": "transformer", "heads": 2, "parametrisation": {"kind": "mup"}}
                ),
                {"model.width": WIDTHS},
            )
        ),
    ),
    "a rate for each size, chosen by somebody": (
        "rate_untuned",
        lambda: of_table(surface(lr=3e-4)),
        lambda: of_table(surface(lr=lambda row: 1.79 * row["params"] ** -0.713)),
    ),
    "a grid of rates at some sizes only": (
        "rate_untuned",
        lambda: of_table(
            [
                {**row, "lr": lr}
                for row in surface()
                for lr in ([1e-3] if row["params"] > 1e8 else [5e-4, 1e-3, 2e-3])
            ]
        ),
        lambda: of_table([{**row, "lr": lr} for row in surface() for lr in (5e-4, 1e-3, 2e-3)]),
    ),
    "the best rate of the largest size is the smallest that was tried": (
        "rate_on_edge",
        lambda: tuned(lambda params: 0.4 * params**-1.0, RATES),
        lambda: tuned(lambda params: 0.02 * params**-0.2, RATES),
    ),
    "the best rate moves over a grid of decades": (
        "rate_grid_coarse",
        lambda: tuned(lambda params: params**-0.8, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        lambda: tuned(lambda params: 0.2 * params**-0.6, RATES),
    ),
    "a coarse grid whose best rate stays": (
        "rate_grid_coarse",
        lambda: tuned(lambda params: params**-0.8, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        lambda: tuned(lambda _: 1e-3, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
    ),
    "one batch size for all lengths": (
        "batch_untuned",
        lambda: of_table(surface(batch_size=256)),
        lambda: of_table(surface(batch_size=lambda row: 256 * (row["tokens"] / 1e9) ** 0.571)),
    ),
    "the best batch is the largest": (
        "batch_on_edge",
        lambda: of_table(
            [
                {**row, "batch_size": b, "loss": row["loss"] - b / 1e4}
                for row in surface()
                for b in (32, 64, 128)
            ]
        ),
        lambda: of_table(
            [
                {**row, "batch_size": b, "loss": row["loss"] + abs(b - 64) / 1e4}
                for row in surface()
                for b in (32, 64, 128)
            ]
        ),
    ),
    "points of five curves": (
        "checkpoints_as_runs",
        lambda: of_table(curve("run")),
        lambda: of_table([{**row, "run": f"run{n}"} for n, row in enumerate(surface())]),
    ),
    "a name that is a family of sizes": (
        "checkpoints_as_runs",
        lambda: of_table(curve("run_id")),
        lambda: of_table(surface(run_name=lambda row: f"data of {row['tokens']:.0e}")),
    ),
    "points of five curves, drawn as clusters": (
        "checkpoints_as_runs",
        lambda: of_table(curve("run")),
        lambda: Case(Runs(pd.DataFrame(curve("run"))), BY_BOTH, cluster="run"),
    ),
    "points before the end of a cosine": (
        "midrun_points",
        lambda: of_table(curve("run", schedule="cosine")),
        lambda: of_table(curve("run", schedule="constant")),
    ),
    "rows given twice": (
        "duplicate_rows",
        lambda: of_table([*surface(), *surface()[:3]]),
        lambda: of_table([*surface(), {**surface()[0], "loss": 7.654321}]),
    ),
    "runs that share a rounded result": (
        "duplicate_rows",
        lambda: of_table([*surface(), *surface()[:1]]),
        lambda: of_table(surface(params=1e7, tokens=1e9, loss=1.0)),
    ),
    "a trial under two numerics versions": (
        "same_trial_twice",
        lambda: twice(same_seed=True),
        lambda: twice(same_seed=False),
    ),
    "three sizes, each spelled in many ways": (
        "near_levels",
        lambda: of_table(
            surface(params=lambda row: row["params"] * (1 + 1e-3 * math.log10(row["tokens"])))
        ),
        lambda: of_table(surface()),
    ),
    "sizes drawn from a continuum": (
        "near_levels",
        lambda: of_table(
            surface(tokens=lambda row: row["tokens"] * (1 + 1e-3 * math.log10(row["params"])))
        ),
        lambda: of_table(continuum()),
    ),
    "parameters in billions": (
        "counts_in_units",
        lambda: of_table(surface(params=lambda row: row["params"] / 1e9)),
        lambda: of_table(surface()),
    ),
    "tokens in billions beside parameters in full": (
        "tokens_per_param",
        lambda: of_table(surface(tokens=lambda row: row["tokens"] / 1e9)),
        lambda: of_table(surface(tokens=lambda row: row["tokens"] * 30)),
    ),
    "whole millions of parameters beside tokens in full": (
        "tokens_per_param",
        lambda: of_table(surface(params=lambda row: row["params"] / 1e6)),
        lambda: of_sweep(sweep_of(mlp(), {"model.width": [1, 2, 4, 8]}), BY_BOTH),
    ),
    "flops of tokens in millions": (
        "flops_off",
        lambda: of_table(surface(tokens=lambda row: row["tokens"] / 1e6)),
        lambda: of_table(surface(flops=lambda row: 7.1 * row["params"] * row["tokens"])),
    ),
    "flops in petaflop/s-days": (
        "flops_off",
        lambda: of_table(surface(flops=lambda row: 6 * row["params"] * row["tokens"] / 8.64e19)),
        lambda: of_table(surface()),
    ),
    "flops of the forward pass": (
        "flops_off",
        lambda: of_table(surface(flops=lambda row: 2 * row["params"] * row["tokens"])),
        lambda: of_table(surface(flops=lambda row: 2.2 * row["params"] ** 1.02 * row["tokens"])),
    ),
    "a loss in bits": (
        "loss_in_bits",
        lambda: of_table(surface(perplexity=lambda row: 2 ** row["loss"])),
        lambda: of_table(surface(perplexity=lambda row: math.exp(row["loss"]))),
    ),
    "a perplexity": (
        "loss_is_perplexity",
        lambda: of_table(surface(loss=lambda row: math.exp(3 * row["loss"]))),
        lambda: of_table(surface()),
    ),
    "an accuracy in percent": (
        "share_in_percent",
        lambda: of_table(
            surface(test_accuracy=lambda row: 100 - row["loss"]), BY_BOTH, "test_accuracy"
        ),
        lambda: of_table(
            surface(test_accuracy=lambda row: 1 / row["loss"]), BY_BOTH, "test_accuracy"
        ),
    ),
    "twenty tokens for each parameter": (
        "constant_ratio",
        lambda: of_table(surface(tokens=lambda row: 20 * row["params"])),
        lambda: of_table(surface()),
    ),
    "lengths that rise with sizes, in a law of sizes": (
        "rises_together",
        lambda: of_sweep(
            sweep_of(
                mlp(), {}, zipped={"model.width": WIDTHS, "budget.steps": [100, 200, 400, 800]}
            )
        ),
        lambda: of_sweep(
            sweep_of(mlp(), {"model.width": WIDTHS, "budget.steps": [100, 200, 400, 800]})
        ),
    ),
    "lengths that rise with sizes, in a law of both": (
        "rises_together",
        lambda: of_table(surface(tokens=lambda row: 20 * row["params"]), BY_SIZE),
        lambda: of_table(surface(tokens=lambda row: 20 * row["params"]), BY_BOTH),
    ),
    "three of ten diverged at the largest width": (
        "survivors_only",
        lambda: some_end(3),
        lambda: some_end(1),
    ),
    "a scheduler stopped half of the smallest": (
        "survivors_only",
        lambda: some_end(5, width=16, how="stopped"),
        lambda: some_end(5, width=16, how="failed"),
    ),
    "embeddings are most of the small models": (
        "embeddings_counted",
        lambda: bases(1000),
        lambda: bases(4),
    ),
    "both counts of parameters in a table": (
        "embeddings_counted",
        lambda: of_table(
            surface(params_no_embed=lambda row: row["params"] - 2900 * row["params"] ** 0.5)
        ),
        lambda: of_table(surface(params_no_embed=lambda row: 0.9 * row["params"])),
    ),
    "sixteen epochs beside fresh data": (
        "data_repeated",
        lambda: repeated([500, None]),
        lambda: repeated([4_000, None]),
    ),
    "sixteen epochs in every run of a law of size": (
        "data_repeated",
        lambda: repeated([500, 8_000]),
        lambda: repeated([500]),
    ),
    "sixteen epochs in a law that knows them": (
        "data_repeated",
        lambda: of_table(surface(unique_tokens=lambda row: row["tokens"] / (row["params"] / 1e7))),
        lambda: of_table(
            surface(unique_tokens=lambda row: row["tokens"] / (row["params"] / 1e7)),
            {**BY_BOTH, "unique": "unique_tokens"},
        ),
    ),
    "two versions of torch": (
        "versions_mixed",
        lambda: of_table(surface(torch=lambda row: "2.13" if row["params"] > 1e8 else "2.12")),
        lambda: of_table(surface(torch="2.13")),
    ),
    "test sets of two sizes": (
        "evaluations_mixed",
        lambda: of_sweep(
            sweep_of(mlp(), {"evaluation.examples": [40, 400], "model.width": WIDTHS})
        ),
        lambda: of_sweep(
            sweep_of(
                mlp(evaluation={"points": 3, "last_examples": 800}),
                {"evaluation.examples": [40, 400], "model.width": WIDTHS},
            )
        ),
    ),
    "two data sets": (
        "data_mixed",
        lambda: of_table(surface(dataset=lambda row: "a" if row["params"] > 1e8 else "b")),
        lambda: of_table(surface(dataset="a")),
    ),
    "noise that grows with the loss": (
        "noise_uneven",
        lambda: replicated(lambda size: 0.3 * size**-0.25),
        lambda: replicated(lambda _: 0.05),
    ),
    "five replicates here and two there": (
        "replicates_unequal",
        lambda: of_table(
            [
                {"params": size, "loss": size**-0.2 * (1 + 0.0123 * seed), "seed": seed}
                for size, seeds in ((1e3, 5), (1e4, 5), (1e5, 2))
                for seed in range(seeds)
            ],
            BY_SIZE,
        ),
        lambda: some_end(1),
    ),
    "seeds that are good everywhere": (
        "seeds_tie_cells",
        lambda: replicated(lambda _: 0.02, shared=0.1),
        lambda: replicated(lambda _: 0.02),
    ),
}


def twice(*, same_seed: bool) -> Case:
    """A sweep of which every trial is there under a second key as well."""
    sweep = sweep_of(mlp(), {"model.width": WIDTHS})
    once = made(sweep).table
    again = once.copy()
    again.index = pd.Index([f"{key}-old" for key in once.index])
    again["loss"] = [1.01 * value for value in once["loss"]]
    if not same_seed:
        again["seed"] = [seed + 1 for seed in once["seed"]]
    return Case(Runs(pd.concat([once, again])), BY_SIZE, "loss", sweep)


def continuum() -> list[Row]:
    """Runs whose sizes and lengths are all different, as read from a figure."""
    generator = np.random.default_rng(5)
    return [
        {"params": params, "tokens": tokens, "loss": 1.8 + 400 * params**-0.35 + tokens**-0.2}
        for params, tokens in 10 ** generator.uniform([7, 9], [10, 11], (200, 2))
    ]


@cache
def case_of(name: str, *, bad: bool) -> Case:
    _, wrong, right = CASES[name]
    return wrong() if bad else right()


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
        "square-width": {"rate_untuned"},
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


def test_diverged_and_stopped_trials_are_counted_in_their_cell():
    case = some_end(4)
    design = Design(case.runs, case.inputs, "loss", case.sweep)
    counted = {float(one.cell[0][1]): one for one in ended_trials(design)}
    assert len(counted) == 4
    widest = counted.pop(max(counted))
    assert (widest.finished, widest.diverged, widest.stopped) == (6, 4, 0)
    assert {(one.finished, one.diverged, one.stopped) for one in counted.values()} == {(10, 0, 0)}


def test_trials_that_spent_a_part_of_their_tokens_are_counted_where_they_were_planned():
    case = some_end(4)
    design = Design(case.runs, {"N": "params", "D": "tokens"}, "loss", case.sweep)
    assert sorted(one.diverged for one in ended_trials(design)) == [0, 0, 0, 4]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
def test_the_lucky_ones_lie_as_low_as_draws_of_a_normal_do(share):
    draws = np.sort(np.random.default_rng(0).normal(size=400_000))
    assert lowered(share) == pytest.approx(-draws[: int((1 - share) * len(draws))].mean(), abs=0.01)


@pytest.mark.parametrize(
    ("count", "expected"),
    # E of the largest of n normals: 1/sqrt(pi), 3/(2 sqrt(pi)); 5: Tippett's table
    [(1, 0.0), (2, math.pi**-0.5), (3, 1.5 * math.pi**-0.5), (5, 1.16296)],
)
def test_the_least_of_some_draws_lies_as_low_as_theory_says(count, expected):
    assert below_mean(count) == pytest.approx(expected, abs=1e-5)


def test_noise_by_cell_is_the_standard_deviation_of_the_logs_and_its_inverse_square():
    case = replicated(lambda size: 0.3 * size**-0.25)
    found = cell_noise(Design(case.runs, case.inputs, case.target))
    table = case.runs.table
    for one in found:
        inside = table.loc[table["params"] == float(one.cell[0][1]), "loss"].astype(float)
        assert one.replicates == len(inside) == 8
        assert one.deviation == pytest.approx(stats.tstd(np.log(inside)), rel=1e-12)
        assert one.median == pytest.approx(float(stats.gmean(np.sort(inside)[3:5])), rel=1e-12)
    weights = np.array([one.weight for one in found])
    assert weights.mean() == pytest.approx(1)
    assert np.ptp(weights * np.array([one.deviation for one in found]) ** 2) < 1e-12


def test_a_trend_of_noise_is_found_by_chance_as_seldom_as_it_says_and_a_true_one_is_measured():
    generator = np.random.default_rng(0)

    def cells(power: float) -> list[CellNoise]:
        medians = np.exp(np.linspace(0, -3, 8))
        draws = [generator.normal(0, 0.01 * one**power, 6) for one in medians]
        return [
            CellNoise((), 6, m, float(d.std(ddof=1)), 1.0)
            for m, d in zip(medians, draws, strict=True)
        ]

    by_chance = [noise_trend(cells(0.0))[1] for _ in range(1000)]
    assert np.mean(np.array(by_chance) < 0.05) < 0.06
    assert np.mean(np.array(by_chance) < 1e-3) < 3e-3
    slopes = [noise_trend(cells(0.7))[0] for _ in range(400)]
    assert np.mean(slopes) == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_equal_noise_is_called_uneven_and_fresh_seeds_shared_in_none_of_twenty_tables(seed):
    generator = np.random.default_rng(seed)
    rows = [
        {"params": size, "seed": number, "loss": size**-0.2 * math.exp(generator.normal(0, 0.05))}
        for size in (1e4, 1e5, 1e6, 1e7)
        for number in range(5)
    ]
    assert not {"noise_uneven", "seeds_tie_cells"} & set(of_table(rows, BY_SIZE).codes())


def test_the_least_count_of_embeddings_is_below_the_true_one_and_most_of_it():
    sweep = sweep_of(transformer(), {"encoding.base": [10, 100, 1000], "model.width": [16, 64]})
    runs = made(sweep)
    found = embedding_params(Design(runs, BY_SIZE, "loss", sweep))
    assert found is not None
    least, whole = found
    costs = {trial.key: trial.config.cost().embedding_params for trial in plan(sweep).trials}
    true = np.array([costs[str(key)] for key in runs.table.index])
    assert not whole
    assert (least <= true).all()
    large = np.array([base == 1000 for base in runs.table["encoding.base"]])
    assert (least[large] > 0.9 * true[large]).all()


def test_the_exponent_would_move_by_the_slope_between_the_two_counts():
    # With N_all = N^0.8 exactly, a loss that falls as N_all^-a falls as N^-0.8a.
    rows = surface(
        params=lambda row: row["params"] ** 0.8 * 1e3, params_no_embed=lambda r: r["params"]
    )
    texts = [one.text for one in table_checks(of_table(rows).runs, BY_BOTH, "loss")]
    assert any("to about 0.80 times its value" in text for text in texts)


def test_epochs_are_examples_shown_over_distinct_ones():
    case = repeated([500, None])
    epochs = epochs_of(Design(case.runs, case.inputs, "loss", case.sweep))
    shown = [math.nan if one is None else 8_000 / one for one in case.runs.table["data.distinct"]]
    np.testing.assert_array_equal(epochs, shown)


def test_the_best_rate_of_each_size_is_the_grid_point_nearest_to_the_optimum():
    def best(params: float) -> float:
        return 0.2 * params**-0.6

    case = tuned(best, RATES)
    for one in searched(
        Design(case.runs, case.inputs, "loss", case.sweep), "optimizer.lr", "params"
    ):
        nearest = np.argmin(np.abs(np.log(one.values / best(one.size))))
        assert one.best == nearest


def delayed(outcomes: dict[int, str]) -> Runs:
    """Runs with the number of steps after which something was reached, or not at all."""
    sweep = sweep_of(mlp(), {"model.width": WIDTHS})

    def extra(trial: PlannedTrial) -> Row:
        return {"steps_to_reach": 300.0} if trial.point["model.width"] == 128 else {}

    return made(
        sweep,
        outcome=lambda trial: outcomes.get(trial.point["model.width"], "finished"),
        done=lambda trial: 0.25 if trial.point["model.width"] in outcomes else 1.0,
        extra=extra,
    )


def test_runs_that_never_reached_a_target_are_bounded_by_what_they_spent():
    runs = censored_runs(delayed({16: "stopped", 32: "diverged"}), "steps_to_reach")
    found = {
        row["model.width"]: (row["steps_to_reach"], row["censored"])
        for row in runs.table.to_dict("records")
    }
    assert found == {16: (250, 1), 32: (250, 1), 64: (1000, 1), 128: (300, 0)}
    assert runs.omitted == ()


def test_runs_that_failed_or_diverged_stay_omitted_where_that_is_asked():
    given = delayed({16: "failed", 32: "diverged"})
    runs = censored_runs(given, "steps_to_reach", ended=("stopped",))
    assert {one.outcome for one in runs.omitted} == {"failed", "diverged"}
    assert len(runs) == 2


def test_a_target_can_be_bounded_in_examples_too():
    runs = censored_runs(delayed({16: "stopped"}), "steps_to_reach", "examples")
    bounds = dict(zip(runs.table["model.width"], runs.table["steps_to_reach"], strict=True))
    assert (bounds[16], bounds[64]) == (250 * 8, 1000 * 8)


def test_censoring_refuses_a_target_that_no_run_has():
    with pytest.raises(InputError, match="grokked: expected a metric"):
        censored_runs(delayed({}), "grokked")
    table = Runs(pd.DataFrame({"steps_to_reach": [100.0, None]}))
    with pytest.raises(InputError, match="expected a number, or the steps"):
        censored_runs(table, "steps_to_reach")
