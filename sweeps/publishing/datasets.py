"""What a trial was trained and tested on, as MLflow shows it in its column of data sets."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOURCE_TYPE = "lawsweep"
_PARTS = ("task", "encoding", "data")


@dataclass(frozen=True)
class DataSet:
    """Equal data has equal names and digests, whatever the model; seeds draw from the same data."""

    name: str  # the kind of the task
    digest: str
    context: str  # train or test
    source: str  # JSON: the parts of the config that decide the data
    profile: str  # JSON: what a person looks for


def data_sets(record: Mapping[str, Any]) -> tuple[DataSet, ...]:
    """What the trial is trained on, and what it is tested on."""
    config = record["config"]
    train = {part: config[part] for part in _PARTS if part in config}
    test = {part: config[part] for part in _PARTS[:2] if part in config}
    distinct = config.get("data", {}).get("distinct")
    last = config.get("evaluation", {}).get("last_examples")
    examples = last or config.get("evaluation", {}).get("examples")
    return (
        _data_set(config, "train", train, {"distinct": distinct or "every example is new"}),
        _data_set(config, "test", test, {"examples": examples}),
    )


def _data_set(
    config: Mapping[str, Any], context: str, source: Mapping[str, Any], profile: Mapping[str, Any]
) -> DataSet:
    kind = str(config.get("task", {}).get("kind", "task"))
    told = json.dumps({"context": context, **source}, sort_keys=True)
    return DataSet(
        name=kind if context == "train" else f"{kind} test",
        digest=hashlib.sha256(told.encode()).hexdigest()[:8],
        context=context,
        source=json.dumps(source),
        profile=json.dumps({name: value for name, value in profile.items() if value is not None}),
    )
