"""With what a sweep was run, and on which data: told once, without what nobody may read."""

import hashlib
import subprocess
import sys

import pytest

from sweeps.publishing import provenance
from sweeps.publishing.datasets import data_sets
from sweeps.storage.start import Begun
from tests.small_sweep import records_of, sweep_of


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A clean git checkout of its own, in which the code under test thinks that it lies."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "code.py").write_text("x = 1\n")
    for words in (["init", "-q"], ["add", "code.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=folder, check=True
        )
    monkeypatch.setattr(provenance, "__file__", str(folder / "code.py"))
    return folder


def test_a_clean_checkout_is_named_by_its_commit_and_has_no_changes(checkout, tmp_path):
    provenance.write_provenance(tmp_path)
    tags = provenance.read_provenance(tmp_path)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert tags["mlflow.source.git.commit"] == head.stdout.strip()
    assert tags["dirty"] == "false"
    (packages,) = provenance.files_of_provenance(tmp_path)
    assert tags["lock.sha256"] == hashlib.sha256(packages.read_bytes()).hexdigest()[:16]
    assert f"torch=={tags['version.torch']}\n" in packages.read_text()


def test_changes_of_tracked_files_are_kept_and_stray_files_and_secrets_are_not(
    checkout, tmp_path, monkeypatch
):
    monkeypatch.setenv("SOME_TOKEN", "tok3n-of-somebody")
    (checkout / "code.py").write_text("x = 2\nkey = 'tok3n-of-somebody'\n")
    (checkout / "notes.txt").write_text("the password is swordfish1\n")
    monkeypatch.setattr(
        sys, "argv", ["lawsweep", "launch", "s", "--tracking", "postgresql://ann:s3cret@db/x"]
    )
    provenance.write_provenance(tmp_path)
    assert provenance.read_provenance(tmp_path)["dirty"] == "true"
    written = {file.name: file.read_text() for file in (tmp_path / "provenance").iterdir()}
    assert "+x = 2" in written["dirty.diff"]
    assert "lawsweep launch s --tracking" in written["tags.json"]
    for secret in ("tok3n-of-somebody", "swordfish1", "s3cret"):
        assert not [name for name, text in written.items() if secret in text]


def test_code_outside_a_checkout_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "code.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    provenance.write_provenance(tmp_path)
    tags = provenance.read_provenance(tmp_path)
    assert "dirty" not in tags
    assert tags["mlflow.source.name"] == "lawsweep"


def test_a_trial_names_the_device_of_its_worker_and_not_of_the_driver():
    sweep = {"mlflow.user": "ann", "machine.cpu": "of the driver", "command": "lawsweep launch s"}
    on_cpu = Begun(1, "node7", 5, {"gpu": "", "threads": "2", "torch": "2.13"}, None, "EPYC 9654")
    tags = provenance.of_trial(sweep, on_cpu)
    assert tags["trial.device"] == "EPYC 9654"
    assert tags["trial.host"] == "node7"
    assert tags["mlflow.user"] == "ann"
    assert not {"machine.cpu", "command"} & tags.keys()
    on_gpu = Begun(1, "node8", 5, {"gpu": "NVIDIA H200"}, None, "EPYC 9654")
    assert provenance.of_trial(sweep, on_gpu)["trial.device"] == "NVIDIA H200"
    assert provenance.of_trial(sweep, None) == {"mlflow.user": "ann"}


def test_equal_data_has_one_digest_whatever_the_model_and_the_seed():
    digests = {}
    for record in records_of(sweep_of("data", bases=(10, 30))):
        place = (record["point"]["encoding.base"], record["point"]["data.distinct"])
        train, test = data_sets(record)
        assert (train.name, test.name) == ("gcd", "gcd test")
        digests.setdefault(place, set()).add(train.digest)
    assert all(len(found) == 1 for found in digests.values())
    assert len({*map(frozenset, digests.values())}) == len(digests) == 4
