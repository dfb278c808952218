"""How often intervals cover the truth: the Chinchilla law, runs simulated from known coefficients.

Run `python -m tests.benchmarks.bench_coverage`. Nominal 90 % intervals of the five coefficients, of the law
at the largest scales and of a new run there (which were left out), for several numbers of runs, sizes
and tails of noise. `se` is the standard error of a coverage (over simulations: the coefficients of one are
not independent), `width` the mean width of the exponents' intervals over the exponents.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.engine.compiled import Vectors, predict, predict_many
from analysis.engine.objective import Objective
from analysis.engine.refit import Optimum, Setup, optimum, refit_each, setup
from analysis.law import find_law
from analysis.points import Points
from analysis.uncertainty.bootstrap import bootstrap
from analysis.uncertainty.covariance import covariance, normal_interval
from analysis.uncertainty.intervals import Reading, ends
from analysis.uncertainty.linearised import linearised
from analysis.uncertainty.profile import threshold

LAW = find_law("chinchilla")
TRUE = {"E": 1.82, "A": 480.0, "B": 2100.0, "alpha": 0.347, "beta": 0.367}
VECTOR = np.array([[TRUE[one.name] for one in LAW.coefficients]])
SHAPES = {30: (6, 5), 60: (10, 6), 120: (15, 8), 240: (20, 12)}  # sizes, and tokens of each
LEVEL = 0.9
KINDS = ("rows", "residual", "wild", "profile")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    runs: int
    noise: float
    tails: str
    objective: str
    method: str
    coverage: float
    error: float
    width: float


def design(runs: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Sizes from 50 M to 8 B at 2 to 200 tokens each; and three larger runs, which are left out."""
    sizes, lengths = SHAPES[runs]
    params, ratio = np.meshgrid(np.geomspace(5e7, 8e9, sizes), np.geomspace(2, 200, lengths))
    params = params.ravel()
    larger = {"params": np.array([1.6e10, 3e10, 7e10]), "tokens": np.array([3e11, 6e11, 1.4e12])}
    return {"params": params, "tokens": params * ratio.ravel()}, larger


def errors(generator: np.random.Generator, count: int, noise: float, tails: str) -> np.ndarray:
    """Errors of the log loss: normal, or of Student's t with 3 degrees and the same variance."""
    if tails == "t3":
        return noise * generator.standard_t(3, count) / np.sqrt(3)
    return noise * generator.standard_normal(count)


def simulate(
    runs: int,
    noise: float,
    tails: str,
    objective: Objective,
    simulations: int,
    resamples: int,
    kinds: tuple[str, ...] = KINDS,
) -> list[Row]:
    """The coverage of some kinds of intervals over simulated tables."""
    generator = np.random.default_rng(runs)
    values, larger = design(runs)
    inside: defaultdict[str, list[float]] = defaultdict(list)
    widths: defaultdict[str, list[float]] = defaultdict(list)
    exact, truth = predict(LAW, TRUE, values), predict(LAW, TRUE, larger)
    for _ in range(simulations):
        measured = exact * np.exp(errors(generator, runs, noise, tails))
        new = truth * np.exp(errors(generator, len(truth), noise, tails))
        of = setup(LAW, Points(values, measured, tuple(measured[:, None])), objective)
        found = optimum(of, certify=False)
        for method, low, high, goal in methods(of, found, larger, truth, new, resamples, kinds):
            inside[method].append(float(((low <= goal) & (goal <= high)).mean()))
            widths[method].append(float(((high - low) / goal)[..., -2:].mean()))
    return [
        Row(runs, noise, tails, objective.kind, method, float(np.mean(covered)),
            float(np.std(covered, ddof=1) / np.sqrt(len(covered))), float(np.mean(widths[method])))
        for method, covered in inside.items()
    ]  # fmt: skip


Ends = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def methods(
    of: Setup,
    found: Optimum,
    larger: dict[str, np.ndarray],
    truth: np.ndarray,
    new: np.ndarray,
    resamples: int,
    kinds: tuple[str, ...],
) -> Iterator[Ends]:
    """Every method's intervals, with what they are to cover."""
    best, true = found.vectors[:1], VECTOR[0]
    centre = predict_many(LAW, best, larger)[0]
    for name in ("rows", "residual", "wild"):
        if name not in kinds:
            continue
        kind = "auto" if name == "rows" else name
        made = bootstrap(of, found, "none", kind, resamples, 42)  # type: ignore[arg-type]
        yield f"{name}: as a fit reads them", *ends(made.draws, best[0], LEVEL, made.reading), true
        yield f"{name}: plain percentiles", *ends(made.draws, best[0], LEVEL), true
        law = predict_many(LAW, made.draws, larger)
        yield f"{name}: the law beyond", *ends(law, centre, LEVEL, made.reading), truth
        yield f"{name}: a new run beyond", *_new_runs(of, found, law, made.reading), new
    spread = covariance(of, best, found.scale)
    yield "sandwich: Student t", *normal_interval(of, best, spread, LEVEL), true
    if "profile" in kinds:
        yield "profile", *_profile(of, found, best), true


def _new_runs(
    of: Setup, found: Optimum, law: Vectors, reading: Reading
) -> tuple[np.ndarray, np.ndarray]:
    drawn = -linearised(of, found.vectors[:1], found.scale).freed * (found.scale or 1.0)
    generator = np.random.RandomState(0)
    law = np.tile(law, (max(1, 4_000 // len(law)), 1))
    new = law * np.exp(drawn[generator.randint(0, len(drawn), law.shape)])
    return ends(new, new.mean(axis=0), LEVEL, Reading(False, reading.degrees, reading.stretch))


def _profile(of: Setup, found: Optimum, best: Vectors) -> tuple[np.ndarray, np.ndarray]:
    """Whether a profile covers is whether it is below its threshold at the truth."""
    spread = covariance(of, best, found.scale)
    low, high = VECTOR[0].copy(), VECTOR[0].copy()
    for place, one in enumerate(LAW.coefficients):
        rise, _ = threshold(of, best, found.scale, spread, place, LEVEL)
        held = {one.name: VECTOR[:, place]}
        value = min(float(refit_each(of, start, hold=held).value[0]) for start in (VECTOR, best))
        if value - found.value > rise:
            low[place] = high[place] = np.nan
    return low, high


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--runs", type=int, nargs="*", default=[30, 60, 120])
    parser.add_argument("--noise", type=float, nargs="*", default=[0.005, 0.02])
    parser.add_argument("--tails", nargs="*", default=["normal", "t3"])
    parser.add_argument("--objective", nargs="*", default=["huber"])
    chosen = parser.parse_args()
    print(f"{'runs':>5} {'noise':>6} {'tails':7} {'objective':9} {'method':42} {'coverage':>8} {'se':>6} "
          f"{'width':>7}")  # fmt: skip
    for kind in chosen.objective:
        for runs in chosen.runs:
            for noise in chosen.noise:
                for tails in chosen.tails:
                    for one in simulate(runs, noise, tails, Objective(kind), chosen.simulations,
                                        chosen.resamples):  # fmt: skip
                        print(f"{one.runs:5} {one.noise:6.3f} {one.tails:7} {one.objective:9} "
                              f"{one.method:42} {one.coverage:8.3f} {one.error:6.3f} "
                              f"{'-' if np.isnan(one.width) else f'{one.width:.3f}':>7}",
                              flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
