"""What a person reads in the tracker: notes in Markdown, and the saved view with its charts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.publishing.backlog import Standing
from sweeps.publishing.published import OUTCOME, PLANNED, shortly
from sweeps.spec import Sweep

VIEW_ID = "lawsweep"
_BEST_SHOWN = 5
_AXES_SHOWN = 4  # more would push the metrics off the screen


def experiment_note(sweep: Sweep, records: Sequence[Mapping[str, Any]]) -> str:
    """What the sweep asks; the first line is plain: the list of experiments shows it raw."""
    first = sweep.about or f"Sweep {sweep.name}"
    rows = [f"| `{field}` | {_several(values)} |" for field, values in varied(records).items()]
    table = ["| axis | values |", "|---|---|", *rows] if rows else []
    facts = [
        f"{len(records)} trials, {sweep.replicates} for each point;"
        f" objective: {sweep.objective.metric}, {_best_word(sweep)}.",
        *([f"Source: {sweep.source}"] if sweep.source else []),
    ]
    return "\n\n".join([_one_line(first), "\n\n".join(facts), "\n".join(table)]).strip() + "\n"


def sweep_note(sweep: Sweep, records: Sequence[Mapping[str, Any]], standing: Standing) -> str:
    """Where the sweep stands and what is best so far."""
    metric = sweep.objective.metric
    best = f"; best {metric} {standing.best[0][1]:.4g}" if standing.best else ""
    first = f"{standing.ended} of {standing.total} trials have ended{best}."
    states = {
        "finished": standing.finished,
        "diverged": standing.diverged,
        "stopped": standing.stopped,
        "failed": standing.failed,
        "running": standing.running,
        "waiting": standing.waiting,
    }
    counts = [
        f"| {' | '.join(states)} |",
        "|" + "---:|" * len(states),
        f"| {' | '.join(str(count) for count in states.values())} |",
    ]
    by_key = {record["key"]: record for record in records}
    fields = list(varied(records))
    ranking = [
        f"| {' | '.join([f'`{field}`' for field in fields])} | seed | {metric} |",
        "|" + "---:|" * (len(fields) + 2),
        *(
            f"| {' | '.join(_cells(by_key[key], fields))} | {value:.6g} |"
            for key, value in standing.best[:_BEST_SHOWN]
        ),
    ]
    parts = [first, "\n".join(counts)]
    if standing.best and fields:
        parts += [f"The {_best_word(sweep)} {metric} so far:", "\n".join(ranking)]
    return "\n\n".join(parts) + "\n"


def varied(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The fields of the axes, each with its values in the order of the plan."""
    found: dict[str, list[Any]] = {}
    for record in records:
        for field, value in record["point"].items():
            values = found.setdefault(field, [])
            if value not in values:
                values.append(value)
    return found


def saved_view(sweep: Sweep, records: Sequence[Mapping[str, Any]]) -> str:
    """The state of MLflow's page of runs: flat trials, the axes as columns, the charts drawn.

    The format belongs to MLflow's page, not to its interface; a page that does not know it shows
    its own default.
    """
    metric = sweep.objective.metric
    fields = list(varied(records))
    shown = list(dict.fromkeys([metric, "test_loss", "loss"]))
    columns = [
        *(f"params.`{field}`" for field in fields[:_AXES_SHOWN]),
        "params.`seed`",
        *(f"metrics.`{name}`" for name in shown),
        f"tags.`{OUTCOME}`",
    ]
    state = {
        "searchFilter": f"tags.`{PLANNED}` = 'true'",
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": sweep.objective.mode == "min",
        "selectedColumns": columns,
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "hideEmptyCharts": True,
        "compareRunSections": [
            _section("axes", f"{metric} over the axes", columns=2),
            _section("curves", "Curves", columns=3),
        ],
        "compareRunCharts": [*_charts_of_axes(metric, fields), *_curve_charts(metric)],
        "isAccordionReordered": True,
    }
    text = json.dumps(state, separators=(",", ":"))  # a text inside a text, as the page wants it
    return json.dumps({"name": sweep.name, "createdAt": 0, "state": text})


def _charts_of_axes(metric: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    scatter = [
        {
            **_chart(f"scatter-{field}", "SCATTER", "axes", f"{metric} against {field}"),
            "xaxis": {"key": field, "type": "PARAM"},
            "yaxis": {"key": metric, "type": "METRIC", "dataAccessKey": metric},
            "runsCountToCompare": 1000,
        }
        for field in fields[:2]
    ]
    parallel = {
        **_chart("parallel", "PARALLEL", "axes", "All axes"),
        "selectedParams": list(fields),
        "selectedMetrics": [metric],
        "showAllRuns": True,
        "runsCountToCompare": 1000,
    }
    return [*scatter, *([parallel] if len(fields) > 1 else [])]


def _curve_charts(metric: str) -> list[dict[str, Any]]:
    names = dict.fromkeys(["loss", "test_loss", metric])
    return [
        {
            **_chart(f"line-{name}", "LINE", "curves", name),
            "metricKey": name,
            "selectedMetricKeys": [name],
            "scaleType": "log" if name.endswith("loss") else "linear",
            "xAxisKey": "step",
            "xAxisScaleType": "linear",
            "lineSmoothness": 0,
            "useGlobalXaxisKey": True,
            "useGlobalLineSmoothing": True,
            "ignoreOutliers": False,
            "range": {},
            "yAxisKey": "metric",
            "yAxisExpressions": [],
            "runsCountToCompare": 1000,
        }
        for name in names
    ]


def _chart(uuid: str, kind: str, section: str, name: str) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "type": kind,
        "metricSectionId": section,
        "displayName": name,
        "deleted": False,
        "isGenerated": False,
    }


def _section(uuid: str, name: str, columns: int) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": name,
        "display": True,
        "columns": columns,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
    }


def _cells(record: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    point = record["point"]
    cells = [shortly(point[field]) if field in point else "" for field in fields]
    return [cell.replace("|", "\\|") for cell in [*cells, str(record["config"].get("seed", 0))]]


def _several(values: Sequence[Any]) -> str:
    texts = [shortly(value).replace("|", "\\|") for value in values]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:6], "...", *texts[-2:]])


def _best_word(sweep: Sweep) -> str:
    return "lowest" if sweep.objective.mode == "min" else "highest"


def _one_line(text: str) -> str:
    return " ".join(text.split())
