"""What `reproduce` makes of a sweep that was trained: its part of RESULTS.md."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sweeps.shipped import TOPICS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analysis.results import Made, Results, SweepResult
    from analysis.study import Study
    from sweeps.commands.spent import Code
    from sweeps.commands.work import Work

FIGURES = "docs/results"  # from the folder of the text

_GPU_FLOPS = 5e13  # a second, of packs of small models; for what was not priced on its own device


def result(
    work: Work, storage: Path, tracking: str | None, text: Path, problem: str
) -> SweepResult:
    """What there is of a sweep, with its report written and attached, and its figure beside the text.

    What goes wrong with it is said in the result, so that the other sweeps have theirs.
    """
    from analysis.commands.studied import studied
    from analysis.results import SweepResult
    from sweeps.commands.several import trouble
    from sweeps.commands.spent import code_of, cost, spent

    study, figure, alt = None, "", ""
    if work.ended:
        try:
            study, _ = studied(work.sweep.name, storage, tracking, asked=work)
            figure, alt = _drawn(study, text)
        except Exception as error:  # noqa: BLE001 - the others have their results, and this is said of it
            problem = problem or f"the report failed: {trouble(error)}"
    return SweepResult(
        sweep=work.sweep,
        scale=work.scale,
        trials=work.trials,
        ended=work.ended,
        study=study,
        cost=cost(spent(storage, work.keys)).words,
        planned=_planned(work),
        problem=problem,
        commit=code_of(storage, work.sweep.name).commit if work.ended else "",
        figure=figure,
        alt=alt,
    )


def results(
    found: Sequence[SweepResult], several: Sequence[Work], storage: Path, code: Code
) -> Results:
    """All of it together, made with this code; a trial that several sweeps share has cost once."""
    from analysis.results import Results, by_topic

    return Results(_made(several, storage, code), by_topic(found, TOPICS))


def write_results(found: Results, text: Path) -> None:
    """Write the text of the results, whole or not at all."""
    from analysis.reporting.files import replace_file
    from analysis.reporting.results_text import results_text

    text.parent.mkdir(parents=True, exist_ok=True)
    replace_file(text, results_text(found).encode())


def _drawn(study: Study, text: Path) -> tuple[str, str]:
    """The first plot of a sweep as a file beside the text: its path from there, and what it shows."""
    from analysis.reporting.files import replace_file
    from analysis.reporting.plot_sections import first_plot

    picture = first_plot(study)
    if picture is None:
        return "", ""
    place = f"{FIGURES}/{study.sweep.name}.svg"
    file = text.parent / place
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_file(file, picture.svg)
    return place, picture.alt


def gpu_hours(work: Work) -> float:
    """Hours of a GPU for all of a sweep, roughly: by its FLOPs alone, since no GPU is here to measure."""
    return work.flops / _GPU_FLOPS / 3600


def _planned(work: Work) -> str:
    """What a sweep would take in words, if that is known without measuring its device."""
    if work.scale != "paper":
        return ""
    speed = f"{_GPU_FLOPS / 1e12:g} TFLOP/s, which is assumed"
    return f"about {hours_in_words(gpu_hours(work))} at {speed}, nothing was measured"


def hours_in_words(hours: float) -> str:
    """Hours of a GPU to two digits: `0.12 GPU-hours`, `140 GPU-hours`."""
    rounded = float(f"{hours:.2g}")
    return f"{rounded:,.0f} GPU-hours" if rounded >= 10 else f"{rounded:g} GPU-hours"


def _made(several: Sequence[Work], storage: Path, code: Code) -> Made:
    from analysis.results import Made
    from sweeps.commands.spent import cost, spent

    took = spent(storage, frozenset(key for work in several for key in work.keys))
    return Made(
        date=f"{datetime.now(UTC):%-d %B %Y}",
        commit=code.commit,
        dirty=code.dirty,
        machines=tuple(sorted({one.machine for one in took.values()})),
        versions=code.versions,
        cost=cost(took).words,
    )
