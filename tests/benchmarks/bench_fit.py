"""Fitting the Chinchilla law against scipy: ratios in one process, on one thread, in turns.

Run `python -m tests.benchmarks.bench_fit`; it takes about a minute and prints its table last. The rival
is what notebooks do: L-BFGS-B from 4,500 starts on the summed Huber loss of log residuals (here with
the exact gradient, which few of them have), and for a bootstrap one converged minimisation per
resample from the same start. All times are seconds of processor time. A fit must be 200 times faster at
an objective no worse, 4,000 converged resamples 15 times faster; the table says if they are not.
"""

import itertools
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import scipy
from jaxtyping import Float
from scipy.optimize import minimize

from analysis.engine.refit import Optimum, Setup, optimum, refit, setup
from analysis.fit import fit
from analysis.law import find_law
from analysis.points import points
from analysis.runs import Runs, read_table
from analysis.uncertainty.profile import profile
from analysis.where import parse_where

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
COLUMNS = {"params": "params", "tokens": "tokens", "loss": "loss"}
INPUTS = {"params": "params", "tokens": "tokens"}
DELTA = 1e-3
TURNS = 15
STARTS = 4_500
FIT_TARGET, RESAMPLES_TARGET = 200.0, 15.0  # how many times faster than the rival
NO_WORSE = 1e-12  # relative: the rounding of a sum of 240 terms
RESAMPLES, RIVAL_RESAMPLES = 4_000, 120
PROCESSES = 3

Made = TypeVar("Made")
Vector = Float[np.ndarray, " 5"]
Rival = Callable[[Vector, Float[np.ndarray, " run"]], tuple[float, Vector]]
CONVERGED = {  # how scipy is told to converge
    "BFGS, gtol 1e-10": ("BFGS", {"gtol": 1e-10, "maxiter": 2_000}),
    "L-BFGS-B, tight": ("L-BFGS-B", {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5_000}),
}


@dataclass(frozen=True)
class Line:
    """One line of the table: what was done, our seconds, the rival's, and a remark.

    `target` is the ratio that is to be reached; `sound` says that our answer is as good as the rival's.
    """

    what: str
    ours: float
    theirs: float | None = None
    remark: str = ""
    target: float | None = None
    sound: bool = True

    @property
    def verdict(self) -> str:
        """Whether the target is met, where there is one."""
        if self.theirs is None or self.target is None:
            return ""
        if not self.sound:
            return "MISSED: a worse answer"
        word = "met" if self.theirs / self.ours >= self.target else "MISSED"
        return f"{word}: {self.target:,.0f} x"

    def text(self) -> str:
        """The line as it is printed."""
        theirs = "" if self.theirs is None else f"{self.theirs:10.3f}"
        ratio = "" if self.theirs is None else f"{self.theirs / self.ours:,.0f} x"
        return f"{self.what:50}{self.ours:9.4f}{theirs:>10}{ratio:>8}  {self.verdict:12}  {self.remark}"


def rival(runs: Runs) -> Rival:
    """Objective and gradient in (ln A, ln B, ln E, alpha, beta), with a weight for each row."""
    sizes, tokens, losses = (np.log(runs.numbers(name)) for name in ("params", "tokens", "loss"))

    def objective(x: Vector, weights: Float[np.ndarray, " run"]) -> tuple[float, Vector]:
        parts = np.stack([x[0] - x[3] * sizes, x[1] - x[4] * tokens, np.full_like(sizes, x[2])])
        # By hand: scipy's own logsumexp takes three times as long as all the rest.
        largest = parts.max(axis=0)
        powers = np.exp(parts - largest)
        total = powers.sum(axis=0)
        predicted = largest + np.log(total)
        residual = predicted - losses
        slope = np.clip(residual, -DELTA, DELTA)
        huber = np.where(
            np.abs(residual) <= DELTA, residual**2 / 2, DELTA * (np.abs(residual) - DELTA / 2)
        )
        shares = powers * (weights * slope / total)
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


def seconds(work: Callable[[], Made]) -> tuple[float, Made]:
    """Processor seconds of one call, and what it returned."""
    started = time.process_time()
    made = work()
    return time.process_time() - started, made


def one_fit(runs: Runs, of: Setup, objective: Rival) -> tuple[list[Line], Optimum]:
    """The fit without and with its certificate, against the best of 4,500 starts."""
    grids = (np.arange(0, 30, 5), np.arange(0, 30, 5), np.arange(-1, 1.5, 0.5),
             np.arange(0, 2.5, 0.5), np.arange(0, 2.5, 0.5))  # fmt: skip
    starts = np.array(list(itertools.product(*grids)))
    assert len(starts) == STARTS
    ones = np.ones(len(runs))

    def part(turn: int) -> float:
        return min(
            minimize(objective, start, args=(ones,), jac=True, method="L-BFGS-B").fun
            for start in starts[turn::TURNS]
        )

    def ours(certify: bool) -> tuple[float, Optimum]:
        return seconds(lambda: optimum(setup(of.law, of.points), certify=certify))

    plain, certified = ([ours(certify)] for certify in (False, True))  # the first ones warm up
    theirs, lowest = 0.0, np.inf
    for turn in range(TURNS):
        plain.append(ours(False))
        certified.append(ours(True))
        spent, value = seconds(lambda turn=turn: part(turn))
        theirs, lowest = theirs + spent, min(lowest, value)
    lines: list[Line] = []
    for what, made in (("search and refine", plain), ("with certificate", certified)):
        found = made[-1][1]
        remark = (
            f"objective {found.value:.16f}, scipy {lowest:.16f} ({found.value / lowest - 1:+.0e})"
        )
        if made is certified:
            remark += f"; two searches {'agree' if found.agreed else 'DISAGREE'}"
        lines.append(
            Line(
                f"fit of {len(runs)} rows, {what} / {STARTS:,} starts",
                float(np.median([spent for spent, _ in made[1:]])),
                theirs,
                remark,
                FIT_TARGET,
                found.converged and found.value <= lowest * (1 + NO_WORSE),
            )
        )
    return lines, certified[-1][1]


