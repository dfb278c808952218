"""What a plot shows, as plain data for JSON; these names are public."""

from typing import Any

from analysis.plots import Line, Plot


def plot_data(one: Plot) -> dict[str, Any]:
    """The numbers behind a figure of the sweep file; a milestone never reached is null."""
    return {
        "title": one.spec.title,
        "x": one.spec.x,
        "pool": one.pool,
        "missing": one.missing,
        "levels": [{"at": each.at, "say": each.say} for each in one.spec.levels],
        "lines": [_line(line) for line in one.lines],
    }


def _line(line: Line) -> dict[str, Any]:
    data: dict[str, Any] = {"metric": line.metric, "fields": dict(line.group)}
    if line.training is not None:
        found = line.training
        return {
            **data,
            "trials": len(found.each),
            "x": found.x.tolist(),
            "middle": found.middle.tolist(),
            "low": found.low.tolist(),
            "high": found.high.tolist(),
            "beside": None if found.beside is None else found.beside.tolist(),
        }
    return {
        **data,
        "points": [
            {
                "x": dot.x,
                "value": dot.pooled.mean,
                "low": dot.pooled.low,
                "high": dot.pooled.high,
                "values": list(dot.values),
                "beside": dot.beside,
            }
            for dot in line.dots
        ],
    }
