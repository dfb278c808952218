"""The best size at given compute under a fitted law of size and data, with all of its resamples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import predict_many
from analysis.fit import Fit
from trainers.schema import InputError

BEYOND = 1e4  # how far beyond the runs a best size is looked for, as a factor
POINTS = 801


@dataclass(frozen=True)
class SurfaceVertex:
    """Natural logs of the best size at each compute, by the fit and by each of its resamples.

    NaN where the best size lies more than a factor 10,000 beyond the runs, or nowhere.
    """

    log_params: Float[np.ndarray, " level"]
    draws: Float[np.ndarray, "draw level"]


def surface_vertex(found: Fit, products: Float[np.ndarray, " level"]) -> SurfaceVertex:
    """Minimise the law over the size while size x tokens is held at each of `products`.

    Raises:
        InputError: the law is not one of `params` and `tokens`.
    """
    if set(found.law.input_names) != {"params", "tokens"}:
        raise InputError(
            f"law {found.law.name}: expected a law of params and tokens for a best size, "
            f"got {', '.join(found.law.input_names)}"
        )
    vectors = np.concatenate([found.vector, found.draws])
    sizes = np.log(found.points.values["params"])
    low, high = sizes.min() - np.log(BEYOND), sizes.max() + np.log(BEYOND)
    columns = [_best(found, vectors, product, low, high) for product in products]
    logs = np.stack(columns, axis=1)
    return SurfaceVertex(logs[0], logs[1:])


def _best(
    found: Fit,
    vectors: Float[np.ndarray, "problem coefficient"],
    product: float,
    low: float,
    high: float,
) -> Float[np.ndarray, " problem"]:
    coarse = np.linspace(low, high, POINTS)
    at = _loss(found, vectors, product, coarse).argmin(axis=1)
    inner = (at > 0) & (at < POINTS - 1)
    result = np.full(len(vectors), np.nan)
    if not inner.any():
        return result
    step = coarse[1] - coarse[0]
    fine = np.linspace(coarse[at[inner]].min() - step, coarse[at[inner]].max() + step, POINTS)
    loss = _loss(found, vectors[inner], product, fine)
    place = np.clip(loss.argmin(axis=1), 1, len(fine) - 2)
    rows = np.arange(len(loss))
    before, here, after = (loss[rows, place + move] for move in (-1, 0, 1))
    bend = before - 2 * here + after
    # A parabola through three neighbours; where rounding has made them equal, the middle one.
    shift = np.where(bend > 0, (before - after) / (2 * np.where(bend > 0, bend, 1.0)), 0.0)
    result[inner] = fine[place] + (fine[1] - fine[0]) * np.clip(shift, -1, 1)
    return result


def _loss(
    found: Fit,
    vectors: Float[np.ndarray, "problem coefficient"],
    product: float,
    logs: Float[np.ndarray, " point"],
) -> Float[np.ndarray, "problem point"]:
    values = {"params": np.exp(logs), "tokens": product * np.exp(-logs)}
    return predict_many(found.law, vectors, values)