def resampled(of: Setup, found: Optimum, objective: Rival) -> list[Line]:
    """Converged refits of resampled rows from the optimum, against scipy on some of the same."""
    rows, turns = len(of.points), 8
    draw = np.random.default_rng(0)
    weights = draw.multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES).astype(np.float64)
    best = dict(zip(of.law.place, found.vectors[0], strict=True))
    start = np.array(
        [np.log(best["A"]), np.log(best["B"]), np.log(best["E"]), best["alpha"], best["beta"]]
    )
    judged = np.arange(RIVAL_RESAMPLES)
    ours, values = 0.0, np.zeros(RESAMPLES)
    converged = np.zeros(RESAMPLES, dtype=bool)
    spent = dict.fromkeys(CONVERGED, 0.0)
    reached = {name: np.zeros(RIVAL_RESAMPLES) for name in CONVERGED}
    for turn in range(turns):
        mine = slice(turn * RESAMPLES // turns, (turn + 1) * RESAMPLES // turns)
        took, made = seconds(lambda mine=mine: refit(of, found.vectors, weight=weights[mine]))
        ours += took
        values[mine], converged[mine] = made.value, made.converged
        for name, (method, options) in CONVERGED.items():
            for one in judged[turn::turns]:
                took, answer = seconds(
                    lambda one=one, method=method, options=options: minimize(
                        objective,
                        start,
                        args=(weights[one],),
                        jac=True,
                        method=method,
                        options=options,
                    )
                )
                spent[name] += took
                reached[name][one] = answer.fun
    lines: list[Line] = []
    for name in CONVERGED:
        gap = values[:RIVAL_RESAMPLES] / reached[name] - 1
        remark = (
            f"{converged.mean():.1%} converged; objective over scipy's: at most {gap.max():+.0e}, "
            f"at least {gap.min():+.0e}; scipy timed on {RIVAL_RESAMPLES}"
        )
        theirs = spent[name] / RIVAL_RESAMPLES * RESAMPLES
        sound = bool(converged.all() and gap.max() <= 1e-9)
        what = f"{RESAMPLES:,} resamples / {name}"
        lines.append(Line(what, ours, theirs, remark, RESAMPLES_TARGET, sound))
    return lines


def whole(runs: Runs) -> list[Line]:
    """What a caller waits for: a fit with intervals and warnings, profiles, the command."""
    again, fitted = seconds(
        lambda: fit(find_law("chinchilla"), runs, INPUTS, "loss", bootstrap=RESAMPLES)
    )
    lines = [Line(f"fit() with {RESAMPLES:,} resamples and warnings", again)]
    took, made = seconds(lambda: [profile(fitted, name) for name in fitted.law.place])
    reach = ", ".join(f"{one.name} {one.low:.4g} to {one.high:.4g}" for one in made)
    lines.append(Line("profiles of five coefficients, 41 points", took, remark=reach))
    if not (Path(sys.executable).parent / "lawsweep").exists():
        return lines
    command = [str(Path(sys.executable).parent / "lawsweep")]
    command += ["fit", str(TABLE), "--law", "chinchilla", "--where", "loss < 3.44", "--json"]
    times: list[float] = []
    for _ in range(PROCESSES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(command, check=True, capture_output=True)
        times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    remark = "user seconds of the process, 1,000 resamples"
    lines.append(Line("lawsweep fit --law chinchilla", float(np.median(times)), remark=remark))
    return lines


def on_one_thread(module: str) -> None:
    """Start anew with one thread for every library, unless that is so already."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    if any(os.environ.get(name) != "1" for name in threads):
        environment = {**os.environ, **dict.fromkeys(threads, "1")}
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)


def about() -> str:
    """Where and when this was measured."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.processor(),
    )  # fmt: skip
    return (
        f"{datetime.now():%Y-%m-%d}, {model}, {os.cpu_count()} cores (one used), "
        f"load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}"
    )


def main() -> None:
    """Measure, then print the table."""
    runs = read_table(TABLE, COLUMNS, parse_where("loss < 3.44"))
    law, objective = find_law("chinchilla"), rival(runs)
    derived, of = seconds(lambda: setup(law, points(law, runs, INPUTS, "loss")))
    first, _ = seconds(lambda: optimum(of))
    fitted, found = one_fit(runs, of, objective)
    lines = [
        *fitted,
        Line("the first fit of a process", derived + first, remark="derives the law as well"),
        *resampled(of, found, objective),
        *whole(runs),
    ]
    print(about())
    print(f"{'processor seconds':50}{'ours':>9}{'scipy':>10}{'ratio':>8}  {'target':12}")
    for line in lines:
        print(line.text())


if __name__ == "__main__":
    on_one_thread("tests.benchmarks.bench_fit")
    main()
