"""How far each coefficient can move before the fit gets worse than noise explains.

Every coefficient walks up and down from its optimum while all the others are fitted again, until
the fit gets too bad; each step of all the walks is one batch. An amplitude walks as the size of its
term at the middle of the inputs, because at an input of 1 its exponent decides its value.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.engine.search import project, thinned
from analysis.engine.solver import BASINS, refine
from analysis.engine.surface import Problems, Surface, natural, one_problem, start_scale
from analysis.identify.evidence import Evidence, allowance

POWERS = (0.25, 0.5, 1.0, 2.0, 4.0, 7.0)  # of 2: how far up and down a coefficient walks
SMALL = 0.05  # of its usual size: the unit in which a coefficient near 0 walks
STEPS = 40  # Newton steps of one fit: ample, as each starts from its neighbour


@dataclass(frozen=True)
class Flat:
    """Where one coefficient may lie without a fit that is worse than noise explains.

    In the units of the law, an amplitude as the size of its term at the middle of the inputs.
    `open_low` and `open_high` say that no value tried on that side was too far, `better` by how much
    the objective fell on the way, which it cannot from its least.
    """

    place: int
    value: float
    low: float
    high: float
    open_low: bool
    open_high: bool
    better: float

    @property
    def factor(self) -> float:
        """How many times larger the upper end is than the lower one; infinite across 0."""
        if self.low * self.high <= 0:
            return np.inf
        return max(self.high / self.low, self.low / self.high)


@dataclass
class _Walk:
    """The way of one coefficient in one direction: what is left of it, and how far it came.

    `height` is the square root of the last rise over what is allowed: near the optimum it is
    proportional to the way.
    """

    place: int
    ahead: list[float]
    last: Float[np.ndarray, " variable"]
    end: float
    height: float = 0.0
    open: bool = True
    better: float = 0.0


def flatness(on: Evidence) -> tuple[Flat, ...]:
    """Where each coefficient may lie."""
    surface, problems = thinned(on.of.surface, one_problem(on.of.surface))
    allowed = allowance(on) * surface.runs.shape[1] / len(on.on)
    start = refine(surface, problems, on.found.solution.vectors[:1])
    walks = [
        _Walk(place, ahead, start.vectors[0], float(start.vectors[0, place]))
        for place in range(len(on.names))
        for ahead in _ways(on, place, float(start.vectors[0, place]))
    ]
    while active := [one for one in walks if one.open and one.ahead]:
        _step(on, surface, problems, active, float(start.value[0]), allowed)
    found: list[Flat] = []
    for down, up in zip(walks[::2], walks[1::2], strict=True):
        ends = np.array([start.vectors[0, down.place], down.end, up.end])
        middle, low, high = map(float, _in_units(on, down.place, ends))
        better = max(down.better, up.better)
        found.append(Flat(down.place, middle, low, high, down.open, up.open, better))
    return tuple(found)


def _ways(on: Evidence, place: int, value: float) -> tuple[list[float], list[float]]:
    """The values that a coefficient passes on its way down, and up, in the engine's variables."""
    one = on.of.law.coefficients[place]
    low, high = float(on.of.surface.low[place]), float(on.of.surface.high[place])
    powers = np.array(POWERS)
    usual = _usual(on, place)
    if one.log:
        down, up = value - powers * np.log(2), value + powers * np.log(2)
    elif abs(value) < 1e-3 * usual:
        down, up = value - SMALL * usual * 2.0**powers, value + SMALL * usual * 2.0**powers
    elif value > 0:
        down, up, low = value * 2.0**-powers, value * 2.0**powers, max(low, 0.0)
    else:
        down, up, high = value * 2.0**powers, value * 2.0**-powers, min(high, 0.0)
    below = [float(at) for at in down if at > low] + [low] * bool(np.isfinite(low) and low < value)
    above = [float(at) for at in up if at < high] + [high] * bool(
        np.isfinite(high) and high > value
    )
    return below, above


def _usual(on: Evidence, place: int) -> float:
    """The usual size of a coefficient, where its value does not tell."""
    one = on.of.law.coefficients[place]
    if one.starts is not None:
        return max(map(abs, one.starts))
    log = on.of.law.parsed.link != "identity"
    size = np.abs(np.log(on.on.measured) if log else on.on.measured)
    # A floor is no larger than the least of the measurements, which may span many decades.
    return float(size.min() or np.median(size))


def _step(
    on: Evidence,
    surface: Surface,
    problems: Problems,
    walks: list[_Walk],
    least: float,
    allowed: float,
) -> None:
    """Take every walk one value further; the other coefficients follow it."""
    size, rows = len(on.names), np.arange(len(walks))
    places = np.array([one.place for one in walks])
    values = np.array([one.ahead.pop(0) for one in walks])
    low, high = (np.repeat(one, len(walks), axis=0) for one in (problems.low, problems.high))
    low[rows, places] = high[rows, places] = values
    held = Problems(problems.target, problems.weight, low, high)
    before = np.clip(np.stack([one.last for one in walks]), low, high)
    anew = project(surface, held, before[:, :size])
    anew = start_scale(surface, held, np.where(np.isfinite(anew), anew, before[:, :size]))
    others = [np.repeat(one[None], len(walks), 0) for one in on.found.solution.vectors[1:BASINS]]
    starts = np.concatenate([before, anew, *(np.clip(one, low, high) for one in others)])
    times = len(starts) // len(walks)
    every = Problems(
        problems.target, problems.weight, np.tile(low, (times, 1)), np.tile(high, (times, 1))
    )
    found = refine(surface, every, starts, steps=STEPS)
    rises = found.value.reshape(times, len(walks)) - least
    best = np.argmin(rises, axis=0) * len(walks) + rows
    for number, walk in enumerate(walks):
        rise = float(found.value[best[number]]) - least
        walk.better = max(walk.better, -rise)
        height = float(np.sqrt(max(rise, 0.0) / allowed))
        at, walk.last = float(values[number]), found.vectors[best[number]]
        if height > 1:
            walk.end += (at - walk.end) * (1 - walk.height) / (height - walk.height)
            walk.open = False
        else:
            walk.end, walk.height = at, height


def _in_units(
    on: Evidence, place: int, values: Float[np.ndarray, " value"]
) -> Float[np.ndarray, " value"]:
    """Values of one of the engine's variables in the units of the law; of a linear one as it is."""
    if on.of.law.coefficients[place].starts is None:
        return values
    vectors = np.repeat(on.inside[None, : len(on.names)], len(values), axis=0)
    vectors[:, place] = values
    return natural(on.of.surface, vectors)[:, place]
