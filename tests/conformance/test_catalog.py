"""Every sweep that ships, found by listing the folders."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analysis.cli import main
from analysis.commands.declared import check_laws
from analysis.runs import matches
from sweeps.claim import ChangeClaim, ShareClaim
from sweeps.planning.pace.work import steps_worth
from sweeps.planning.plan import Plan, plan
from sweeps.shipped import CATALOG, TOPICS, catalog, of_scale, scale_of
from sweeps.spec import Sweep, load

FILES = catalog()
CPU, PAPER = of_scale("cpu"), of_scale("paper")
OF_ROWS = (*CPU, *PAPER)  # the quickstart is there to begin with, and in no row

# 90 minutes of two cores, less what it takes to start the sweeps, publish them and write their reports
MOST_CORE_MINUTES = 160.0

# Seconds of a step and of a FLOP on one core of the machine that the catalogue was made on (AMD EPYC,
# torch 2.13), so that all sweeps together come to the processor time that was measured of their steps.
STEP_S, FLOP_S = 7.0e-5, 4.0e-11


def named(file: Path) -> str:
    return file.stem


@cache
def planned(file: Path) -> Plan:
    return plan(load(str(file)))


def sweep_of(file: Path) -> Sweep:
    return planned(file).sweep


def test_the_catalogue_is_every_sweep_file_below_its_folder_and_names_each_once():
    assert set(FILES) == set(CATALOG.rglob("*.yaml"))
    names = [file.stem for file in FILES]
    assert len(set(names)) == len(names)


def test_a_scale_is_the_folder_that_a_sweep_lies_in():
    assert {scale_of(file) for file in CPU} == {"cpu"}
    assert {scale_of(file) for file in FILES if file.parent == CATALOG} == {""}
    assert [file.stem for file in FILES if scale_of(file) == ""] == ["quickstart"]


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_sweep_bears_the_name_of_its_file_and_says_what_it_asks_and_after_whom(file):
    sweep = sweep_of(file)
    assert sweep.name == file.stem
    assert sweep.about
    assert sweep.source
    assert sweep.report.question
    assert sweep.claims


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_sweep_can_be_planned_and_asks_for_laws_that_exist(file):
    check_laws(sweep_of(file))
    assert planned(file).trials
    assert sweep_of(file).search is None  # else it would have no price before it starts


@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_sweep_belongs_to_a_topic_of_the_catalogue(file):
    assert sweep_of(file).topic in TOPICS


@pytest.mark.parametrize("file", PAPER, ids=named)
def test_a_sweep_of_paper_scale_says_so_in_its_name(file):
    assert file.stem.endswith("-paper")


@pytest.mark.parametrize("file", CPU, ids=named)
def test_a_sweep_for_a_cpu_has_a_name_without_a_scale(file):
    assert not file.stem.endswith("-paper")


@pytest.mark.parametrize("file", OF_ROWS, ids=named)
def test_a_sweep_of_a_row_says_what_was_tried_and_draws_a_figure(file):
    assert len(sweep_of(file).tried) >= 20
    assert sweep_of(file).report.plots


@pytest.mark.parametrize("file", OF_ROWS, ids=named)
def test_every_claim_says_where_its_threshold_comes_from(file):
    unsaid = [claim.say for claim in sweep_of(file).claims if claim.threshold_from is None]
    assert unsaid == []


@pytest.mark.parametrize("file", CPU, ids=named)
def test_a_sweep_for_a_cpu_has_at_least_three_seeds(file):
    assert sweep_of(file).replicates >= 3


@pytest.mark.parametrize("file", CPU, ids=named)
def test_a_share_of_seeds_is_claimed_of_at_least_eight_trials_in_each_arm(file):
    for claim in sweep_of(file).claims:
        if isinstance(claim, ShareClaim | ChangeClaim) and claim.is_ is not None:
            continue  # a detail has no mean: a share is the only way to claim it, of any number of seeds
        if isinstance(claim, ShareClaim):
            arms = [claim.where]
        elif isinstance(claim, ChangeClaim) and claim.levels:
            arms = [{**claim.where, **claim.from_}, {**claim.where, **claim.to}]
        else:
            continue
        for arm in arms:
            assert trials_where(file, arm) >= 8, claim.say


def trials_where(file: Path, where: Mapping[str, Any]) -> int:
    """How many trials have these values; a field that no axis sets is the same in all of them."""
    points = [trial.point for trial in planned(file).trials]
    return sum(
        matches(point, {name: value for name, value in where.items() if name in point})
        for point in points
    )


@pytest.mark.parametrize("file", OF_ROWS, ids=named)
def test_the_likely_reason_of_a_failure_is_known_beforehand_or_left_open_but_never_empty(file):
    assert all(claim.likely.strip() == claim.likely for claim in sweep_of(file).claims)


def test_all_of_cpu_scale_leaves_room_in_ninety_minutes_of_two_cores():
    seconds: dict[str, float] = {}  # a trial of several sweeps trains once
    for file in CPU:
        for trial in planned(file).trials:
            steps = steps_worth(trial.variant)
            flops = trial.flops * steps / trial.variant.steps
            seconds[trial.key] = STEP_S * steps + FLOP_S * flops
    assert sum(seconds.values()) / 60 <= MOST_CORE_MINUTES


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=named)
def test_a_sweep_is_priced_by_the_command(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", file.stem]) == 0
    assert f"{len(planned(file).trials)} trials" in capsys.readouterr().out


def test_the_list_of_the_catalogue_shows_every_sweep_below_its_topic_with_its_trials(
    capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["catalog"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for file in FILES:
        (place,) = (at for at, one in enumerate(lines) if one.startswith(f"  {file.stem} "))
        topics = [one.strip() for one in lines[1:place] if not one.startswith(" ")]
        assert topics[-1] == sweep_of(file).topic
        assert f"{len(planned(file).trials):,}" in lines[place].split()


def test_the_quickstart_is_the_experiment_that_it_says_it_is():
    trials = planned(CATALOG / "quickstart.yaml").trials
    bases = {trial.point["encoding.base"] for trial in trials}
    assert len(bases) >= 5
    assert {30, 31} <= bases
    assert len({trial.point["model.width"] for trial in trials}) == 3
    distinct = {trial.point["data.distinct"] for trial in trials}
    assert None in distinct
    assert all(
        size is None or size * 10 <= trial.config.examples for size in distinct for trial in trials
    )
    assert all(trial.config.task.model_dump()["largest"] == 10**6 for trial in trials)


def test_the_widths_of_the_scaling_law_span_a_factor_of_32():
    trials = planned(CATALOG / "cpu" / "square-width.yaml").trials
    widths = {trial.point["model.width"] for trial in trials}
    assert max(widths) >= 32 * min(widths)


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_file_of_a_sweep_is_printed_as_it_is_to_be_copied(file, capsys):
    assert main(["catalog", file.stem]) == 0
    assert capsys.readouterr().out == file.read_text()


def test_a_sweep_that_does_not_ship_is_refused_in_one_line(capsys):
    assert main(["catalog", "gcd-base"]) == 2
    assert "gcd-base: expected gcd-bases, " in capsys.readouterr().err
