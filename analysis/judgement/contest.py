"""Predictions of the same left-out points against each other: the best mix, and who leads."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize

from analysis.engine.objective import Residual

DRAWS = 2_000
SURE = 0.975


@dataclass(frozen=True)
class Lead:
    """Whether the first of two laws is better than the second beyond chance.

    `difference` is the mean absolute residual of the second less that of the first, [low, high] its
    95 % interval over resampled points (or whole runs), `probability` the share of resamples in
    which the first is better.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    probability: float
    text: str

    @property
    def sure(self) -> bool:
        """Whether the interval lies above zero."""
        return bool(self.low > 0)


def lead(
    names: tuple[str, str],
    first: Float[np.ndarray, " point"],
    second: Float[np.ndarray, " point"],
    cluster: Int[np.ndarray, " point"] | None,
    seed: int,
    unit: Residual = "plain",
) -> Lead:
    """Compare two laws by the residuals that they left at the same points, drawn in pairs.

    `unit` says of what the residuals are, for the words.
    """
    gain = np.abs(second) - np.abs(first)
    group = np.arange(len(gain)) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    count = int(group.max()) + 1
    sums = np.bincount(group, gain, count)
    sizes = np.bincount(group, minlength=count)
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    # A tie is nobody's win.
    better = float(((means > 0) + 0.5 * (means == 0)).mean())
    mean = float(gain.mean())
    return Lead(
        *names,
        mean,
        float(low),
        float(high),
        better,
        _words(names, gain, mean, low, better, count, unit),
    )


def criteria(
    residual: Float[np.ndarray, " point"], coefficients: int
) -> tuple[float | None, float | None]:
    """AICc and BIC of normal residuals; None where there are too few, or a law that misses nothing.

    They are n ln(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1) and n ln(RSS / n) + k ln n, where k
    counts the coefficients and the variance. Source of the first: Hurvich and Tsai 1989, Biometrika
    76, 297.
    """
    count, size = len(residual), coefficients + 1
    squares = float((residual**2).sum())
    if count - size - 1 <= 0 or squares == 0 or not np.isfinite(squares):
        return None, None
    fits = count * float(np.log(squares / count))
    penalty = 2 * size + 2 * size * (size + 1) / (count - size - 1)
    return fits + penalty, fits + size * float(np.log(count))


def stacked(residuals: Float[np.ndarray, "point law"]) -> Float[np.ndarray, " law"]:
    """The weights of the convex mix of predictions with the least squared residuals.

    Source: Breiman 1996, Stacked regressions, doi:10.1007/BF00117832, with weights that sum to 1.
    """
    usable = np.isfinite(residuals).all(axis=0)
    weights = np.zeros(residuals.shape[1])
    inner = residuals[:, usable]
    size = float(np.sqrt((inner**2).sum(axis=0).max(initial=0.0)))
    if size == 0:
        weights[usable] = 1 / max(int(usable.sum()), 1)
        return weights
    # Least squares of w with sum 1 is that of [R; 1] w = [0; 1], up to the length of w.
    scaled = np.vstack([inner / size, np.ones(inner.shape[1])])
    found, _ = optimize.nnls(scaled, np.append(np.zeros(len(inner)), 1.0))
    weights[usable] = found / found.sum()
    return weights


def _words(
    names: tuple[str, str],
    gain: Float[np.ndarray, " point"],
    mean: float,
    low: float,
    better: float,
    count: int,
    unit: Residual,
) -> str:
    one, other = names
    if not gain.any():
        return f"{one} and {other} predict the same"
    # A small residual of logarithms is a relative one.
    closer = f"{100 * abs(mean):.2g} percentage points" if unit == "log" else f"{abs(mean):.2g}"
    said = (
        f"{one} predicts {len(gain)} left-out points {closer} closer than {other} on average and "
        f"is better in {100 * better:.0f} % of the resamples"
    )
    if count < 5:
        return f"{said}, but {count} independent points cannot tell more than chance"
    return f"{said}: {'more than chance' if low > 0 else 'this may be chance'}"
