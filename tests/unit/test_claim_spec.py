"""Claims in a sweep file: what is refused, in which words, and that a stored sweep reads back."""

import json
from typing import Any

import pytest

from sweeps.document import Document
from sweeps.planning.questions import check_questions
from sweeps.spec import SpecError, Sweep, from_resolved, resolved_text, validated
from tests.sweep_trials import width_sweep

SHARE = {"share": "test_loss", "below": 0.1, "at_least": 0.5}
CHANGE = {"change": "test_loss", "from": {"model.width": 4}, "to": {"model.width": 8}}
LAW = {"fit": "width", "better": "power", "than": "logarithmic"}
EXPONENT = {"fit": "width", "coefficient": "c", "published": 1, "within": 0.15}
FITS = [
    {
        "name": "width",
        "law": "power",
        "rivals": ["logarithmic"],
        "inputs": {"x": "model.width"},
        "metric": "test_loss",
    }
]
EVERY = [
    {"metric": "test_loss", "at_most": 1, "pool": "median"},
    SHARE,
    {"share": "phase", "is": "full inversion", "at_least": 0.25, "threshold_from": "result"},
    {**CHANGE, "as": "ratio", "at_most": 0.5, "likely": "too short a training"},
    EXPONENT,
    LAW,
]


def _sweep(claim: dict[str, Any]) -> Sweep:
    made = width_sweep(report={"fits": FITS}, claims=[]).model_dump(mode="json", by_alias=True)
    return validated(
        {**made, "claims": [{"say": "it is so", **claim}]}, Document("sweep.yaml", None, {})
    )


@pytest.mark.parametrize("claim", EVERY)
def test_a_stored_sweep_has_the_same_claims(claim: dict[str, Any]):
    sweep = _sweep(claim)
    assert from_resolved(resolved_text(sweep)) == sweep
    stored = json.loads(resolved_text(sweep))["claims"][0]
    assert {name: stored[name] for name in claim} == claim


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({**SHARE, "above": 0.2}, "expected one of above, below and is, got 2"),
        ({"share": "test_loss", "at_least": 0.5}, "one of above, below and is, got none"),
        ({**SHARE, "at_least": 25}, "expected at_least to be a share from 0 to 1, got 25"),
        ({**SHARE, "at_most": 0.2}, "expected at_least <= at_most"),
        ({"share": "test_loss", "below": 1}, "expected at_least, at_most or both"),
        (
            {**CHANGE, "at_most": 1, "as": "quotient"},
            "claims[0].as: expected 'difference' or 'ratio'",
        ),
        (
            {"change": "test_loss", "from": {"a": 1}, "at_most": 1},
            "claims[0].to: expected this field",
        ),
        ({**CHANGE, "at_most": 1, "to": {"model.width": 4}}, "expected from and to to differ"),
        ({**CHANGE, "at_most": 1, "to": {}}, "claims[0].to: expected at least 1"),
        ({**CHANGE, "at_most": 1, "where": {"model.width": 4}}, "where or in from and to"),
        ({**CHANGE, "at_most": 1, "above": 1, "as": "ratio"}, "as: difference where shares"),
        ({**CHANGE, "at_most": 1, "above": 1, "pool": "median"}, "no pool where shares"),
        ({**CHANGE, "at_least": -1, "as": "ratio"}, "expected bounds of a ratio to be positive"),
        ({**LAW, "than": "sigmoid"}, "expected one of power, logarithmic, got sigmoid"),
        ({**LAW, "than": "power"}, "expected two different laws"),
        ({**LAW, "fit": "depth"}, "needs a fit named 'depth'"),
        ({**EXPONENT, "within": 0}, "claims[0].within: expected"),
        ({**EXPONENT, "expected": 1}, "claims[0]: expected one of published and expected"),
        ({**SHARE, "threshold_from": "taste"}, "claims[0].threshold_from: expected 'published'"),
        ({**SHARE, "metric": "test_loss"}, "claims[0].metric: unknown field"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(claim: dict[str, Any], words: str):
    with pytest.raises(SpecError) as caught:
        _sweep(claim)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({**SHARE, "share": "happiness"}, "claims[0].share: expected one of"),
        ({**CHANGE, "at_most": 1, "change": "happiness"}, "claims[0].change: expected one of"),
        ({**CHANGE, "at_most": 1, "from": {"no.field": 1}}, "claims[0].from: expected a field"),
        ({**CHANGE, "at_most": 1, "to": {"no.field": 1}}, "claims[0].to: expected a field"),
        ({**SHARE, "needs": {"no.field": 1}}, "claims[0].needs: expected a field"),
        ({**LAW, "where": {"no.field": 1}}, "claims[0].where: expected a field"),
    ],
)
def test_a_claim_of_what_no_trial_has_is_refused_as_the_sweep_is_planned(
    claim: dict[str, Any], words: str
):
    with pytest.raises(SpecError) as caught:
        check_questions(
            _sweep(claim), {"test_loss"}, {"model.width", "budget.steps"}, {"test_loss"}
        )
    assert words in str(caught.value)


@pytest.mark.parametrize("claim", EVERY)
def test_a_claim_of_what_trials_have_is_planned(claim: dict[str, Any]):
    check_questions(_sweep(claim), {"test_loss"}, {"model.width", "budget.steps"}, {"test_loss"})
