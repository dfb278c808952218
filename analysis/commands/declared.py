"""The laws that a sweep file declares for its report, refused before anything trains for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from trainers.schema import InputError

if TYPE_CHECKING:
    from analysis.law import Law
    from sweeps.spec import FitSpec, Sweep


def check_laws(sweep: Sweep) -> None:
    """Refuse a fit that the report could not make, before anything trains for it.

    Raises:
        SpecError: a law, an input of it or a coefficient that a claim names does not exist.
    """
    from sweeps.claim import CoefficientClaim
    from sweeps.spec import SpecError

    coefficients: dict[str, list[str]] = {}
    for number, wanted in enumerate(sweep.report.fits):
        place = ("report", "fits", number)
        for field, text in (("law", wanted.law), *(("rivals", one) for one in wanted.rivals)):
            try:
                law = law_of(text, wanted.inputs)
                law = law.held(wanted.fix, wanted.tie) if field == "law" else law
            except InputError as error:
                raise SpecError(
                    f"report.fits[{number}].{field}: {error}", place=(*place, field)
                ) from error
            if field == "law" and set(wanted.inputs) != set(law.input_names):
                text = f"expected {', '.join(law.input_names)}, got {', '.join(wanted.inputs)}"
                raise SpecError(f"report.fits[{number}].inputs: {text}", place=(*place, "inputs"))
            if field == "law" and _decides(wanted):
                try:
                    _check_decisions(wanted, law)
                except InputError as error:
                    raise SpecError(f"report.fits[{number}]: {error}", place=place) from error
            if field == "law":
                coefficients[wanted.name] = [one.name for one in law.coefficients]
    for number, claim in enumerate(sweep.claims):
        if isinstance(claim, CoefficientClaim) and claim.coefficient not in coefficients[claim.fit]:
            text = f"expected one of {', '.join(coefficients[claim.fit])}, got {claim.coefficient}"
            place = ("claims", number, "coefficient")
            raise SpecError(f"claims[{number}].coefficient: {text}", place=place)


def _decides(wanted: FitSpec) -> bool:
    """Whether anything is to be decided by a fit."""
    return any(
        (wanted.budgets, wanted.reach, wanted.narrow, wanted.cost, wanted.held, wanted.spend)
    )


def _check_decisions(wanted: FitSpec, law: Law) -> None:
    from analysis.decisions import check, wanted_of

    check(wanted_of(wanted), law, wanted.metric)


def law_of(text: str, columns: Collection[str]) -> Law:
    """A law by its name, without waiting for what only formulas of users need.

    Raises:
        InputError: there is no such law.
    """
    from analysis.law import find_law

    if "=" not in text and not text.endswith((".yaml", ".yml")):
        return find_law(text)
    from analysis.custom import any_law

    return any_law(text, columns)
