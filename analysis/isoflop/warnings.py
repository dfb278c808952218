"""What a reader must know before using an IsoFLOP analysis, and which runs would settle it."""

from collections.abc import Iterator, Sequence

import numpy as np

from analysis.identify.findings import Finding
from analysis.isoflop.levels import Levels
from analysis.isoflop.routes import Route
from analysis.isoflop.two_power import TwoPower
from analysis.summary import number

OFF_CENTRE = np.log(2.0)  # ln ratio of the middle of the sizes to the best one
SAME = 0.005  # a difference in tokens that is not worth a word
WILD = 3.0  # ratio of a level's scatter to the usual one
FAR = 100.0  # factor beyond the largest level


def isoflop_warnings(
    on: Levels, routes: Sequence[Route], profile: TwoPower | None, there: float, left: int
) -> tuple[Finding, ...]:
    """The warnings, the gravest first."""
    return (
        *_levels(on),
        *_bias(routes, there),
        *_profile(on, profile),
        *_centre(on, routes),
        *_rest(on, there, left),
    )


def _levels(on: Levels) -> Iterator[Finding]:
    if len(on.used) < 3:
        yield Finding(
            "few_levels",
            f"{len(on.used)} of {len(on.levels)} levels of compute have a best size; a power law "
            "that is tested needs at least 3, and at least 4 sizes at each",
            "not identified" if len(on.used) < 2 else "",
        )
    for level in on.levels:
        at = f"at {number(level.flops)} FLOPs"
        if level.edge:
            end = level.params.min() if level.edge == "smaller" else level.params.max()
            yield Finding(
                "edge",
                f"{at} the best size is {level.edge} than any that was tried ({number(float(end))}"
                f"): train {level.edge} sizes there; the level is not used",
            )
    for reason in dict.fromkeys(one.refused for one in on.levels if one.refused and not one.edge):
        those = [number(one.flops) for one in on.levels if one.refused == reason]
        yield Finding(
            "no_vertex",
            f"{len(those)} of {len(on.levels)} levels not used ({', '.join(those)} FLOPs): {reason}",
        )
    yield from _wild(on)


def _wild(on: Levels) -> Iterator[Finding]:
    if np.isinf(on.spare).any() or not on.typical:
        return
    wild = [
        f"{number(level.flops)} ({np.sqrt(own / on.typical):.1f} times)"
        for level, own in zip(on.levels, on.variance, strict=True)
        if own > WILD**2 * on.typical
    ]
    if wild:
        yield Finding(
            "uneven_noise",
            f"runs scatter about their parabola far more than usual at {', '.join(wild)} FLOPs: "
            "look for single runs that went wrong, or sizes too far from the best for a parabola",
        )


def _bias(routes: Sequence[Route], there: float) -> Iterator[Finding]:
    """The tokens that the parabolas ask for, against those of a way without their error."""
    by = {one.way: one for one in routes}
    plain = by.get("parabola")
    if plain is None or plain.tokens_there is None:
        return
    for way, words in (
        ("corrected", "profiles of two powers fitted to the same runs"),
        ("surface", "the fitted surface"),
    ):
        other = by.get(way)
        if other is None or other.tokens_there is None:
            continue
        asked, right = plain.tokens_there, other.tokens_there
        ratio = asked.value / right.value
        if abs(np.log(ratio)) < SAME:
            continue
        size = f"{abs(ratio - 1):.1%} {'more' if ratio > 1 else 'fewer'}"
        inside = right.low is not None and right.high is not None
        sure = (
            ""
            if not inside or not (right.low or 0) <= asked.value <= (right.high or 0)
            else f" (within the interval of the latter, {number(right.low)} to {number(right.high)})"
        )
        yield Finding(
            "parabola_bias" if way == "corrected" else "parabola_against_surface",
            f"at {number(there)} FLOPs the parabolas ask for {number(asked.value)} tokens and "
            f"{words} for {number(right.value)}, so the parabolas ask for {size}{sure}. A parabola "
            "is wrong where the loss rises more steeply on one side of the best size, or where "
            "the sizes lie to one side of it, even without noise",
        )


def _profile(on: Levels, profile: TwoPower | None) -> Iterator[Finding]:
    if not on.used:
        return
    if profile is None:
        yield Finding(
            "no_correction",
            "too few runs to correct the parabolas; that takes two more sizes over all levels "
            "than three for each",
        )
        return
    if profile.bound:
        yield Finding(
            "correction_at_bound",
            f"{profile.bound} of the corrected profiles sits on a bound: the runs do not show how "
            "the loss bends away from a parabola; a wider range of sizes at each level would",
        )
    lost = int((~np.isfinite(profile.vertex)).sum())
    if lost:
        yield Finding(
            "correction_incomplete",
            f"{lost} of the corrected profiles fall or rise throughout and have no best size",
        )


def _centre(on: Levels, routes: Sequence[Route]) -> Iterator[Finding]:
    """Sizes that lie to one side of the best one, and a side that changes with compute."""
    best = next((one for one in routes if one.way == "corrected"), routes[0] if routes else None)
    if best is None:
        return
    off = [
        (level.flops, float(np.log(level.params[[0, -1]]).mean() - np.log(found.params)))
        for level, found in zip(on.levels, best.best, strict=True)
        if found is not None
    ]
    far = [one for one in off if abs(one[1]) > OFF_CENTRE]
    if far:
        flops, worst = max(far, key=lambda one: abs(one[1]))
        yield Finding(
            "off_centre",
            f"at {len(far)} of {len(off)} levels the sizes tried lie to one side of the best one "
            f"(most at {number(flops)} FLOPs: their middle is {np.exp(abs(worst)):.1f} times "
            f"{'larger' if worst > 0 else 'smaller'}), which shifts a parabola's vertex",
        )
    if len(off) > 2 and abs(off[-1][1] - off[0][1]) > OFF_CENTRE:
        yield Finding(
            "drifting_centre",
            "the middle of the sizes tried drifts against the best size from the smallest to the "
            f"largest level by a factor {np.exp(abs(off[-1][1] - off[0][1])):.1f}, which bends "
            "the parabolas' exponent",
        )


def _rest(on: Levels, there: float, left: int) -> Iterator[Finding]:
    largest = max(one.flops for one in on.levels)
    if there > FAR * largest:
        yield Finding(
            "far",
            f"{number(there)} FLOPs is {number(there / largest)} times the largest level",
        )
    if on.spread > 0.01:
        yield Finding(
            "uneven_compute",
            f"compute within a level differs by up to {np.expm1(on.spread):.0%} from its mean; "
            "losses were moved along the slope of the best losses, which is right to first order",
        )
    if left:
        yield Finding("no_level", f"{left} runs have a compute that is that of no level")
