"""Saved views of MLflow's page of runs: a table with the axes as columns, and charts that are drawn.

The format belongs to MLflow's pages, not to its interface: a test in a browser holds it, and a page
that does not know it shows its own default.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sweeps.publishing.pages import varied
from sweeps.publishing.published import (
    LOG,
    LONGEST_TAG,
    OUTCOME,
    PLANNED,
    has_log,
    is_number,
    log_fields,
)
from sweeps.spec import Sweep

TABLE, CHARTS = "lawsweep", "lawsweep-charts"
"""What a link calls the views; that of `CHARTS` asks for `compareRunsMode=CHART` too."""

_AXES_SHOWN = 6  # more columns would push the metrics off the screen
_SCATTERS = 2  # beside the parallel coordinates they fill one row
_MOST_RUNS = 1_000  # in one chart; the page itself loads a hundred at a time
_CHART_HEIGHT = 250  # pixels; two rows of charts then fit a screen of 1,000
_MOST_TEXTS = 30  # different texts of one axis in parallel coordinates; the page drops further runs
_RUN_NAME, _CREATED = "attributes.`Run Name`", "runDateAndNestInfo"


def saved_views(sweep: Sweep, records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The views of a sweep by what a link calls them, each as the text of its tag.

    Of very many axes the last are left out, so that the text is not longer than a tag.
    """
    axes = varied(records)
    for count in range(len(axes), -1, -1):
        fields = dict(list(axes.items())[:count])
        charts = _charts(sweep, records, fields)
        views = {
            TABLE: _view(sweep, "runs", {**_columns(sweep, list(fields)), **charts}),
            CHARTS: _view(sweep, "charts", {"runListHidden": True, **charts}),
        }
        if max(map(len, views.values())) <= LONGEST_TAG:
            return views
    return {}


def _view(sweep: Sweep, name: str, own: Mapping[str, Any]) -> str:
    state = {
        "searchFilter": f"tags.`{PLANNED}` = 'true'",
        "orderByKey": f"metrics.`{sweep.objective.metric}`",
        "orderByAsc": sweep.objective.mode == "min",
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        **own,
    }
    text = json.dumps(state, separators=(",", ":"))  # a text inside a text, as the page wants it
    return json.dumps({"name": f"{sweep.name}: {name}", "createdAt": 0, "state": text})


def _columns(sweep: Sweep, fields: Sequence[str]) -> dict[str, Any]:
    names = [*fields[:_AXES_SHOWN], "seed"]
    metrics = dict.fromkeys([sweep.objective.metric, "test_loss"])
    widths = {
        **{f"params.`{name}`": _width(name) for name in names},
        **{f"metrics.`{name}`": max(120, _width(name)) for name in metrics},
        f"tags.`{OUTCOME}`": 90,
        "attributes.`Dataset`": 210,
    }
    return {
        "selectedColumns": list(widths),
        "columnOrder": [_RUN_NAME, _CREATED, *widths],
        "columnWidths": {_RUN_NAME: 250, _CREATED: 130, **widths},
    }


def _width(name: str) -> int:
    """Pixels in which the head of a column and eight digits can be read."""
    return max(80, 7 * len(name) + 36)


def _charts(
    sweep: Sweep, records: Sequence[Mapping[str, Any]], fields: Mapping[str, Sequence[Any]]
) -> dict[str, Any]:
    metric = sweep.objective.metric
    drawn, in_logs = f"{LOG}{metric}" if has_log(metric) else metric, log_fields(records)
    compared = [
        f"{LOG}{field}" if field in in_logs else field
        for field, values in fields.items()
        if _keeps_all_runs(values)
    ]
    parallel = {
        **_chart("parallel", "PARALLEL", "axes"),
        "selectedParams": compared,
        "selectedMetrics": [drawn],
        "showAllRuns": True,
    }
    scatters = [
        {
            **_chart(f"scatter-{axis['key']}", "SCATTER", "axes"),
            "xaxis": axis,
            "yaxis": _metric(drawn),
        }
        for axis in _across(records, fields, in_logs)[:_SCATTERS]
    ]
    return {
        "compareRunSections": [
            _section("axes", f"{metric} over the axes", columns=3),
            _section("curves", "Curves over the steps", columns=3),
        ],
        "compareRunCharts": [
            *scatters,
            *([parallel] if compared else []),
            *(_line(name) for name in dict.fromkeys([metric, "test_loss", "loss"])),
        ],
    }


def _keeps_all_runs(values: Sequence[Any]) -> bool:
    """Whether parallel coordinates show every run: where some values are numbers, others are dropped."""
    numbers = sum(is_number(value) for value in values)
    return numbers == len(values) or (numbers == 0 and len(values) <= _MOST_TEXTS)


def _across(
    records: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Sequence[Any]],
    in_logs: Collection[str],
) -> list[dict[str, str]]:
    """What a trial's objective is drawn against: its size first, then each axis of numbers."""
    sizes = {record["params"] for record in records if "params" in record}
    of_numbers = [
        field
        for field, values in fields.items()
        if len(values) > 1 and all(is_number(value) for value in values)
    ]
    spread = max(sizes, default=0) >= 3 * min(sizes, default=1)
    names = [f"{LOG}{field}" if field in in_logs else field for field in of_numbers]
    return [
        *([_metric(f"{LOG}params" if spread else "params")] if len(sizes) > 1 else []),
        *({"key": name, "type": "PARAM"} for name in names),
    ]


def _metric(name: str) -> dict[str, str]:
    return {"key": name, "type": "METRIC", "dataAccessKey": name}


def _line(metric: str) -> dict[str, Any]:
    is_loss = metric.endswith("loss")
    return {
        **_chart(f"line-{metric}", "LINE", "curves"),
        "displayName": f"{metric} (logarithmic)" if is_loss else metric,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "scaleType": "log" if is_loss else "linear",
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "lineSmoothness": 0,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "ignoreOutliers": False,
        "range": {},
        "yAxisKey": "metric",
        "yAxisExpressions": [],
    }


def _chart(uuid: str, kind: str, section: str) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "type": kind,
        "metricSectionId": section,
        "runsCountToCompare": _MOST_RUNS,
        "deleted": False,
        "isGenerated": False,
    }


def _section(uuid: str, name: str, columns: int) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": name,
        "display": True,
        "columns": columns,
        "cardHeight": _CHART_HEIGHT,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
    }
