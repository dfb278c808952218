"""RESULTS.md and the table of the terminal, against what they are defined to say, in their order."""

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from analysis.claims.verdict import Found, Verdict
from analysis.reporting.results_table import show_results
from analysis.reporting.results_text import results_text, verdict_counts
from analysis.results import Made, Results, SweepResult, by_topic
from analysis.study import Study
from sweeps.spec import Sweep

MADE = Made(
    "3 May 2026", "0123456789abcdef", True, ("A processor",), {"torch": "2.13"}, "12.0 core-minutes"
)


def sweep(name: str, topic: str, claims: int = 3) -> Sweep:
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": name,
                "topic": topic,
                "tried": "Seed 1000, twice.",
                "source": "arXiv:0000.00000",
                "trial": {},
                "replicates": 4,
                "objective": {"metric": "loss", "mode": "min"},
                "report": {"question": f"What does {name} ask?"},
                "claims": [
                    {
                        "say": f"{name} | claim {number}",
                        "metric": "loss",
                        "at_most": 1,
                        "published": 0.5,
                        "threshold_from": "result",
                        "likely": f"reason {number}",
                    }
                    for number in range(claims)
                ],
            }
        )
    )


def verdict(say: str, word: str, sure: bool = True) -> Verdict:
    found = Found(0.25, 0.1, 0.4, "0.25", "0.1 to 0.4", 8, 4, "t")
    return Verdict(say, word, "a reason", "at most 1", 0.5, found, sure, "result", "", "")


def trained(name: str, topic: str, *words: str, ended: int = 8) -> SweepResult:
    asked = sweep(name, topic, len(words))
    study = Study(
        sweep=asked, finished=ended, omitted=(), best=None, tables=(), contrasts=(), fits=(),
        verdicts=tuple(
            verdict(claim.say, word) for claim, word in zip(asked.claims, words, strict=True)
        ),
    )  # fmt: skip
    return SweepResult(asked, "cpu", 8, ended, study, "6.0 core-minutes", figure=f"docs/{name}.svg")


@pytest.fixture
def results() -> Results:
    unrun = SweepResult(sweep("b-paper", "B"), "paper", 8, 0, planned="about 7 GPU-hours")
    several = [
        unrun,
        trained("zeta", "Z", "not comparable"),
        trained("b", "B", "reproduced", "not reproduced"),
        trained("a", "A", "reproduced", ended=5),
    ]
    return Results(MADE, by_topic(several, ("B", "A")))


def test_topics_come_in_the_order_of_the_catalogue_and_others_after_them(results):
    assert [topic.name for topic in results.topics] == ["B", "A", "Z"]
    assert [one.sweep.name for one in results.topics[0].sweeps] == ["b", "b-paper"]


def test_a_sweep_that_is_not_finished_or_was_not_run_decides_nothing(results):
    words = {(row.of.sweep.name, row.word) for row in results.rows}
    assert words == {
        ("b", "reproduced"), ("b", "not reproduced"), ("b-paper", "not run"), ("a", "unfinished"),
        ("zeta", "not comparable"),
    }  # fmt: skip
    assert [topic.is_decided for topic in results.topics] == [True, False, False]


def test_a_report_that_failed_leaves_its_claims_unfinished_though_all_was_trained():
    failed = SweepResult(sweep("x", "X"), "cpu", 8, 8, problem="the report failed: ValueError")
    (topic,) = by_topic([failed], ())
    assert {row.word for row in topic.rows} == {"unfinished"}
    text = results_text(Results(MADE, (topic,)))
    assert "the report failed: ValueError" in text


def test_the_counts_say_every_claim_once(results):
    assert verdict_counts(results) == (
        "7 claims: 1 reproduced, 1 not reproduced, 1 not comparable, 1 unfinished, 3 not run. "
        "1 of 3 topics ended in a yes or a no."
    )


def test_what_failed_to_reproduce_comes_first_with_its_likely_reason(results):
    text = results_text(results)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert headings == [
        "Results of the catalogue", "What was not reproduced", "What is not finished", "Summary",
        "B", "Sweep b", "Sweep b-paper", "A", "Sweep a", "Z", "Sweep zeta",
    ]  # fmt: skip
    first = text[text.index("## What was not") : text.index("## What is not")]
    assert "b \\| claim 1" in first
    assert "Most likely because: reason 1." in first
    assert first.count("- **") == 1


def test_when_and_with_what_it_was_made_is_said(results):
    text = results_text(results)
    assert "3 May 2026 from commit 0123456789ab with changes that were not committed" in text
    assert "torch 2.13" in text
    assert "A processor" in text
    assert "12.0 core-minutes" in text
    outside = replace(results, made=replace(MADE, commit="", dirty=False))
    assert "outside a git checkout" in results_text(outside)


def test_a_bound_that_was_chosen_after_seeing_the_result_says_so(results):
    assert "chosen after seeing these results" in results_text(results)


def test_a_sweep_says_what_was_tried_what_it_cost_and_what_it_would_take(results):
    text = results_text(results)
    assert text.count("*What was tried before:* Seed 1000, twice.") == 4
    assert "8 trials, 4 seeds of each setting; 6.0 core-minutes." in text
    assert "Not run: it would take about 7 GPU-hours." in text
    assert "5 of 8 trials ended" in text


def test_every_link_inside_the_text_leads_to_one_heading(results):
    text = results_text(results)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings]
    for target in re.findall(r"\]\(#([^)]*)\)", text):
        assert anchors.count(target) == 1, target


def test_every_table_has_as_many_cells_in_each_row(results):
    text = results_text(results)
    for block in text.split("\n\n"):
        if block.startswith("| "):
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(counts) == 1


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_terminal_shows_each_claim_that_was_run_and_counts_those_that_were_not(results, width):
    console = Console(width=width, record=True, file=StringIO())
    show_results(results, console)
    said = console.export_text()
    assert max(map(len, said.splitlines())) <= width
    for row in results.rows:
        assert (row.claim.say in said) == (row.word != "not run")
    assert "3 claims not run, about 7 GPU-hours" in said
    assert "0.25 (0.1 to 0.4)" in said
    assert said.count("✓") == said.count("✗") == 1
