"""One law fitted to a table from anywhere: the fit, its backtests, the checks of its rows, its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.checks.checks import table_checks
from analysis.decisions import NOTHING, Decisions, Wanted, check, decide
from analysis.decisions import as_document as decisions_document
from analysis.engine.compiled import predict_many
from analysis.finding import Finding
from analysis.fit import Fit, as_document, fit
from analysis.judgement.backtested import backtested
from analysis.judgement.extrapolation import Extrapolation, extrapolation, reached
from analysis.judgement.extrapolation import as_document as extrapolation_document
from analysis.judgement.holdout import Backtest, hold_out
from analysis.judgement.holdout import as_document as backtest_document
from analysis.judgement.rolling import Rolling
from analysis.judgement.rolling import as_document as rolling_document
from analysis.judgement.trust import Trust, trust
from analysis.reporting.study_json import trust_data
from analysis.request import Request, asked, place_of
from analysis.uncertainty.prediction import Prediction, predict_interval, predict_run
from analysis.uncertainty.resamples import RESAMPLES, Resample
from trainers.schema import InputError

MANY = 20_000  # rows beyond which backtests and checks of every row would take minutes


@dataclass(frozen=True)
class Foreseen:
    """What a new run would give at a place: the law's own interval, and that of one new run."""

    place: tuple[tuple[str, float], ...]
    law: Prediction | None
    run: Prediction | None
    value: float
    far: Extrapolation


@dataclass(frozen=True)
class TableFit:
    """Everything that is said about a fit of a table; `asked_for` is the hold-out that was wanted.

    A table of very many rows has no backtests: `rolling` is None, `backtests` and `checks` are empty.
    """

    table: Path
    names: tuple[str, ...]
    fit: Fit
    backtests: tuple[Backtest, ...]
    asked_for: Backtest | None
    checks: tuple[Finding, ...]
    foreseen: tuple[Foreseen, ...]
    trust: Trust
    decisions: Decisions = NOTHING
    rolling: Rolling | None = None


def table_fit(
    request: Request,
    law: str,
    *,
    bootstrap: int,
    resample: str,
    level: float,
    seed: int,
    largest: int | None = None,
    places: Sequence[str] = (),
    wanted: Wanted = Wanted(),  # noqa: B008 - it is frozen
) -> TableFit:
    """Read the table, fit the law, predict the largest scales from the others, check the rows.

    Raises:
        InputError: an option, the table or one of its values cannot be used.
    """
    of = asked(request, [law])
    chosen = of.laws[0]
    at = [place_of(text, chosen.inputs) for text in places]
    check(wanted, chosen, of.target)
    if wanted.narrow and bootstrap < 2:
        raise InputError(f"narrow: expected resamples, got --bootstrap {bootstrap}")
    fitted = fit(
        chosen,
        of.runs,
        of.inputs,
        of.target,
        objective=of.objective,
        pool=of.pool,
        columns=of.columns,
        bootstrap=bootstrap,
        resample=_resample(resample),
        seed=seed,
        level=level,
    )
    few = len(of.runs) <= MANY
    tests: tuple[Backtest, ...] = ()
    rolled: Rolling | None = None
    checks: tuple[Finding, ...] = ()
    if few:
        both = backtested(fitted)
        tests, rolled = both.largest, both.rolling
        checks = table_checks(
            of.runs, of.inputs, of.target, pool=of.pool, cluster=of.columns.cluster
        )
    asked_for = None
    if largest is not None:
        asked_for = hold_out(
            chosen, of.runs, of.inputs, of.target, largest=largest, pool=of.pool,
            objective=of.objective, columns=of.columns,
        )  # fmt: skip
    foreseen = tuple(_foreseen(fitted, one, tests) for one in at)
    known = {one.code for one in fitted.warnings}
    decisions = decide(fitted, wanted, reached(tests))
    if decisions.mistaken:
        raise InputError(decisions.mistaken[0])
    return TableFit(
        request.table,
        tuple(map(str, of.runs.table.index)) if of.pool == "none" else (),
        fitted,
        tests,
        asked_for,
        tuple(one for one in checks if one.code not in known),
        foreseen,
        trust(fitted, tests),
        decisions,
        rolled,
    )


def document_of(found: TableFit) -> dict[str, Any]:
    """A fit of a table as plain data for JSON; these names are public."""
    document = as_document(found.fit)
    document["warnings"] += [{"code": one.code, "text": one.text} for one in found.checks]
    document["trust"] = trust_data(found.trust)
    document["backtests"] = [backtest_document(one) for one in found.backtests]
    document["rolling"] = None if found.rolling is None else rolling_document(found.rolling)
    if found.asked_for is not None:
        document["hold_out"] = backtest_document(found.asked_for)
    if found.foreseen:
        document["predictions"] = [
            {
                "inputs": dict(one.place),
                "value": one.value,
                "law": _ends(one.law),
                "new_run": _ends(one.run),
                "extrapolation": extrapolation_document(one.far),
            }
            for one in found.foreseen
        ]
    if found.decisions:
        document["decisions"] = decisions_document(found.decisions)
    return document


def _ends(one: Prediction | None) -> dict[str, float] | None:
    if one is None:
        return None
    return {"level": one.level, "low": float(one.low[0]), "high": float(one.high[0])}


def _foreseen(fitted: Fit, place: dict[str, Any], tests: Sequence[Backtest]) -> Foreseen:
    numbers = {name: float(value[0]) for name, value in place.items()}
    law = run = None
    if len(fitted.draws):
        law = predict_interval(fitted, place, fitted.level)
        if fitted.objective_used.kind != "binomial":
            run = predict_run(fitted, place, fitted.level)
    value = float(predict_many(fitted.law, fitted.vector, place)[0, 0])
    far = extrapolation(fitted.law, fitted.points, numbers, tested=reached(tests))
    return Foreseen(tuple(numbers.items()), law, run, value, far)


def _resample(text: str) -> Resample:
    for one in RESAMPLES:
        if one == text:
            return one
    raise InputError(f"--resample: expected one of {', '.join(RESAMPLES)}, got {text!r}")
