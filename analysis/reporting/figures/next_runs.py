"""Figure of the next runs: what every candidate would tell, the runs so far, and what to buy."""

import numpy as np

from analysis.allocation.ranged import brief
from analysis.next_runs.plan import NextRuns, Offer, Purchase
from analysis.reporting.figures.canvas import (
    Canvas,
    canvas,
    colour,
    picture,
    scale_axis,
    styled,
)
from analysis.reporting.figures.colours import EDGE, INK, PAPER
from analysis.reporting.figures.words import input_words
from analysis.reporting.sections import Picture


def next_runs_pictures(name: str, found: NextRuns) -> tuple[Picture, ...]:
    """One picture for each fit: over two inputs a map, over one the share of the interval left."""
    made: list[Picture] = []
    for place, offer in enumerate(found.offers):
        bought = [one for one in found.batch if one.source == offer.source]
        suffix = f"-{place + 1}" if len(found.offers) > 1 else ""
        names = offer.fitted.law.input_names
        if len(names) == 1:
            made.append(_along(f"{name}{suffix}", found, offer, bought))
        elif len(names) == 2 and all(one.positive for one in offer.fitted.law.inputs):
            made.append(_map(f"{name}{suffix}", found, offer, bought))
    return tuple(made)


def _map(name: str, found: NextRuns, offer: Offer, bought: list[Purchase]) -> Picture:
    first, second = offer.fitted.law.input_names
    rows, places = offer.fitted.points.values, offer.candidates.values
    with styled():
        drawn = canvas(3.8)
        axes = drawn.axes
        scale_axis(axes, "x", np.concatenate([rows[first], places[first]]), log=True)
        scale_axis(axes, "y", np.concatenate([rows[second], places[second]]), log=True)
        axes.plot(
            rows[first], rows[second], "o", markersize=3.6, color=EDGE, markeredgecolor=PAPER,
            markeredgewidth=0.4, label="runs so far",
        )  # fmt: skip
        told = 1 - offer.alone
        area = 12 + 240 * told / max(float(told.max()), 1e-12)
        axes.scatter(
            places[first], places[second], s=area, facecolors="none", edgecolors=colour(0),
            linewidths=1.0, label="candidates: larger tells more",
        )  # fmt: skip
        _bought(
            drawn, bought, [(dict(one.place)[first], dict(one.place)[second]) for one in bought]
        )

        def say(at: int) -> str:
            return (
                f"{first} {brief(places[first].item(at))}, {second} {brief(places[second].item(at))}\n"
                f"one run leaves {offer.alone[at]:.0%} for {brief(offer.candidates.cost.item(at))} "
                f"{found.unit}"
            )

        drawn.tips(places[first], places[second], told, say)
        drawn.label(input_words(offer.fitted, first), input_words(offer.fitted, second))
        drawn.legend(columns=2)
        return picture(name, _alt(found), drawn, _caption(found))


def _along(name: str, found: NextRuns, offer: Offer, bought: list[Purchase]) -> Picture:
    (only,) = offer.fitted.law.input_names
    rows, places = offer.fitted.points.values[only], offer.candidates.values[only]
    order = np.argsort(places, kind="stable")
    log = offer.fitted.law.inputs[0].positive
    with styled():
        drawn = canvas()
        axes = drawn.axes
        scale_axis(axes, "x", np.concatenate([rows, places]), log=log)
        axes.plot(
            places[order], 100 * offer.alone[order], "-o", color=colour(0), label="one run there"
        )
        axes.plot(
            rows, np.full(len(rows), 100.0), "|", color=EDGE, markersize=9, label="runs so far"
        )
        _bought(drawn, bought, [(dict(one.place)[only], 100 * one.alone) for one in bought])

        def say(at: int) -> str:
            return (
                f"{only} {brief(places.item(at))}: one run leaves {offer.alone[at]:.0%} for "
                f"{brief(offer.candidates.cost.item(at))} {found.unit}"
            )

        drawn.tips(places, 100 * offer.alone, 1 - offer.alone, say)
        drawn.label(input_words(offer.fitted, only), "share of the interval left (%)")
        drawn.legend(columns=2)
        return picture(name, _alt(found), drawn, _caption(found))


def _bought(drawn: Canvas, bought: list[Purchase], at: list[tuple[float, float]]) -> None:
    """Crosses for what is to be bought, with the number of runs where there are several."""
    if not bought:
        return
    x, y = zip(*at, strict=True)
    drawn.axes.plot(
        x, y, "X", markersize=8, color=colour(1), markeredgecolor=PAPER, label="to buy", zorder=3
    )
    for one, place in zip(bought, at, strict=True):
        if one.count > 1:
            drawn.axes.annotate(
                f"{one.count}x",
                place,
                xytext=(9, 6),
                textcoords="offset points",
                color=INK,
                fontsize=9,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
            )


def _alt(found: NextRuns) -> str:
    count = sum(one.count for one in found.batch)
    return f"{count} runs that would leave {found.left:.0%} of the interval of {found.decision}"


def _caption(found: NextRuns) -> str:
    return (
        f"What one run at each place would tell of {found.decision}; all crosses together leave "
        f"{found.left:.0%} of its interval."
    )
