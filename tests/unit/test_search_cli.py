import json
from pathlib import Path
from typing import Any

import pytest

from analysis.cli import main
from tests.searches import searched


def written(folder: Path, **changes: Any) -> str:
    """A search as a file that a user would write."""
    file = folder / "hunt.yaml"
    document = json.loads(searched().model_dump_json())
    document["search"] |= changes.pop("search", {})
    file.write_text(json.dumps({**document, **changes}, indent=1))
    return str(file)


def test_the_plan_of_a_search_is_one_json_document_and_writes_nothing(tmp_path, capsys):
    storage = tmp_path / "storage"
    assert main(["plan", written(tmp_path), "--storage", str(storage), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["total"]["trials"] == document["total"]["open"] == 10
    assert document["trials"] == []
    assert document["prices"]["dearest"]["seconds"] > 0
    assert not storage.exists()


def test_a_search_is_changed_for_one_launch_as_any_sweep_is(tmp_path, capsys):
    arguments = ["plan", written(tmp_path), "--storage", str(tmp_path / "storage")]
    assert main([*arguments, "--set", "search.trials=4", "--set", "model.width=8"]) == 0
    assert "4 trials, searched by random" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({"replicates": 2}, [], "replicates: expected 1 beside search"),
        ({"search": {"scheduler": {"kind": "pbt"}}}, [], "search.scheduler"),
        (
            {"search": {"space": {"model.heads": {"kind": "choice", "values": [1]}}}},
            [],
            "model.heads",
        ),
        ({"budget": {"flops": 10.0}}, [], "budget.flops"),
        ({"search": {"searcher": {"kind": "optuna"}}}, ["--inline"], "--inline: expected searcher"),
    ],
    ids=["replicates", "pbt", "no such field", "too dear", "inline"],
)
def test_a_search_that_cannot_be_run_is_refused_in_one_line_and_nothing_is_written(
    tmp_path, capsys, changes, arguments, words
):
    storage = tmp_path / "storage"
    file = written(tmp_path, **changes)
    assert main(["launch", file, "--storage", str(storage), *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not storage.exists()
