"""The study of a sweep that was published, with its report written and attached to the sweep's run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.study import Study
    from sweeps.commands.work import Work


def studied(
    name: str,
    storage: Path,
    tracking: str | None,
    folder: Path | None = None,
    *,
    asked: Work | None = None,
) -> tuple[Study, Path]:
    """The study, and the page of its report, in `folder` or beside the sweep's ledger.

    The sweep is asked what it asked when it was launched; or what its file asks now, over those of
    that file's trials that were published.

    Raises:
        InputError: no such sweep was published there, or its artifacts are not where they should be.
    """
    from analysis.reporting.report import write_report
    from analysis.study import study
    from analysis.tracked import load_runs
    from sweeps.address import tracker_uri
    from sweeps.tracking import attach_report, check_artifacts

    uri = tracker_uri(tracking, storage)
    check_artifacts(uri, name, storage)
    if asked is None:
        sweep, runs = load_runs(uri, name)
    else:
        sweep, (_, runs) = asked.sweep, load_runs(uri, name, asked.sweep.report)
        runs = runs.only(asked.keys)
    found = study(sweep, runs)
    folder = folder or storage / "sweeps" / sweep.name / "report"
    page = write_report(found, folder)
    attach_report(uri, name, folder)
    return found, page
