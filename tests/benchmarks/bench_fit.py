"""Fitting the Chinchilla law, against the usual grid of scipy starts, in one process on one thread.

Run `python -m tests.benchmarks.bench_fit`. The rival is what notebooks do: L-BFGS-B from 4,500 starts
on the summed Huber loss of log residuals (here with the exact gradient, which few of them have), and
for a bootstrap one converged BFGS for each resample.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from analysis.fit import fit
from analysis.law import find_law
from analysis.runs import Runs, read_table
from analysis.where import parse_where

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
COLUMNS = {"params": "params", "tokens": "tokens", "loss": "loss"}
INPUTS = {"params": "params", "tokens": "tokens"}
DELTA = 1e-3
RESAMPLES, RIVAL_RESAMPLES = 4_000, 60


def rival(runs: Runs) -> Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]:
    """Objective and gradient in (ln A, ln B, ln E, alpha, beta), with a weight for each row."""
    sizes, tokens, losses = (np.log(runs.numbers(name)) for name in ("params", "tokens", "loss"))

    def objective(x: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        parts = np.stack([x[0] - x[3] * sizes, x[1] - x[4] * tokens, np.full_like(sizes, x[2])])
        predicted = logsumexp(parts, axis=0)
        residual = predicted - losses
        slope = np.clip(residual, -DELTA, DELTA)
        huber = np.where(
            np.abs(residual) <= DELTA, residual**2 / 2, DELTA * (np.abs(residual) - DELTA / 2)
        )
        shares = np.exp(parts - predicted) * (weights * slope)
        gradient = np.array(
            [
                shares[0].sum(),
                shares[1].sum(),
                shares[2].sum(),
                -(shares[0] * sizes).sum(),
                -(shares[1] * tokens).sum(),
            ]
        )
        return float((weights * huber).sum()), gradient

    return objective


def cpu_seconds(work: Callable[[], float]) -> tuple[float, float]:
    """CPU seconds of one call, and what it returned."""
    started = time.process_time()
    value = work()
    return time.process_time() - started, value


def main() -> None:
    """Print the table."""
    runs = read_table(TABLE, COLUMNS, parse_where("loss < 3.44"))
    law, objective = find_law("chinchilla"), rival(runs)
    ones = np.ones(len(runs))

    def ours() -> float:
        return fit(law, runs, INPUTS, "loss", bootstrap=0).objective

    def grid() -> float:
        starts = itertools.product(
            np.arange(0, 30, 5),
            np.arange(0, 30, 5),
            np.arange(-1, 1.5, 0.5),
            np.arange(0, 2.5, 0.5),
            np.arange(0, 2.5, 0.5),
        )
        found = [
            minimize(objective, np.array(start), args=(ones,), jac=True, method="L-BFGS-B").fun
            for start in starts
        ]
        assert len(found) == 4_500
        return min(found)

    def our_bootstrap() -> float:
        return fit(law, runs, INPUTS, "loss", bootstrap=RESAMPLES).objective

    def rival_bootstrap() -> float:
        start = np.array([6.17, 7.67, 0.597, 0.3473, 0.3672])  # the optimum, as a resample's start
        draw = np.random.default_rng(0)
        for _ in range(RIVAL_RESAMPLES):
            weights = np.bincount(draw.integers(0, len(runs), len(runs)), minlength=len(runs))
            minimize(
                objective,
                start,
                args=(weights,),
                jac=True,
                method="BFGS",
                options={"gtol": 1e-10, "maxiter": 2_000},
            )
        return 0.0

    ours()  # imports and caches
    mine, best = cpu_seconds(ours)
    theirs, other = cpu_seconds(grid)
    print(f"{'':34}{'ours, CPU s':>14}{'scipy, CPU s':>14}{'ratio':>8}   objective ours / scipy")
    print(
        f"{'one fit / 4,500 starts':34}{mine:14.3f}{theirs:14.3f}{theirs / mine:7.0f}x"
        f"   {best:.13f} / {other:.13f}"
    )
    both, _ = cpu_seconds(our_bootstrap)
    each = (both - mine) / RESAMPLES
    rivals, _ = cpu_seconds(rival_bootstrap)
    per_rival = rivals / RIVAL_RESAMPLES
    print(
        f"{'one resample / one converged BFGS':34}{each:14.5f}{per_rival:14.5f}"
        f"{per_rival / each:7.1f}x   over {RESAMPLES:,} and {RIVAL_RESAMPLES} resamples"
    )


if __name__ == "__main__":
    main()
