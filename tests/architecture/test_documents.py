"""README and cluster.yaml say what is true."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from sweeps import axes
from sweeps.axis import Axis
from sweeps.planning.plan import plan
from sweeps.searching.outline import outline
from sweeps.spec import ReportSpec, Sweep, load
from trainers import models
from trainers.config import trial_config
from trainers.data import encodings, tasks
from trainers.data.encoding import Encoding
from trainers.data.task import Task
from trainers.models import positions
from trainers.models.model import Model
from trainers.models.position import Position
from trainers.plugins import kinds

ROOT = Path(__file__).parents[2]
OBJECTIVE = {"metric": "accuracy", "mode": "max"}
README = (ROOT / "README.md").read_text()


def tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(listed.stdout.splitlines())


def tree_of_readme() -> dict[str, str]:
    """Path and sentence of every line of the tree in the README."""
    block = README.split("## The tree")[1].split("```")[1]
    above: list[str] = []
    found: dict[str, str] = {}
    for line in block.splitlines():
        match = re.match(r"^( *)(\S+)(?: {2,}(\S.*))?$", line)
        if match is None:
            continue
        depth, name, sentence = len(match[1]) // 2, match[2], match[3] or ""
        above = [*above[:depth], name.rstrip("/")]
        found["/".join(above)] = sentence
    return found


def test_every_module_stands_in_the_tree_of_the_readme_with_a_sentence():
    tree = tree_of_readme()
    modules = {
        path
        for path in tracked()
        if path.split("/")[0] in {"trainers", "sweeps", "analysis"}
        and not path.startswith("analysis/laws/")  # `lawsweep laws` lists them
        and not path.startswith(
            ("sweeps/catalog/cpu/", "sweeps/catalog/paper/")
        )  # and `catalog` these
        and path.endswith((".py", ".yaml", ".j2"))
        and not path.endswith("__init__.py")
    }
    assert modules - set(tree) == set()
    assert [path for path in modules if not tree[path]] == []


def test_everything_in_the_tree_of_the_readme_exists():
    missing = [path for path in tree_of_readme() if not (ROOT / path).exists()]
    assert missing == []


def test_every_link_of_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if not link.startswith("http")]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_sweep_of_the_readme_can_be_planned(tmp_path):
    file = tmp_path / "readme.yaml"
    file.write_text(README.split("```yaml")[1].split("```")[0])
    trials = plan(load(str(file))).trials
    assert len(trials) == 6 * 3
    assert {trial.point["encoding.base"] for trial in trials} == {2, 3, 6, 10, 30, 31}


def yaml_blocks() -> list[dict[str, Any]]:
    return [yaml.safe_load(block.split("```")[0]) for block in README.split("```yaml")[1:]]


def test_the_axes_of_the_readme_can_be_planned(tmp_path):
    whole = yaml_blocks()[0]
    (more,) = [block for block in yaml_blocks() if "exclude" in block]
    kinds_shown = {axis["kind"] for axis in more["axes"]}
    assert kinds_shown == set(kinds(axes, Axis))
    file = tmp_path / "axes.yaml"
    plain = {name: whole[name] for name in ("name", "trial", "objective")}
    plain["trial"]["optimizer"] = {"kind": "adamw"}
    file.write_text(json.dumps({**plain, **more}))
    assert len(plan(load(str(file))).trials) == 2160


def test_the_report_of_the_readme_can_be_asked_of_a_sweep(tmp_path):
    (asked,) = [block for block in yaml_blocks() if "milestones" in block.get("report", {})]
    (fields,) = [block["trial"] for block in yaml_blocks() if "evaluate" in block.get("trial", {})]
    kinds_shown = {
        type(claim).__name__
        for claim in Sweep.model_validate_json(
            json.dumps({"name": "asked", "trial": {}, "objective": OBJECTIVE, **asked})
        ).claims
    }
    assert len(kinds_shown) == len(asked["claims"]) == 5
    assert set(ReportSpec.model_fields) - set(asked["report"]) == {"tunings", "isoflops"}
    axes = [
        {"kind": "values", "field": "model.width", "values": [32, 64]},
        {"kind": "values", "field": "data.distinct", "values": [1000, 4000]},
        {"kind": "values", "field": "data.prime.count", "values": [10, 100]},
    ]
    prime = {"count": 10, "task": {"digits": [6, 6]}}
    trial = {
        **fields,
        "model": {**fields["model"], "heads": 4},
        "data": {"distinct": 1000, "prime": prime},
    }
    file = tmp_path / "asked.yaml"
    file.write_text(
        json.dumps({"name": "asked", "trial": trial, "axes": axes, "objective": OBJECTIVE, **asked})
    )
    assert len(plan(load(str(file))).trials) == 8


def test_the_search_of_the_readme_can_be_outlined(tmp_path):
    whole = yaml_blocks()[0]
    (more,) = [block for block in yaml_blocks() if "search" in block]
    file = tmp_path / "search.yaml"
    plain = {name: whole[name] for name in ("name", "trial", "objective")}
    file.write_text(json.dumps({**plain, **more}))
    sweep = load(str(file))
    assert sweep.search is not None
    assert outline(sweep, sweep.search).search.trials == 100


def test_the_task_of_the_readme_is_a_real_one_of_under_forty_lines():
    shown = README.split("```python\n")[1].split("```")[0]
    assert shown == (ROOT / "trainers" / "data" / "tasks" / "lcm.py").read_text()
    assert len(shown.splitlines()) < 40


def test_the_trial_of_the_readme_can_be_trained():
    (fields,) = [block["trial"] for block in yaml_blocks() if "evaluate" in block.get("trial", {})]
    metrics = trial_config(fields).metrics()
    assert {"accuracy", "long/accuracy", "very_long/accuracy"} <= metrics


def test_the_readme_names_all_that_a_trial_can_be():
    text = README.split("## What a trial can be")[1].split("```")[0]
    for folder, base in (
        (tasks, Task),
        (encodings, Encoding),
        (models, Model),
        (positions, Position),
    ):
        missing = [kind for kind in kinds(folder, base) if kind not in text]
        assert missing == []


@pytest.mark.parametrize("target", ["demo", "test", "bench", "chaos"])
def test_every_make_target_of_the_readme_exists(target):
    assert f"make {target}" in README
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def test_the_cluster_description_satisfies_ray():
    described = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(described, json.loads(schema.read_text()))
    validate_config(prepare_config(described))


def test_the_cluster_description_is_edited_in_four_places():
    text = (ROOT / "cluster.yaml").read_text()
    assert re.findall(r"# EDIT (\d)", text) == ["1", "2", "3", "4"]


def test_the_cluster_asks_for_a_token_on_every_machine():
    described = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    for side in ("head", "worker"):
        starts = [line for line in described[f"{side}_start_ray_commands"] if "ray start" in line]
        assert starts
        assert all("RAY_AUTH_MODE=token" in line for line in starts)
