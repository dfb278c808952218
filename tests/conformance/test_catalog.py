"""Every sweep that ships, found by listing the folder."""

import pytest

from analysis.cli import main
from sweeps.planning.plan import plan
from sweeps.spec import catalog, load

FILES = catalog()


@pytest.fixture(params=FILES, ids=[file.stem for file in FILES])
def name(request: pytest.FixtureRequest) -> str:
    return request.param.stem


def test_the_catalogue_holds_the_sweeps_of_the_demo():
    assert {"quickstart", "square-width"} <= {file.stem for file in FILES}


def test_a_sweep_bears_the_name_of_its_file_and_says_what_it_asks_and_after_whom(name):
    sweep = load(name)
    assert sweep.name == name
    assert sweep.about
    assert sweep.source
    assert sweep.report.question
    assert sweep.claims


def test_a_sweep_can_be_planned_and_asks_for_laws_that_exist(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", name]) == 0
    assert f"{len(plan(load(name)).trials)} trials" in capsys.readouterr().out


def test_a_sweep_has_replicates(name):
    assert load(name).replicates >= 2


def test_the_quickstart_is_the_experiment_that_it_says_it_is():
    trials = plan(load("quickstart")).trials
    bases = {trial.point["encoding.base"] for trial in trials}
    assert len(bases) >= 5
    assert {30, 31} <= bases
    assert len({trial.point["model.width"] for trial in trials}) == 3
    distinct = {trial.point["data.distinct"] for trial in trials}
    assert None in distinct
    assert all(
        size is None or size * 10 <= trial.config.examples for size in distinct for trial in trials
    )
    assert all(trial.config.task.largest == 10**6 for trial in trials)


def test_the_widths_of_the_scaling_law_span_a_factor_of_32():
    widths = {trial.point["model.width"] for trial in plan(load("square-width")).trials}
    assert max(widths) >= 32 * min(widths)
