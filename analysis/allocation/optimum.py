"""The optimum at one budget: its intervals, what other choices lose, and where it leaves the data."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.allocation.best_size import BEYOND, Optimum, Path, losses, size_for, valley_of
from analysis.allocation.cost_models import log_tokens_for
from analysis.allocation.ranged import Ranged, brief, document, interval_words, ranged, ranged_log
from analysis.engine.compiled import Vectors
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.judgement.extrapolation import Extrapolation, extrapolation
from analysis.judgement.extrapolation import as_document as extrapolation_document
from analysis.judgement.trust import rounded
from analysis.uncertainty.intervals import interval

NEAR = 1e-3  # of the loss: sizes that lose no more are as good
RARE = 0.025  # share of resamples without an optimum from which it is said
SAME = 1e-9  # relative: a limit that is met exactly is not exceeded


@dataclass(frozen=True)
class Alternative:
    """Another size and tokens for the same budget; `lost` is by how much its loss is higher.

    `share` is that over the loss of the optimum.
    """

    what: str
    params: float
    tokens: float
    loss: float
    lost: Ranged
    share: float


@dataclass(frozen=True)
class Best:
    """The optimum at one budget.

    `loss` is that of the size and tokens named here; `lost` is what these lose against the optimum of
    each resample, by not knowing the law better. Between the two `as_good` sizes at most 0.1 % of the
    loss is lost. `repeats` is tokens over different tokens, where those are limited. `optimal` is the
    share of resamples that have an optimum, `inner` whether the fit itself has one.
    """

    budget: float
    params: Ranged
    tokens: Ranged
    ratio: Ranged
    loss: Ranged
    lost: Ranged
    as_good: tuple[float, float] | None
    alternatives: tuple[Alternative, ...]
    repeats: float | None
    optimal: float
    inner: bool
    far: Extrapolation
    text: str = ""
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Question:
    """What is asked of every budget; the first of `vectors` is the fit, the others are its draws."""

    fitted: Fit
    on: Path
    vectors: Vectors
    ratios: tuple[float, ...]
    sizes: tuple[float, ...]
    limits: Mapping[str, float]
    tested: float | None


def best_at(of: Question, found: Optimum, budget: float, around: float) -> Best:
    """Everything about the optimum at one budget; it was looked for about the size `around`."""
    size, data = float(found.log_params[0]), float(found.log_tokens[0])
    reach = math.log(BEYOND)
    within = max(math.log(around) - reach, 0.0), math.log(around) + reach
    loss, lost = _against(of, found, size, data)
    values = of.on.law.values(np.exp([size]), np.exp([data]))
    far = extrapolation(
        of.fitted.law,
        of.fitted.points,
        {name: float(one[0]) for name, one in values.items()},
        tested=of.tested,
    )
    inner = bool(found.inner[0])
    best = Best(
        budget=budget,
        params=ranged_log(of.fitted, size, found.log_params[1:], within),
        tokens=ranged_log(of.fitted, data, found.log_tokens[1:]),
        ratio=ranged_log(of.fitted, data - size, found.log_tokens[1:] - found.log_params[1:]),
        loss=loss,
        lost=lost,
        as_good=valley_of(of.on, of.fitted.vector, budget, size, NEAR) if inner else None,
        alternatives=tuple(_others(of, found, budget)),
        repeats=math.exp(data) / of.on.law.unique if math.isfinite(of.on.law.unique) else None,
        optimal=float(found.inner[1:].mean()) if len(found.inner) > 1 else float(inner),
        inner=inner,
        far=far,
    )
    at = f"{brief(budget)} {of.on.cost.unit}"
    beyond = (replace(one, text=f"at {at}: {one.text}") for one in far.warnings)
    warnings = (*_warnings(best, of.limits, of.on.cost.unit), *beyond)
    return replace(best, text=_text(best, of.on.cost.unit, of.fitted.target), warnings=warnings)


def best_document(one: Best) -> dict[str, Any]:
    """An optimum as plain data for JSON."""
    return {
        "budget": one.budget,
        "params": document(one.params),
        "tokens": document(one.tokens),
        "tokens_per_param": document(one.ratio),
        "loss": document(one.loss),
        "lost_by_not_knowing": document(one.lost),
        "as_good": None if one.as_good is None else list(one.as_good),
        "alternatives": [
            {
                "what": other.what,
                "params": other.params,
                "tokens": other.tokens,
                "loss": other.loss,
                "lost": document(other.lost),
                "lost_share": other.share,
            }
            for other in one.alternatives
        ],
        "repeats": one.repeats,
        "resamples_with_optimum": one.optimal,
        "has_optimum": one.inner,
        "extrapolation": extrapolation_document(one.far),
        "text": one.text,
        "warnings": [{"code": each.code, "text": each.text} for each in one.warnings],
    }


def share_words(share: float) -> str:
    """A share of the loss in per cent, as one says it."""
    percent = 100 * share
    return "less than 0.01 %" if abs(percent) < 0.01 else f"{percent:.2g} %"


def _against(of: Question, found: Optimum, size: float, data: float) -> tuple[Ranged, Ranged]:
    """The loss of a size on some tokens, and by how much it is above that of each draw's optimum."""
    places = (np.full((1, len(of.vectors)), one) for one in (size, data))
    loss = losses(of.on, of.vectors, *places)[0]
    # A loss against an optimum is never negative, so percentiles are taken as they are.
    gap = np.maximum(loss - found.loss, 0.0)
    drawn = gap[1:][np.isfinite(gap[1:])]
    low, high = interval(drawn, of.fitted.level) if len(drawn) > 1 else (None, None)
    lost = Ranged(
        float(gap[0]),
        None if low is None else min(float(low), float(gap[0])),
        None if high is None else max(float(high), float(gap[0])),
    )
    return ranged(of.fitted, float(loss[0]), loss[1:]), lost


