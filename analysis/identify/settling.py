"""What run would settle a coefficient: where it should lie, and roughly how many of them.

Every corner of the design, widened tenfold, is a candidate; its value is by how much a repeat of it
shrinks the coefficient's variance in the law made linear at the optimum.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.identify.evidence import Evidence, spread

REACH = 10.0  # a candidate lies at most this factor outside of the inputs so far
GRID_OF = 3  # with more inputs only one of them is moved at a time
PRECISE = 0.25  # of its value: the standard error at which a coefficient counts as settled
MOST = 64  # runs that are still called a proposal


@dataclass(frozen=True)
class NextRun:
    """`count` runs at `values` would give a coefficient the standard error `error`."""

    values: dict[str, float]
    count: int
    error: float


def settle(on: Evidence, place: int) -> str:
    """The sentence that proposes runs for one coefficient."""
    found = next_run(on, place)
    if found is None:
        return "runs over a wider range of the inputs would settle it"
    where = " and ".join(
        f"{name} {value:.2g}{_so_far(on, name, value)}" for name, value in found.values.items()
    )
    if found.count > MOST:
        return f"even {MOST} runs at {where} would not settle it"
    return f"about {found.count} run{'s' * (found.count > 1)} at {where} would settle it"


def next_run(on: Evidence, place: int) -> NextRun | None:
    """The candidate whose repeats settle a coefficient cheapest; None if none tells anything."""
    surface = on.of.surface
    size = len(on.names)
    candidates = _candidates(on)
    runs, centre = surface.runs, surface.centre
    positive = np.array([[one.positive] for one in on.of.law.inputs])
    logs = np.log(np.where(positive, candidates, 1.0)) - centre
    new = _gradients(on, np.where(positive, logs, candidates))
    old = _gradients(on, runs)
    noise = max(spread(on), 1e-6 * float(np.abs(surface.target).mean()))
    wide = np.array([_width(on, one) for one in range(size)])
    information = old.T @ old / noise**2 + np.diag(wide**-2.0)
    covariance = np.linalg.inv(information)
    covariance = (covariance + covariance.T) / 2
    shared = (new @ covariance)[:, place] ** 2
    own = np.einsum("ci,ij,cj->c", new, covariance, new)
    if not np.isfinite(shared).any() or np.nanmax(shared) <= 1e-6 * covariance[place, place] ** 2:
        return None
    goal = _goal(on, place) ** 2
    counts = np.arange(1, MOST + 1)[:, None]
    variance = covariance[place, place] - counts * shared / (noise**2 + counts * own)
    variance = np.where(np.isfinite(variance), variance, np.inf)
    enough = variance <= goal
    needed = np.where(enough.any(axis=0), np.argmax(enough, axis=0) + 1, np.inf)
    if np.isfinite(needed).any():
        best = int(np.argmin(needed * _price(on, candidates)))
        count = int(needed[best])
    else:
        best, count = int(np.argmin(variance[-1])), MOST + 1
    error = float(np.sqrt(max(variance[min(count, MOST) - 1, best], 0.0)))
    values = {
        name: float(one)
        for name, one in zip(on.of.law.input_names, candidates[:, best], strict=True)
    }
    return NextRun(values, count, error)


def _price(
    on: Evidence, candidates: Float[np.ndarray, "input candidate"]
) -> Float[np.ndarray, " candidate"]:
    """1 for what is no larger than the runs so far, and more for what is, by the product of inputs."""
    positive = [place for place, one in enumerate(on.of.law.inputs) if one.positive]
    so_far = np.prod(np.stack([on.on.values[on.of.law.input_names[at]] for at in positive]), axis=0)
    return np.maximum(1.0, np.prod(candidates[positive], axis=0) / so_far.max())


def _goal(on: Evidence, place: int) -> float:
    """The standard error at which a coefficient is settled, in the engine's variables."""
    if on.of.law.coefficients[place].log:
        return PRECISE
    value = abs(float(on.inside[place]))
    return PRECISE * (value if value > 0 else _width(on, place) / 4)


def _width(on: Evidence, place: int) -> float:
    """How widely a coefficient is spread before any run is known."""
    one = on.of.law.coefficients[place]
    if one.starts is None:
        target = np.abs(on.of.surface.target)
        usual = float(np.abs(on.on.measured).mean()) if on.of.law.parsed.link == "identity" else 0
        return 4 * max(usual, float(target.mean()), abs(float(on.inside[place])))
    low, high = one.starts
    return float(np.log(high / low) if one.log else high - low) / 2


def _gradients(
    on: Evidence, runs: Float[np.ndarray, "input candidate"]
) -> Float[np.ndarray, "candidate coefficient"]:
    """The derivative of each row's residual by the engine's variables."""
    made, size = on.of.surface.compiled, len(on.names)
    columns = [on.inside[None, [place]] for place in range(size)]
    parts = made.derivatives.run(columns, runs, on.of.surface.centre)[: size + 1]
    model, *first = (np.broadcast_to(one, (1, runs.shape[1]))[0] for one in parts)
    with np.errstate(all="ignore"):
        return np.stack(first, axis=1) / (model[:, None] if made.logarithmic else 1.0)


def _candidates(on: Evidence) -> Float[np.ndarray, "input candidate"]:
    levels = [_levels(on, name) for name in on.of.law.input_names]
    if len(levels) <= GRID_OF:
        return np.array(list(itertools.product(*levels))).T
    middle = [one[len(one) // 2] for one in levels]
    rows = [
        [*middle[:place], value, *middle[place + 1 :]]
        for place, one in enumerate(levels)
        for value in one
    ]
    return np.array(rows).T


def _levels(on: Evidence, name: str) -> list[float]:
    """Below, at and above the values of an input so far; whole numbers stay whole."""
    values = on.on.values[name]
    low, high = float(values.min()), float(values.max())
    if low <= 0:
        reach = (high - low) / 2
        return [low - reach, low, (low + high) / 2, high, high + reach]
    levels = [low / REACH, low, float(np.sqrt(low * high)), high, high * REACH]
    if np.all(values == np.round(values)):
        levels = [max(1.0, float(np.round(one))) for one in levels]
    return levels


def _so_far(on: Evidence, name: str, value: float) -> str:
    values = on.on.values[name]
    low, high = values.min(), values.max()
    return f" (so far {low:.2g} to {high:.2g})" if not low <= value <= high else ""
