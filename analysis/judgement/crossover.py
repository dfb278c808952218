"""Crossover: the scale at which two fitted laws meet, with its interval and its probability."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize

from analysis.engine.compiled import predict_many
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.law import Values
from analysis.uncertainty.paired import Drawn, drawn_together, same_rows
from trainers.schema import InputError

Path = Callable[[Float[np.ndarray, " scale"]], Values]
"""The inputs of a law at every scale."""
Mode = Literal["min", "max"]
Range = tuple[float, float]

STEPS = 800  # of the search along the scale, even in its logarithm
AHEAD = 100.0  # times the largest scale of the data: as far as is looked, unless told
SURE = 0.95


@dataclass(frozen=True)
class Crossover:
    """Where two laws meet.

    `scale` is the last place within `within` at which the better of the two changes, `crossings` are
    all of them. [low, high] is its 95 % interval, in which a resample without a crossing counts as
    one beyond that end of `within` towards which it points; None is such an open end.
    `probability_inside` and `probability_within` are the shares of resamples that cross inside the
    data and within `within`, `probability_beyond` that in which `better_beyond` is better at the
    upper end of `within`. Resamples are `paired` where both laws were fitted to the same rows.
    """

    names: tuple[str, str]
    scale: float | None
    crossings: tuple[float, ...]
    low: float | None
    high: float | None
    inside: Range
    within: Range
    probability_inside: float | None
    probability_within: float | None
    better_below: str
    better_beyond: str
    probability_beyond: float | None
    paired: bool
    draws: int
    text: str
    warnings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Gap:
    """By how much the first of two fits is worse, along a path."""

    fits: tuple[Fit, Fit]
    paths: tuple[Path, Path]
    sign: float

    def __call__(
        self, vectors: Drawn, scale: Float[np.ndarray, " scale"]
    ) -> Float[np.ndarray, "draw scale"]:
        one, other = (
            predict_many(fit.law, each, path(scale))
            for fit, each, path in zip(self.fits, vectors, self.paths, strict=True)
        )
        return self.sign * (one - other)


def along(name: str) -> Path:
    """The path of a law with one input: the scale is that input."""
    return lambda scale: {name: scale}


def at_ratio(ratio: float) -> Path:
    """The path of `params` and `tokens` over FLOPs (6 N D), with so many tokens per parameter."""

    def path(scale: Float[np.ndarray, " scale"]) -> Values:
        params = np.sqrt(scale / (6 * ratio))
        return {"params": params, "tokens": ratio * params}

    return path


def crossover(
    first: Fit,
    second: Fit,
    *,
    paths: tuple[Path, Path] | None = None,
    inside: Range | None = None,
    within: Range | None = None,
    names: tuple[str, str] = ("the first", "the second"),
    mode: Mode = "min",
    bootstrap: int = 1_000,
    seed: int = 42,
) -> Crossover:
    """Where two fits of the same target meet; with `mode` "min" the lower is the better.

    `paths` give the inputs of each law at a scale, for laws of one input that input; `inside` is the
    range of scales in the data, needed with `paths`; `within` is where to look, by default from the
    smallest scale of the data to a hundred times the largest.

    Raises:
        InputError: the fits are of different targets, or a range or a path is missing or wrong.
    """
    if first.target != second.target:
        raise InputError(
            f"crossover: expected fits of one target, got {first.target} and {second.target}"
        )
    if paths is None:
        paths = (_own(first), _own(second))
        inside = _measured(first, second) if inside is None else inside
    if inside is None:
        raise InputError("inside: expected the range of the data beside paths, got none")
    within = (inside[0], AHEAD * inside[1]) if within is None else within
    for what, one in (("inside", inside), ("within", within)):
        if not 0 < one[0] < one[1] < math.inf:
            raise InputError(f"{what}: expected 0 < low < high, got {one[0]} and {one[1]}")
    gap = _Gap((first, second), paths, 1.0 if mode == "min" else -1.0)
    vectors = (first.vector, second.vector)
    scale = np.geomspace(*within, STEPS + 1)
    best = gap(vectors, scale)
    if not np.isfinite(best).all():
        raise InputError("within: expected scales at which both laws have a value, got others")
    crossings = tuple(
        _exact(gap, vectors, scale[at : at + 2], best[0, at : at + 2])
        for at in np.flatnonzero(_changes(best)[0])
    )
    drawn = drawn_together(first, second, bootstrap, seed)
    gaps = gap(drawn, scale)
    good = np.isfinite(gaps).all(axis=1)
    gaps = gaps[good]
    count = len(gaps)
    low, high = _interval(_last(gaps, scale, first_worse=bool(best[0, 0] > 0)))
    last = bool(best[0, -1] > 0)
    share = None
    if count:
        within_data = np.geomspace(*inside, STEPS + 1)
        there = gap((drawn[0][good], drawn[1][good]), within_data)
        share = float(_changes(there).any(axis=1).mean())
    found = Crossover(
        names=names,
        scale=crossings[-1] if crossings else None,
        crossings=crossings,
        low=low,
        high=high,
        inside=inside,
        within=within,
        probability_inside=share,
        probability_within=float(_changes(gaps).any(axis=1).mean()) if count else None,
        better_below=names[int(best[0, 0] > 0)],
        better_beyond=names[int(last)],
        probability_beyond=float(((gaps[:, -1] > 0) == last).mean()) if count else None,
        paired=same_rows(first, second),
        draws=count,
        text="",
        warnings=(),
    )
    text = _text(found) if best.any() else "both laws are the same"
    return replace(found, text=text, warnings=tuple(_warnings(found)))


def as_document(found: Crossover) -> dict[str, Any]:
    """A crossover as plain data for JSON."""
    return {
        "names": list(found.names),
        "scale": found.scale,
        "crossings": list(found.crossings),
        "low": found.low,
        "high": found.high,
        "inside": list(found.inside),
        "within": list(found.within),
        "probability_inside": found.probability_inside,
        "probability_within": found.probability_within,
        "better_below": found.better_below,
        "better_beyond": found.better_beyond,
        "probability_beyond": found.probability_beyond,
        "paired": found.paired,
        "resamples": found.draws,
        "text": found.text,
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _own(fitted: Fit) -> Path:
    names = fitted.law.input_names
    if len(names) != 1:
        raise InputError(
            f"law {fitted.law.name}: expected paths for a law of {len(names)} inputs, got none"
        )
    return along(names[0])


def _measured(first: Fit, second: Fit) -> Range:
    values = np.concatenate([one.points.values[one.law.input_names[0]] for one in (first, second)])
    return float(values.min()), float(values.max())


def _changes(gaps: Float[np.ndarray, "draw scale"]) -> Bool[np.ndarray, "draw step"]:
    """Between which scales the better of the two changes."""
    worse = gaps > 0
    return worse[:, 1:] != worse[:, :-1]


def _exact(
    gap: _Gap,
    vectors: Drawn,
    ends: Float[np.ndarray, " 2"],
    values: Float[np.ndarray, " 2"],
) -> float:
    """The root between two scales at which the gap is known."""
    ratio = float(ends[1] / ends[0])

    def at(share: float) -> float:
        # The ends are known; computed again they might round to the other side.
        if share in (0.0, 1.0):
            return float(values[int(share)])
        return float(gap(vectors, np.array([ends[0] * ratio**share]))[0, 0])

    found = optimize.root_scalar(at, bracket=(0.0, 1.0), method="brentq", xtol=1e-14)
    return float(ends[0] * ratio**found.root)


def _last(
    gaps: Float[np.ndarray, "draw scale"], scale: Float[np.ndarray, " scale"], first_worse: bool
) -> Float[np.ndarray, " draw"]:
    """The last crossing of every draw; 0 or infinity for one that lies before or beyond all scales.

    A draw without a crossing that ranks the laws as the fit does at the smallest scale has its
    crossing still to come.
    """
    changes = _changes(gaps)
    any_ = changes.any(axis=1)
    at = changes.shape[1] - 1 - np.argmax(changes[:, ::-1], axis=1)
    rows = np.arange(len(gaps))
    before, after = gaps[rows, at], gaps[rows, at + 1]
    move = before - after
    share = np.divide(before, move, out=np.full(len(gaps), 0.5), where=move != 0)
    crossed = scale[at] * (scale[at + 1] / scale[at]) ** share
    to_come = (gaps[:, 0] > 0) == first_worse
    return np.where(any_, crossed, np.where(to_come, np.inf, 0.0))


def _interval(last: Float[np.ndarray, " draw"]) -> tuple[float | None, float | None]:
    if not len(last):
        return None, None
    # Between two draws there may be infinity, so a percentile is one of the draws.
    low, high = np.percentile(last, [2.5, 97.5], method="inverted_cdf")
    return (
        float(low) if 0 < low < np.inf else None,
        float(high) if 0 < high < np.inf else None,
    )


def _text(found: Crossover) -> str:
    end = f"{found.within[1]:.3g}"
    chance = ""
    if found.probability_beyond is not None:
        chance = f" in {100 * found.probability_beyond:.0f} % of the resamples"
    if found.scale is None:
        at_end = f" (at {end}{chance})" if chance else ""
        return f"{found.better_below} is better from {found.within[0]:.3g} to {end}{at_end}"
    interval = ""
    if found.draws:
        low = f"below {found.within[0]:.3g}" if found.low is None else f"{found.low:.3g}"
        high = f"beyond {end}" if found.high is None else f"{found.high:.3g}"
        interval = f" (95 % interval {low} to {high})"
    beyond = f"; at {end} it is better{chance}" if chance else ""
    return f"{found.better_beyond} is better beyond {found.scale:.3g}{interval}{beyond}"


def _warnings(found: Crossover) -> Iterator[Finding]:
    if not found.draws:
        yield Finding(
            "no_interval", "no resamples determine both laws, so the crossing has no interval"
        )
    if found.scale is not None:
        low, high = found.inside
        if not low <= found.scale <= high:
            far = found.scale / high if found.scale > high else low / found.scale
            side = "beyond the largest" if found.scale > high else "below the smallest"
            yield Finding(
                "crossing_outside_data",
                f"the laws meet {far:.3g} times {side} scale of the data: nothing that was run "
                "shows them cross",
            )
        if len(found.crossings) > 1:
            places = ", ".join(f"{one:.3g}" for one in found.crossings)
            yield Finding("several_crossings", f"the laws meet at {places}; the last one counts")
    chance = found.probability_beyond
    if chance is not None and chance < SURE:
        yield Finding(
            "crossing_uncertain",
            f"which of the two is better at {found.within[1]:.3g} is not settled: it is "
            f"{found.better_beyond} in {100 * chance:.0f} % of the resamples; larger runs of both would "
            "settle it",
        )
