"""Curves come back from MLflow with every point, also those that were thinned away."""

from pathlib import Path

import pytest

from sweeps.address import tracker_uri
from sweeps.publishing.publisher import Publisher
from sweeps.storage.ledger import Ledger
from sweeps.tracking import TrackedCurve, read_curves, read_trials
from tests.small_sweep import STEPS, curve_of, records_of, sweep_of, write_trial


@pytest.fixture(params=[5, 2_000], ids=["whole", "thinned"])
def read_back(request, tmp_path: Path) -> tuple[dict, dict[str, TrackedCurve]]:
    """A record, and what the tracker gives back of its curves."""
    ledger, sweep = Ledger(tmp_path), sweep_of("curves", bases=(10,))
    record = records_of(sweep, points=request.param)[0]
    write_trial(ledger, record)
    uri = tracker_uri(None, tmp_path)
    assert Publisher(uri, ledger, sweep, [record]).publish().error is None
    (trial,) = read_trials(uri, "curves")[1]
    return record, read_curves(uri, "curves", [trial], ["loss", "params", "unheard_of"])[trial.key]


def test_every_point_of_a_curve_comes_back_to_the_bit(read_back):
    record, curves = read_back
    assert {name: dict(curve) for name, curve in curves.items()} == {
        "loss": {point.step: point.values["loss"] for point in curve_of(record)}
    }
    assert list(curves["loss"]) == sorted(curves["loss"])
    assert max(curves["loss"]) == STEPS
    assert len(curves["loss"]) == record["config"]["evaluation"]["points"]


def test_nothing_is_read_where_nothing_is_asked(tmp_path):
    assert read_curves("sqlite:////nowhere/at-all.db", "none", [], ["loss"]) == {}
