"""The trials of a sweep, read back from its tracking server."""

from analysis.runs import Runs
from analysis.trials import as_runs
from sweeps.spec import Sweep
from sweeps.tracking import read_trials


def load_runs(tracking_uri: str, sweep_name: str) -> tuple[Sweep, Runs]:
    """The sweep as it was run, and its trials: the finished ones to fit, others with a reason."""
    sweep, trials = read_trials(tracking_uri, sweep_name)
    return sweep, as_runs(trials)