def _others(of: Question, found: Optimum, budget: float) -> Iterator[Alternative]:
    """The ratios and sizes that were asked for, and the best within each limit that is exceeded."""
    cost = of.on.cost
    size, data = float(found.log_params[0]), float(found.log_tokens[0])
    places: list[tuple[str, float, float]] = []
    for ratio in of.ratios:
        log = size_for(cost, budget, lambda logs, ratio=ratio: logs + math.log(ratio))
        places.append((f"{ratio:.4g} tokens per parameter", log, log + math.log(ratio)))
    chosen = [(f"{brief(one)} parameters", math.log(one)) for one in of.sizes]
    most = of.limits.get("params")
    if most is not None and size > math.log(most) + SAME:
        chosen.append((f"the most parameters, {brief(most)},", math.log(most)))
    for what, log in chosen:
        tokens = log_tokens_for(cost, np.array([budget]), np.array([log]))
        places.append((what, log, float(tokens[0])))
    most = of.limits.get("tokens")
    if most is not None and data > math.log(most) + SAME:
        log = size_for(cost, budget, lambda logs: np.full_like(logs, math.log(most)))
        places.append((f"the most tokens, {brief(most)},", log, math.log(most)))
    for what, log, tokens in places:
        if not (math.isfinite(log) and math.isfinite(tokens)):
            continue
        loss, lost = _against(of, found, log, tokens)
        share = lost.value / abs(float(found.loss[0]))
        yield Alternative(what, math.exp(log), math.exp(tokens), loss.value, lost, share)


def _text(best: Best, unit: str, target: str) -> str:
    start = f"At {brief(best.budget)} {unit}: "
    if not best.inner:
        return (
            f"{start}no optimum; as far as was looked, the loss is least with "
            f"{brief(best.params.value)} parameters on {brief(best.tokens.value)} tokens"
        )
    repeated = ""
    if best.repeats is not None and best.repeats > 1:
        repeated = f", each seen {brief(best.repeats)} times"
    loss, known = rounded(best.loss.value, best.loss.low, best.loss.high)
    text = (
        f"{start}{_said(best.params, 'parameters')} on {_said(best.tokens, 'tokens')}{repeated}, for a "
        f"{target} of {loss}{f' ({known})' if known else ''}"
    )
    for other in best.alternatives[:1]:
        text += f"; {other.what} would raise it by {share_words(other.share)}"
    return text


def _said(one: Ranged, of: str) -> str:
    """So many of something, with the interval, where there is one."""
    known = f" ({interval_words(one)})" if one.low is not None or one.high is not None else ""
    return f"{brief(one.value)} {of}{known}"


def _warnings(best: Best, limits: Mapping[str, float], unit: str) -> Iterator[Finding]:
    at = f"{brief(best.budget)} {unit}"
    if not best.inner:
        yield Finding(
            "no_optimum",
            f"at {at} the law has no best size: its loss is least at an end of what was looked at, "
            f"{brief(best.params.value)} parameters",
        )
    elif best.optimal < 1 - RARE:
        yield Finding(
            "optimum_uncertain",
            f"at {at} the law has no best size in {1 - best.optimal:.0%} of the resamples",
        )
    for name, one in (("params", best.params), ("tokens", best.tokens)):
        if name in limits and one.value > limits[name] * (1 + SAME):
            yield Finding(
                "above_limit",
                f"at {at} the optimum takes {brief(one.value)} {name}, more than the "
                f"{brief(limits[name])} that are allowed",
            )
