"""A study as plain data for JSON; these names are public."""

from collections.abc import Sequence
from typing import Any

from analysis.decisions import as_document as decisions_document
from analysis.fit import Fit, as_document
from analysis.groups import axis_fields
from analysis.isoflop.profiles import as_document as isoflop_document
from analysis.judgement.compare import Comparison
from analysis.judgement.compare import as_document as comparison_document
from analysis.judgement.holdout import Backtest
from analysis.judgement.holdout import as_document as backtest_document
from analysis.judgement.rolling import Rolling
from analysis.judgement.rolling import as_document as rolling_document
from analysis.judgement.trust import Trust, trust
from analysis.reporting.answer import answer
from analysis.reporting.plot_json import plot_data
from analysis.reporting.sections import Section
from analysis.reporting.threshold_sections import milestone_data, threshold_data
from analysis.study import Study
from analysis.summary import Summary
from analysis.sweep_fits import SweepFit
from analysis.tuning.drift import as_document as drift_document
from analysis.tuning.settings import as_document as tuning_document
from analysis.tuning.transfer import as_document as transfer_document


def study_data(study: Study) -> dict[str, Any]:
    """Everything that the report of a sweep says."""
    return {
        "sweep": study.sweep.name,
        "finished": study.finished,
        "answer": list(answer(study)),
        "best": None
        if study.best is None
        else {"key": study.best.key, "value": study.best.value, "fields": dict(study.best.group)},
        "claims": [
            {
                "say": one.say,
                "verdict": one.verdict,
                "reason": one.reason,
                "expected": one.expected,
                "published": one.published,
                "value": one.found.value,
                "low": one.found.low,
                "high": one.found.high,
                "here": one.found.here,
                "spread": one.found.spread,
                "trials": one.found.trials,
                "from": one.found.counted,
                "seeds": one.found.seeds,
                "interval": one.found.basis,
                "sure": one.sure,
                "threshold_from": one.threshold_from,
                "likely": one.likely,
            }
            for one in study.verdicts
        ],
        "plots": [plot_data(one) for one in study.plots],
        "milestones": milestone_data(study),
        "thresholds": [threshold_data(one) for one in study.thresholds],
        "tables": [
            {
                "title": table.spec.title,
                "rows": [
                    {
                        "fields": dict(row.group),
                        "metrics": {
                            name: _summary(value)
                            for name, value in zip(table.spec.metrics, row.metrics, strict=True)
                        },
                        "beside": _summary(row.beside),
                        "lists": dict(zip(table.spec.lists, map(list, row.lists), strict=True)),
                        "trials": row.trials,
                        "omitted": row.omitted,
                    }
                    for row in table.rows
                ],
            }
            for table in study.tables
        ],
        "contrasts": [
            {
                "title": one.spec.title,
                "field": one.spec.field,
                "base": one.spec.base,
                "rows": [
                    {
                        "fields": dict(row.group),
                        "value": row.value,
                        "difference": _summary(row.difference),
                        "unpaired": row.unpaired,
                    }
                    for row in one.rows
                ],
            }
            for one in study.contrasts
        ],
        "fits": [_fit(one) for one in study.fits],
        "tunings": [
            {
                "name": one.spec.name,
                "refused": one.refused,
                "best": None if one.found is None else tuning_document(one.found),
                "drifts": [drift_document(each) for each in one.drifts],
                "transfer": None if one.carried is None else transfer_document(one.carried),
            }
            for one in study.tunings
        ],
        "isoflops": [
            {
                "name": one.spec.name,
                "refused": one.refused,
                "found": None if one.found is None else isoflop_document(one.found),
            }
            for one in study.isoflops
        ],
        "omitted": [
            {
                "key": one.key,
                "outcome": one.outcome,
                "reason": one.reason,
                "fields": {name: one.fields.get(name) for name in axis_fields(study.sweep)},
            }
            for one in study.omitted
        ],
    }


def fit_data(
    fitted: Fit,
    judged: Trust,
    tests: Sequence[Backtest],
    rolled: Rolling | None,
    sections: Sequence[Section],
) -> dict[str, Any]:
    """A fit of a table, with its verdict, its backtests and what else its report shows."""
    return {
        "fit": as_document(fitted),
        "trust": trust_data(judged),
        "hold_out": [backtest_document(one) for one in tests],
        "rolling": None if rolled is None else rolling_document(rolled),
        "sections": sections_data(sections),
    }


def comparison_data(found: Comparison, sections: Sequence[Section]) -> dict[str, Any]:
    """A comparison of laws, in the order of the ranking."""
    return {**comparison_document(found), "sections": sections_data(sections)}


def trust_data(judged: Trust) -> dict[str, Any]:
    """A verdict on a fit."""
    return {
        "verdict": judged.verdict,
        "line": judged.line,
        "reasons": list(judged.reasons),
    }


def sections_data(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Sections as their text; figures by the name of their files."""
    return [
        {
            "title": one.title,
            "answer": one.answer,
            "headers": [] if one.table is None else list(one.table.headers),
            "rows": [] if one.table is None else [list(row) for row in one.table.rows],
            "figure": None if one.picture is None else one.picture.name,
            "findings": [{"code": each.code, "text": each.text} for each in one.findings],
        }
        for one in sections
    ]


def _summary(one: Summary | None) -> dict[str, Any] | None:
    if one is None:
        return None
    data = {"count": one.count, one.pool: one.mean, "low": one.low, "high": one.high}
    return {**data, "never": one.never} if one.pool == "median" else data


def _fit(one: SweepFit) -> dict[str, Any]:
    return {
        "name": one.name,
        "group": dict(one.group),
        "refused": one.refused,
        "notes": [{"code": note.code, "text": note.text} for note in one.notes],
        "fit": None if one.fit is None else as_document(one.fit),
        "trust": None if one.fit is None else trust_data(trust(one.fit, one.backtests)),
        "decisions": decisions_document(one.decisions),
        "hold_out": [backtest_document(test) for test in one.backtests],
        "rolling": None if one.rolling is None else rolling_document(one.rolling),
    }
