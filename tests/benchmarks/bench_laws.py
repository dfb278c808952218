"""Every law on runs that it made itself: seconds of a fit, of its resamples, and whether it is the best.

Run `python -m tests.benchmarks.bench_laws [LAW ...]`. The runs are 80 rows (160 for more than nine
coefficients) with 1 % noise, whose coefficients and inputs are those of tests/conformance/planted.py.
`excess` is how far the objective lies above that of a fit which starts at the planted coefficients,
relative to it (for likelihoods with a fitted scale: per row); below 0 the search found a better one.
The last lines say which searches missed an optimum that is known, if any did. It takes about two minutes.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from analysis.engine.refit import Optimum, Setup, optimum, refit, setup
from analysis.law import Law, all_laws, find_law, vector
from analysis.points import points
from tests.benchmarks.bench_fit import about, on_one_thread, seconds
from tests.conformance.planted import planted

SIZED = ("broken:2", "precision:3", "mixture:4", "mixture_joint:3")
SEEDS, RESAMPLES, NOISE = 10, 200, 0.01
ROWS, MORE_ROWS = 80, 160
MISSED = 1e-8  # an excess beyond rounding


@dataclass(frozen=True)
class Line:
    """One law; `first` are the seconds of the first fit, which derives it, `fit` of any other."""

    law: str
    coefficients: int
    first: float
    fit: float
    slowest: float
    resamples: float
    converged: float
    agreed: int
    worst: float
    best: float

    def text(self) -> str:
        """The line as it is printed."""
        return (
            f"{self.law:22}{self.coefficients:6}{self.first:8.2f}{self.fit:8.3f}{self.slowest:9.3f}"
            f"{self.resamples:8.2f}{self.converged:9.1%}{self.agreed:5} of {SEEDS}"
            f"{self.worst:+11.0e}{self.best:+11.0e}"
        )


def measured(law: Law) -> Line:
    """All that is said of one law."""
    first, times, excesses, agreed = 0.0, [], [], 0
    resamples, converged = 0.0, 0.0
    for seed in range(SEEDS):
        of, truth = noisy(law, seed)
        if seed == 0:
            first, _ = seconds(lambda of=of: optimum(of))
        took, found = seconds(lambda of=of: optimum(of))
        times.append(took)
        agreed += found.agreed
        started = refit(of, truth)
        size = len(of.points) if of.objective.fits_scale else abs(float(started.value[0]))
        excesses.append((found.value - float(started.value[0])) / size)
        if seed == 0:
            resamples, converged = resampled(of, found)
    return Line(
        law=law.name,
        coefficients=len(law.coefficients),
        first=first,
        fit=float(np.median(times)),
        slowest=max(times),
        resamples=resamples,
        converged=converged,
        agreed=agreed,
        worst=max(excesses),
        best=min(excesses),
    )


def noisy(law: Law, seed: int) -> tuple[Setup, np.ndarray]:
    """Noisy runs of a law, ready to be fitted, and the coefficients that made them."""
    rows = MORE_ROWS if len(law.coefficients) > 9 else ROWS
    made = planted(law, rows, seed, NOISE)
    signed = law.objective.residual == "plain" or law.objective.kind == "binomial"
    on = points(law, made.runs, made.inputs, law.target, "none", made.columns, signed)
    return setup(law, on), vector(law, made.coefficients)


def resampled(of: Setup, found: Optimum) -> tuple[float, float]:
    """Seconds of refitting resampled rows, and the share that converged."""
    rows = len(of.points)
    draw = np.random.default_rng(0)
    weights = draw.multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES).astype(np.float64)
    took, made = seconds(lambda: refit(of, found.vectors, weight=weights))
    return took, float(made.converged.mean())


def main() -> None:
    """Measure every law, then print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("laws", nargs="*", metavar="LAW", help="only these laws")
    names = asked.parse_args().laws
    laws = [find_law(name) for name in names] or [*all_laws(), *map(find_law, SIZED)]
    with np.errstate(all="ignore"):
        lines = [measured(law) for law in laws]
    print(about())
    print(
        f"{'processor seconds':22}{'coefs':>6}{'first':>8}{'fit':>8}{'slowest':>9}{RESAMPLES:>6}re"
        f"{'converge':>9}{'agreed':>10}{'worst':>11}{'best':>11}  excess"
    )
    for line in lines:
        print(line.text())
    for word, wrong in (
        ("missed an optimum that is known", [one.law for one in lines if one.worst > MISSED]),
        ("had searches that disagree", [one.law for one in lines if one.agreed < SEEDS]),
        ("had resamples that did not converge", [one.law for one in lines if one.converged < 1]),
    ):
        print(f"{len(wrong)} of {len(lines)} laws {word}{': ' if wrong else ''}{', '.join(wrong)}")


if __name__ == "__main__":
    on_one_thread("tests.benchmarks.bench_laws")
    main()
