"""The exact profile of two powers at constant compute: its vertex, and a parabola's error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize

from analysis.tuning.bowl import vertices

LOW, HIGH = 1e-3, 2.0  # range of the two exponents


@dataclass(frozen=True)
class Profile:
    """The runs of one level of compute: natural log of the size, loss, and weight of the loss."""

    x: Float[np.ndarray, " run"]
    loss: Float[np.ndarray, " run"]
    weight: Float[np.ndarray, " run"]


@dataclass(frozen=True)
class TwoPower:
    """loss = floor + fall e^(-alpha x) + rise e^(beta x) at every level, exponents shared.

    `misfit` is the weighted sum of squared residuals.
    `vertex` holds the natural log of the best size of each level (NaN where the profile has no
    minimum), `bias` what the parabola of the noise-free profile at the same sizes has in excess.
    """

    alpha: float
    beta: float
    coefficients: Float[np.ndarray, "level 3"]
    centre: Float[np.ndarray, " level"]
    vertex: Float[np.ndarray, " level"]
    covariance: Float[np.ndarray, "level level"]
    bias: Float[np.ndarray, " level"]
    bound: str
    misfit: float
    spare: int


def two_power(
    levels: Sequence[Profile],
    log: bool,
    variance: float | None = None,
    high: float = HIGH,
) -> TwoPower | None:
    """Fit the profile to several levels of compute at once; None when too few runs are spare.

    On a line of constant compute any loss E + A N^-alpha + B D^-beta is such a profile in x = ln N,
    with its own three amplitudes at every level. `log` says that the parabola, whose bias is
    wanted, is one of ln loss; `variance` is the noise at weight 1, estimated unless it is known.
    The exponents lie between 0.001 and `high`; small ones make a parabola.
    """
    spare = sum(len(one.x) for one in levels) - 2 - 3 * len(levels)
    if spare < 1:
        return None
    centre = np.array([(one.x.min() + one.x.max()) / 2 for one in levels])
    moved = [
        Profile(one.x - middle, one.loss, one.weight)
        for one, middle in zip(levels, centre, strict=True)
    ]
    exponents = _search(moved, high)
    held = (exponents < LOW * 1.0001) | (exponents > high * 0.9999)
    solved = [_solve(one, exponents[None]) for one in moved]
    coefficients = np.stack([one[0][0] for one in solved])
    misfit = sum(float((one[1][0] ** 2).sum()) for one in solved)
    if variance is None:
        variance = misfit / spare
    away, slopes = _vertices(exponents, coefficients)
    good = np.isfinite(away)
    covariance = variance * _covariance(moved, exponents, coefficients, slopes, held)
    covariance[~good] = covariance[:, ~good] = np.nan
    curves = [
        _basis(one.x, exponents[None])[0] @ c for one, c in zip(moved, coefficients, strict=True)
    ]
    bias = np.full(len(levels), np.nan)
    for place in np.flatnonzero(good):
        one, curve = moved[place], curves[place]
        if log and curve.min() <= 0:
            continue
        weight = one.weight * one.loss**2 if log else one.weight
        found, minimum = vertices(one.x[:, None], np.log(curve) if log else curve, weight[None])
        if minimum[0]:
            bias[place] = found[0, 0] - away[place]
    names = [name for name, stuck in zip(("alpha", "beta"), held, strict=True) if stuck]
    return TwoPower(
        float(exponents[0]),
        float(exponents[1]),
        coefficients,
        centre,
        centre + away,
        covariance,
        bias,
        " and ".join(names),
        misfit,
        spare,
    )


def profile(
    found: TwoPower, level: int, x: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    """The fitted loss of one level at some natural logs of the size."""
    exponents = np.array([[found.alpha, found.beta]])
    return _basis(x - found.centre[level], exponents)[0] @ found.coefficients[level]


def _basis(
    x: Float[np.ndarray, " run"], exponents: Float[np.ndarray, "problem 2"]
) -> Float[np.ndarray, "problem run 3"]:
    """Combinations of 1, e^(-alpha x), e^(beta x) that tend to 1, x, x^2 as the exponents vanish.

    The three powers themselves are all but parallel when the exponents are small.
    """
    alpha, beta = exponents[:, :1], exponents[:, 1:]
    fall, rise = np.expm1(-alpha * x), np.expm1(beta * x)
    first = (rise - fall) / (alpha + beta)
    second = 2 * (alpha * rise + beta * fall) / (alpha * beta * (alpha + beta))
    return np.stack([np.ones_like(first), first, second], axis=-1)


def _solve(
    one: Profile, exponents: Float[np.ndarray, "problem 2"]
) -> tuple[Float[np.ndarray, "problem 3"], Float[np.ndarray, "problem run"]]:
    """The best amplitudes for given exponents, and the weighted residuals that are left."""
    root = np.sqrt(one.weight)
    design = _basis(one.x, exponents) * root[:, None]
    q, r = np.linalg.qr(design)
    right = np.einsum("pki,k->pi", q, root * one.loss)
    amplitudes = np.linalg.solve(r, right[:, :, None])[:, :, 0]
    return amplitudes, root * one.loss - np.einsum("pki,pi->pk", design, amplitudes)


def _search(levels: Sequence[Profile], high: float) -> Float[np.ndarray, " 2"]:
    """The two exponents: a grid with the amplitudes projected out, then least squares from its best."""
    residuals = _residuals(levels)
    axis = np.log(np.geomspace(LOW, high, 24))
    flat = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    total = (residuals(flat) ** 2).sum(axis=1).reshape(24, 24)
    padded = np.pad(total, 1, constant_values=np.inf)
    around = np.min(
        [padded[1 + i : 25 + i, 1 + j : 25 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=0
    )
    seeds = np.flatnonzero((total <= around).ravel())
    seeds = seeds[np.argsort(total.ravel()[seeds], kind="stable")][:3]
    # A scale of one residual keeps the relative stopping rules of the library meaningful.
    size = max(float(np.sqrt(total.min())), 1e-300)
    steps = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) * 1e-5

    def slopes(logs: Float[np.ndarray, " 2"]) -> Float[np.ndarray, "run 2"]:
        up, down, more, less = residuals(logs + steps) / size
        return np.stack([up - down, more - less], axis=1) / 2e-5

    jacobian: Any = slopes  # the library's types know only the names of its own differences
    found = [
        optimize.least_squares(
            lambda logs: residuals(logs[None])[0] / size,
            np.clip(flat[seed], axis[0] + 1e-6, axis[-1] - 1e-6),
            jac=jacobian,
            bounds=(axis[0], axis[-1]),
            xtol=1e-12,
            ftol=1e-14,
            gtol=1e-14,
            max_nfev=200,
        )
        for seed in seeds
    ]
    return np.exp(min(found, key=lambda one: float(one.cost)).x)


def _residuals(
    levels: Sequence[Profile],
) -> Callable[[Float[np.ndarray, "problem 2"]], Float[np.ndarray, "problem run"]]:
    """The weighted residuals of all levels for many logs of the exponents, amplitudes projected out.

    Levels are padded to one length with runs of no weight, so that all are solved at once.
    """
    longest = max(len(one.x) for one in levels)
    x, loss, root = np.zeros((3, len(levels), longest))
    for place, one in enumerate(levels):
        own = slice(0, len(one.x))
        x[place, own], loss[place, own] = one.x, one.loss
        root[place, own] = np.sqrt(one.weight)
    right = root * loss

    def residuals(logs: Float[np.ndarray, "problem 2"]) -> Float[np.ndarray, "problem run"]:
        exponents = np.exp(logs)
        shape = (len(exponents), *x.shape, 3)
        design = _basis(x.ravel(), exponents).reshape(shape) * root[..., None]
        q, _ = np.linalg.qr(design)
        left = right - (q @ (np.swapaxes(q, -1, -2) @ right[..., None]))[..., 0]
        return left.reshape(len(exponents), -1)

    return residuals


def _vertices(
    exponents: Float[np.ndarray, " 2"], coefficients: Float[np.ndarray, "level 3"]
) -> tuple[Float[np.ndarray, " level"], Float[np.ndarray, "level 5"]]:
    """The minimum of every level, with its derivatives by the exponents and the amplitudes.

    The slope vanishes where alpha fall e^(-alpha x) = beta rise e^(beta x).
    """
    alpha, beta = exponents
    first, second = coefficients[:, 1], coefficients[:, 2]
    down, up = 2 * second - alpha * first, 2 * second + beta * first
    good = (down > 0) & (up > 0)
    down, up = np.where(good, down, np.nan), np.where(good, up, np.nan)
    both = alpha + beta
    at = np.log(down / up) / both
    slopes = np.stack(
        [
            -first / (down * both) - at / both,
            -first / (up * both) - at / both,
            np.zeros_like(at),
            (-alpha / down - beta / up) / both,
            (2 / down - 2 / up) / both,
        ],
        axis=1,
    )
    return at, slopes


def _covariance(
    levels: Sequence[Profile],
    exponents: Float[np.ndarray, " 2"],
    coefficients: Float[np.ndarray, "level 3"],
    slopes: Float[np.ndarray, "level 5"],
    held: np.ndarray,
) -> Float[np.ndarray, "level level"]:
    """The covariance of the vertices at unit noise, from the whole Jacobian of the profile."""
    count = 2 + 3 * len(levels)
    blocks, moves = [], np.zeros((len(levels), count))
    steps = exponents * 1e-5
    for place, (one, amplitudes) in enumerate(zip(levels, coefficients, strict=True)):
        block = np.zeros((len(one.x), count))
        for which in range(2):
            step = np.zeros(2)
            step[which] = steps[which]
            up, down = (_basis(one.x, (exponents + s)[None])[0] for s in (step, -step))
            block[:, which] = (up - down) @ amplitudes / (2 * steps[which])
        own = slice(2 + 3 * place, 5 + 3 * place)
        block[:, own] = _basis(one.x, exponents[None])[0]
        blocks.append(block * np.sqrt(one.weight)[:, None])
        moves[place, :2] = slopes[place, :2]
        moves[place, own] = slopes[place, 2:]
    free = np.concatenate([~held, np.ones(count - 2, dtype=bool)])
    jacobian = np.vstack(blocks)[:, free]
    scale = np.sqrt((jacobian**2).sum(axis=0))
    inverse = np.linalg.pinv(jacobian / scale, rcond=1e-12) / scale[:, None]
    spread = np.nan_to_num(moves[:, free]) @ inverse
    return spread @ spread.T
