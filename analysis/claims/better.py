"""Verdicts on claims that one law foresees held-out rows better than another."""

import numpy as np

from analysis.claims.fitted import Fitted, Meant
from analysis.claims.values import span
from analysis.claims.verdict import NOTHING, Decision, Found, Verdict, decided
from analysis.custom import any_law
from analysis.judgement.compare import FEW, Comparison, duel
from analysis.judgement.trust import percent
from analysis.summary import number
from sweeps.claim import LawClaim

BASIS = "95 % interval over resampled left-out rows of how much closer one law predicts them"


def better_verdict(claim: LawClaim, meant: Meant) -> Verdict:
    """Check which of two laws predicts better what it has not seen, from smaller scales alone."""
    expected = f"{claim.better} foresees better than {claim.than}"
    one = meant.one
    if one is None or meant.fit is None:
        return decided(claim, expected, NOTHING, "not comparable", meant.lacks)
    if meant.lacks:
        return decided(claim, expected, NOTHING, "not comparable", meant.lacks)
    if one.ranking is None:
        words = "the laws were not compared"
        return decided(claim, expected, NOTHING, "not comparable", words)
    names = (_name(claim.better, one), _name(claim.than, one))
    lead = duel(one.ranking, *names)
    if lead is None:
        return _untested(claim, meant, one.ranking, expected, names)
    errors = {each.law.name: each.error for each in one.ranking.candidates}
    told = [_told(errors[name], one.ranking.unit) for name in names]
    found = Found(
        value=lead.difference,
        low=lead.low,
        high=lead.high,
        here=f"{told[0]} against {told[1]} off",
        spread=span(lead.low, lead.high),
        trials=meant.trials,
        seeds=meant.seeds,
        basis=BASIS,
    )
    first = lead.difference > 0
    decision: Decision = "reproduced" if first else "not reproduced"
    surely = lead.low > 0 if first else lead.high < 0
    tested = one.ranking.tested
    words = (
        f"over {tested} left-out row{'s' * (tested > 1)} {names[0]} is {told[0]} off and "
        f"{names[1]} {told[1]}, and the first is closer in {100 * lead.probability:.0f} % of the resamples"
    )
    if tested < FEW:
        words, surely = f"{words}; so few cannot tell more than chance", False
    elif not surely:
        words = f"{words}, so this is uncertain"
    return decided(claim, expected, found, decision, words, sure=surely)


def _untested(
    claim: LawClaim, meant: Meant, ranking: Comparison, expected: str, names: tuple[str, str]
) -> Verdict:
    """A law that foresees what cannot be is worse; one that could not be tested is not compared."""
    impossible = [
        name in ranking.missed and not np.isfinite(ranking.missed[name]).all() for name in names
    ]
    if sum(impossible) == 1:
        worse, better = names if impossible[0] else names[::-1]
        words = (
            f"{worse} predicts values that are not positive for left-out rows, and {better} none"
        )
        few = ranking.tested < FEW
        found = Found(
            None,
            None,
            None,
            f"{worse} foresees what cannot be",
            "",
            meant.trials,
            meant.seeds,
            "no interval",
        )
        return decided(
            claim,
            expected,
            found,
            "not reproduced" if impossible[0] else "reproduced",
            f"{words}; so few rows cannot tell more than chance" if few else words,
            sure=not few,
        )
    refused = {each.law.name: each.refused for each in ranking.candidates}
    why = next((f": {refused[name]}" for name in names if refused.get(name)), "")
    words = f"{' and '.join(names)} could not both be tested on rows that they had not seen{why}"
    return decided(claim, expected, NOTHING, "not comparable", words)


def _name(text: str, one: Fitted) -> str:
    """The name under which a law of the sweep file was compared."""
    return any_law(text, one.spec.inputs).name


def _told(error: float | None, unit: str) -> str:
    if error is None:
        return "no error"
    return percent(error) if unit == "log" else number(error)
