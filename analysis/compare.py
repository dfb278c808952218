"""Compare laws on the same runs: ranked by held-out error, with AICc beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fit import Fit, as_document, fit, predict_fit
from analysis.holdout import Backtest, backtests
from analysis.law import Law
from analysis.objective import Objective
from analysis.runs import Runs
from trainers.schema import InputError


@dataclass(frozen=True)
class Candidate:
    """One law in a comparison: `error` is its mean held-out error, None when it has none.

    `aicc` is n ln(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1) of the log residuals, k counting the
    variance; None when there are too few points. Source: Hurvich and Tsai 1989, Biometrika 76, 297.
    """

    law: Law
    error: float | None
    aicc: float | None
    fit: Fit | None
    backtests: tuple[Backtest, ...]
    refused: str


def compare(
    laws: Sequence[Law],
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    *,
    objective: Objective | None = None,
) -> tuple[Candidate, ...]:
    """Fit every law and rank them, the least held-out error first; a refused law comes last.

    Each law takes from `inputs` those that it has; the scale of a row is the product of them all,
    so that every law is tested on the same rows. The error averages over the hold-outs that all
    laws with one could do.

    Raises:
        InputError: a column that a law needs is missing or not positive.
    """
    tested = {law.name: _tests(law, laws, runs, inputs, target, objective) for law in laws}
    possible = [
        {one.largest for one in tests if one.error is not None} for tests in tested.values()
    ]
    shared = set.intersection(*(sizes for sizes in possible if sizes)) if any(possible) else set()
    candidates = []
    for law in laws:
        errors = [
            one.error for one in tested[law.name] if one.largest in shared and one.error is not None
        ]
        error = float(np.mean(errors)) if errors else None
        try:
            fitted = fit(law, runs, _own(law, inputs), target, objective=objective, bootstrap=0)
        except InputError as refusal:
            candidates.append(Candidate(law, error, None, None, tested[law.name], str(refusal)))
            continue
        candidates.append(Candidate(law, error, _aicc(fitted), fitted, tested[law.name], ""))
    return tuple(sorted(candidates, key=_rank))


def as_documents(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """A comparison as plain data for JSON, in the order of the ranking."""
    return [
        {
            "law": one.law.name,
            "held_out_error": one.error,
            "aicc": one.aicc,
            "refused": one.refused,
            "fit": None if one.fit is None else as_document(one.fit),
            "hold_out": [
                {"largest": test.largest, "fitted": test.fitted, "error": test.error}
                for test in one.backtests
            ],
        }
        for one in candidates
    ]


def _own(law: Law, inputs: Mapping[str, str]) -> dict[str, str]:
    return {name: column for name, column in inputs.items() if name in law.input_names}


def _tests(
    law: Law,
    laws: Sequence[Law],
    runs: Runs,
    inputs: Mapping[str, str],
    target: str,
    objective: Objective | None,
) -> tuple[Backtest, ...]:
    needed = {name for law in laws for name in law.input_names}
    by = [column for name, column in inputs.items() if name in needed]
    return backtests(law, runs, _own(law, inputs), target, objective=objective, by=by)


def _rank(one: Candidate) -> tuple[bool, float, float, str]:
    none = math.inf
    return (
        one.fit is None,
        none if one.error is None else one.error,
        none if one.aicc is None else one.aicc,
        one.law.name,
    )


def _aicc(fitted: Fit) -> float | None:
    residuals = np.log(predict_fit(fitted, fitted.points.values) / fitted.points.measured)
    count, size = len(residuals), len(fitted.coefficients) + 1
    squares = float((residuals**2).sum())
    if count - size - 1 <= 0 or squares == 0:
        return None
    penalty = 2 * size + 2 * size * (size + 1) / (count - size - 1)
    return count * math.log(squares / count) + penalty
