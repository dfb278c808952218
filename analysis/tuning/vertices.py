"""The best settings of all cells at once: by a common skewed shape, or each by its own quadratic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.isoflop.two_power import Profile, TwoPower, two_power
from analysis.tuning import bowl
from analysis.tuning.cells import Cell, last_noise
from analysis.tuning.neighbourhood import Local, Noise, beyond, neighbourhood, rounding

STEEPEST = 5.0  # largest exponent of the common shape: e-fold of excess loss per e-fold of setting
NARROWEST = 5  # points of a cell that are used at least, as far as it has them


@dataclass(frozen=True)
class Vertices:
    """What was found in every cell; `near` is None where nothing opens upwards.

    `log_best` are natural logs of the best settings, NaN where there are none; `joint` their
    covariance over cells for each setting; `own` that of the settings in each cell. `profile` is
    the common shape, whose levels are the cells `profiled`.
    """

    near: tuple[Local | None, ...]
    log_best: Float[np.ndarray, "cell axis"]
    joint: Float[np.ndarray, "axis cell cell"]
    own: Float[np.ndarray, "cell axis axis"]
    profile: TwoPower | None
    profiled: tuple[int, ...]
    noise: Noise


def by_quadratic(cells: Sequence[Cell], first: Noise) -> Vertices:
    """Each cell by the quadratic of its own neighbourhood."""
    axes = cells[0].x.shape[1]
    near = tuple(neighbourhood(one.x, one.y, one.weight, first, 2) for one in cells)
    known = [(place, one) for place, one in enumerate(near) if one is not None]
    noise = last_noise(
        [cells[place] for place, _ in known],
        [one.used for _, one in known],
        [(one.curve.misfit, one.curve.spare) for _, one in known],
        first,
    )
    at = np.full((len(cells), axes), np.nan)
    own = np.full((len(cells), axes, axes), np.nan)
    joint = np.zeros((axes, len(cells), len(cells)))
    for place, one in known:
        at[place] = bowl.vertex(one.curve)
        own[place] = bowl.vertex_covariance(one.curve, noise.variance)
    for axis in range(axes):
        joint[axis] = np.diag(own[:, axis, axis])
    return Vertices(near, at, joint, own, None, (), noise)


def by_common_shape(cells: Sequence[Cell], first: Noise) -> Vertices | None:
    """All cells of one setting by the shape floor + fall e^(-alpha x) + rise e^(beta x).

    The exponents are those of all cells, the amplitudes each cell's own. A loss that rises more
    steeply above the best setting than below moves the vertex of a quadratic; this one it does not
    move, and a quadratic is its limit. Neighbourhoods shrink until the noise no longer rejects the
    shape. None when too few points are spare.
    """
    near = tuple(neighbourhood(one.x, one.y, one.weight, first, 3) for one in cells)
    known = [(place, one) for place, one in enumerate(near) if one is not None]
    if not known:
        return None
    places = tuple(place for place, _ in known)
    used, profile = _narrowed([cells[place] for place in places], [one for _, one in known], first)
    if profile is None:
        return None
    noise = last_noise(
        [cells[place] for place in places], used, [(profile.misfit, profile.spare)], first
    )
    at = np.full((len(cells), 1), np.nan)
    joint = np.full((1, len(cells), len(cells)), np.nan)
    at[list(places), 0] = profile.vertex
    joint[0][np.ix_(places, places)] = noise.variance * profile.covariance
    local: list[Local | None] = [None] * len(cells)
    for place, mask in zip(places, used, strict=True):
        cell = cells[place]
        curve = bowl.fit_bowl(cell.x[mask], cell.y[mask], cell.weight[mask])
        if curve is not None and bowl.convex(curve):
            local[place] = Local(mask, curve, curve.misfit, curve.spare)
    own = joint[0].diagonal()[:, None, None].copy()
    return Vertices(tuple(local), at, joint, own, profile, places, noise)


def _narrowed(
    cells: Sequence[Cell], near: Sequence[Local], noise: Noise
) -> tuple[list[Bool[np.ndarray, " _"]], TwoPower | None]:
    """The most points that the shape fits: so many nearest ones of all cells, or fewer of some.

    A cell with a cliff must not narrow the others, so the neighbourhoods of the single cells are
    a second start.
    """
    whole = [np.ones(len(cell.y), dtype=bool) for cell in cells]
    own = [one.used for one in near]
    best: tuple[list[Bool[np.ndarray, " _"]], TwoPower | None, bool] = ([], None, False)
    for allowed in (whole, own):
        found = _shrunk(cells, near, allowed, noise)
        if found[1] is None:
            continue
        better = found[2] > best[2] or (found[2] == best[2] and _count(found[0]) > _count(best[0]))
        # Where the noise rejects both, single neighbourhoods leave the cliffs out.
        if best[1] is None or better or not (found[2] or best[2]):
            best = found
    return best[0], best[1]


def _count(masks: Sequence[Bool[np.ndarray, " _"]]) -> int:
    return sum(int(mask.sum()) for mask in masks)


def _shrunk(
    cells: Sequence[Cell],
    near: Sequence[Local],
    allowed: Sequence[Bool[np.ndarray, " _"]],
    noise: Noise,
) -> tuple[list[Bool[np.ndarray, " _"]], TwoPower | None, bool]:
    """Shrink to a common number of nearest points until the noise no longer rejects the shape."""
    widest = max(int(mask.sum()) for mask in allowed)
    floor = max(rounding(one.y, one.weight) for one in cells)
    limit = Noise(noise.variance + floor, noise.spare, noise.source)
    used: list[Bool[np.ndarray, " _"]] = []
    profile: TwoPower | None = None
    for most in range(widest, min(widest, NARROWEST) - 1, -1):
        masks = [
            _nearest(cell, one, mask, most)
            for cell, one, mask in zip(cells, near, allowed, strict=True)
        ]
        found = two_power(
            [
                Profile(cell.x[mask, 0], cell.y[mask], cell.weight[mask])
                for cell, mask in zip(cells, masks, strict=True)
            ],
            False,
            1.0,
            STEEPEST,
        )
        if found is None:
            break
        used, profile = masks, found
        if not beyond(found.misfit, found.spare, limit):
            return used, profile, True
    return used, profile, False


def _nearest(
    cell: Cell, near: Local, allowed: Bool[np.ndarray, " point"], most: int
) -> Bool[np.ndarray, " point"]:
    """At most so many of the points allowed, those nearest to the vertex of the neighbourhood."""
    away = np.abs(cell.x[:, 0] - bowl.vertex(near.curve)[0])
    order = np.argsort(np.where(allowed, away, np.inf), kind="stable")
    chosen = np.zeros(len(away), dtype=bool)
    chosen[order[: min(most, int(allowed.sum()))]] = True
    return chosen
