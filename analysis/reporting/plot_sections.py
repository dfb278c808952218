"""The plots of a sweep file as sections of its report, and the first of them as a picture."""

from collections.abc import Iterator

from analysis.reporting.figures.plot import plot_picture
from analysis.reporting.sections import Picture, Section
from analysis.study import Study


def plot_sections(study: Study) -> Iterator[Section]:
    """Every plot of the sweep file, in its order; one without data says why."""
    for place, one in enumerate(study.plots, 1):
        yield Section(
            one.spec.title,
            answer=f"Nothing to draw: {one.missing}." if one.missing else "",
            picture=plot_picture(f"plot-{place}", one),
            note=one.spec.note,
        )


def first_plot(study: Study) -> Picture | None:
    """The figure that stands for the sweep: its first plot; None where that has nothing to draw."""
    if not study.plots:
        return None
    return plot_picture("plot-1", study.plots[0])
