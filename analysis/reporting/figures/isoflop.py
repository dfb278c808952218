"""Figures of IsoFLOP profiles: the parabola of every level, and the best size over compute."""

import numpy as np

from analysis.isoflop.profiles import IsoFlop
from analysis.reporting.figures.canvas import canvas, colour, marker, picture, scale_axis, styled
from analysis.reporting.figures.colours import INK
from analysis.reporting.sections import Picture
from analysis.summary import between, number
from analysis.tuning.bowl import value

SHOWN = 8  # levels


def profiles_picture(name: str, found: IsoFlop) -> Picture | None:
    """The loss over size at every level of compute, with its parabola and vertex."""
    levels = [(place, one) for place, one in enumerate(found.levels) if one.curve is not None]
    if not levels:
        return None
    step = -(-len(levels) // SHOWN)
    with styled():
        drawn = canvas()
        for at, (place, one) in enumerate(levels[::step]):
            label = f"{number(one.flops)} FLOPs"
            drawn.axes.plot(
                one.params, one.loss, marker(at), color=colour(at), markersize=4.5, label=label
            )
            for size, loss in zip(one.params.tolist(), one.loss.tolist(), strict=True):
                drawn.tip(size, loss, f"{label}\nparams {number(size)}\nloss {number(loss)}")
            grid = np.geomspace(one.params.min(), one.params.max(), 60)
            assert one.curve is not None
            curve = value(one.curve, np.log(grid)[:, None])
            curve = np.exp(curve) if found.scale == "log" else curve
            drawn.axes.plot(grid, curve, color=colour(at), linewidth=1.3)
            best = None if not found.routes else found.routes[0].best[place]
            if best is not None:
                low = float(value(one.curve, np.array([[np.log(best.params)]]))[0])
                low = float(np.exp(low)) if found.scale == "log" else low
                drawn.axes.plot([best.params], [low], "|", color=INK, markersize=13)
                drawn.tip(best.params, low, f"{label}\nbest size {between(best.low, best.high)}")
        kept = [one for _, one in levels[::step]]
        scale_axis(drawn.axes, "x", np.concatenate([one.params for one in kept]), log=True)
        scale_axis(drawn.axes, "y", np.concatenate([one.loss for one in kept]), log=True)
        drawn.label("params", "loss")
        drawn.legend(2)
        return picture(
            name, "loss over size at every level of compute", drawn, "Bars mark the vertices."
        )


def best_sizes_picture(name: str, found: IsoFlop) -> Picture | None:
    """The best size over compute by every way, with what each says at the wanted compute."""
    with styled():
        drawn = canvas()
        every: list[float] = []
        for at, route in enumerate(found.routes):
            known = [
                (level.flops, best)
                for level, best in zip(found.levels, route.best, strict=True)
                if best is not None
            ]
            if not known:
                continue
            for flops, best in known:
                drawn.axes.plot([flops, flops], [best.low, best.high], color=colour(at), alpha=0.5)
                drawn.tip(flops, best.params, f"{route.way}\n{number(best.params)} params")
            drawn.axes.plot(
                [flops for flops, _ in known], [best.params for _, best in known], marker(at),
                color=colour(at), markersize=5, label=route.way,
            )  # fmt: skip
            every += [best.params for _, best in known]
            there = route.params_there
            if there is not None and route.params is not None:
                last = known[-1]
                ends = [last[1].params, there.value]
                drawn.axes.plot(
                    [last[0], found.there], ends, linestyle="--", color=colour(at), linewidth=1.0
                )
                every.append(there.value)
        if not every:
            return None
        scale_axis(drawn.axes, "x", [*(one.flops for one in found.levels), found.there], log=True)
        scale_axis(drawn.axes, "y", every, log=True)
        drawn.label("FLOPs", "best size, params")
        drawn.legend(3)
        return picture(
            name, "best size over compute", drawn, "Dashed: beyond the runs. Bars: 95 % intervals."
        )
