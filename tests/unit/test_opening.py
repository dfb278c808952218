"""The paragraph that a report opens with: every no is named, every doubt is told."""

from pathlib import Path
from typing import Any

import pytest

from analysis.reporting.answer import answer
from analysis.reporting.opening import NAMED
from analysis.reporting.report import write_report
from analysis.study import Study, study
from analysis.trials import as_runs
from tests.sweep_trials import gcd_sweep, gcd_trials


def _study(*claims: dict[str, Any], **changes: Any) -> Study:
    made = [{"say": f"claim {at}", "metric": "accuracy", **one} for at, one in enumerate(claims)]
    return study(gcd_sweep(claims=made, **changes), as_runs(gcd_trials()))


def _opening(*claims: dict[str, Any], **changes: Any) -> str:
    return answer(_study(*claims, **changes))[0]


YES, NO, OPEN = {"at_least": 0.5}, {"at_least": 0.95}, {"at_least": 0.5, "needs": {"seed": 5}}


def test_the_page_and_the_markdown_begin_with_the_question_and_what_came_out(tmp_path: Path):
    page = write_report(_study(YES, NO), tmp_path).read_text()
    text = (tmp_path / "report.md").read_text()
    first = "Of 2 claims that can be checked here, 1 is reproduced: claim 0"
    assert page.index("Does the base decide") < page.index(first) < page.index("GCDs by base.")
    assert text.split("\n\n")[1].startswith("*Does the base decide what is learned?* Of 2 claims")


def test_every_no_is_named_and_of_many_yeses_the_first():
    text = _opening(*[YES] * (NAMED + 2), *[NO] * (NAMED + 2))
    assert "; and 2 more." in text
    for at in range(NAMED + 2, 2 * NAMED + 4):
        assert f"claim {at} (" in text


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ((YES,), "The one claim that can be checked here is reproduced: claim 0 ("),
        ((YES, YES), "All 2 claims that can be checked here are reproduced"),
        ((NO, NO), "None of the 2 claims that can be checked here is reproduced"),
        (
            (OPEN,),
            "The one claim cannot be compared with these trials: the published figures need larger",
        ),
        ((OPEN, OPEN), "None of the 2 claims can be compared with these trials: the published"),
        ((YES, OPEN, OPEN), "2 more claims need larger trials than these."),
        ((YES, {**OPEN, "needs": {"no": 1}}), "1 more claim needs larger trials than these."),
        ((YES, {**NO, "where": {"seed": 7}}), "1 more claim cannot be compared, for the reason"),
        (({**NO, "published": 0.99},), "; published 0.99)"),
        ((NO,), "; expected at least 0.95)"),
        ((YES,), "How sure: the estimate's whole 95 % interval lies on its side of the bound"),
        (({"at_least": 0.8},), "How sure: the verdict is uncertain, for the reason given with it"),
        ((YES, {"at_least": 0.8}), "1 of the 2 verdicts is uncertain, for the reason given"),
        ((YES,), "2 seeds of each setting; 48 of 48 trials finished."),
        (
            ({**YES, "threshold_from": "result"},),
            "One bound was chosen after seeing these results.",
        ),
    ],
)
def test_what_came_out_and_how_sure_is_said(claims: tuple[dict[str, Any], ...], words: str):
    assert words in _opening(*claims)


def test_without_claims_the_paragraph_says_what_the_tables_show():
    text = _opening()
    assert text.startswith("Accuracy by base: accuracy goes from")
    assert text.endswith("48 of 48 trials finished.")


def test_without_anything_asked_the_paragraph_names_the_best_trial():
    assert _opening(report={}).startswith("The best accuracy is 0.9")
