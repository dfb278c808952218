"""Publish the ledger to MLflow and read runs back; every key and tag of MLflow is spelled here once."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as MLflow holds it."""

    key: str
    run_id: str
    outcome: str  # finished, diverged, stopped, failed, or running
    reason: str  # why it did not finish; empty when it did
    fields: dict[str, Any]  # the whole resolved config by dotted path: {"encoding.base": 30, "seed": 1}
    metrics: dict[str, float]  # the last value of each metric, with params, flops, examples, wall_s
    details: dict[str, Any]  # what is not a number: {"learned": [1, 2, 3]}
