"""Designs that are wrong and right in one way each: a case that triggers a check, and one that does not."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from analysis.checks.checks import design_checks, table_checks
from analysis.runs import Runs
from analysis.trials import as_runs
from sweeps.planning.plan import PlannedTrial, plan
from sweeps.spec import Sweep
from tests.sweep_trials import MadeTrial
from tests.trials import gcd_fields, square_fields
from trainers.schema import flattened

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
