"""The trials of a sweep, read back from its tracking server."""

from dataclasses import replace

from analysis.curves import curve_of
from analysis.milestones import asked_curves, with_milestones
from analysis.runs import Runs
from analysis.trials import as_runs
from sweeps.spec import ReportSpec, Sweep
from sweeps.tracking import read_curves, read_trials


def load_runs(
    tracking_uri: str, sweep_name: str, asked: ReportSpec | None = None
) -> tuple[Sweep, Runs]:
    """The sweep as it was run, and its trials: the finished ones to fit, others with a reason.

    Curves are read where the report asks for them, as it was run or as it is `asked` now; milestones
    are columns like any metric.
    """
    sweep, trials = read_trials(tracking_uri, sweep_name)
    report = sweep.report if asked is None else asked
    finished = [one for one in trials if one.outcome == "finished"]
    found = read_curves(tracking_uri, sweep_name, finished, asked_curves(report))
    curves = {
        one.key: {
            name: curve_of(points, int(one.fields["batch_size"]))
            for name, points in found[one.key].items()
        }
        for one in finished
        if one.key in found
    }
    runs = replace(as_runs(trials), curves=curves)
    return sweep, with_milestones(runs, report.milestones)
