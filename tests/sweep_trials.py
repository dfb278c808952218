"""Trials of two sweeps, drawn from known truths, for the tests of studies and reports."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.spec import Sweep


@dataclass(frozen=True)
class MadeTrial:
    """A trial as a tracker gives it back."""

    key: str
    fields: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    outcome: str = "finished"
    reason: str = ""


LEARNED = {6: [1, 2, 3, 4, 6], 10: [1, 2, 4, 5, 10], 12: [1, 2, 3, 4, 6, 12], 31: [1]}


def gcd_sweep(**changes: Any) -> Sweep:
    """Bases, widths and repetition of GCD, as in the quickstart."""
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": "gcd-small",
                "about": "GCDs by base.",
                "source": "arXiv:2308.15594",
                "trial": {"task": {"kind": "gcd"}, "budget": {"examples": 64_000}},
                "axes": [
                    {"kind": "values", "field": "encoding.base", "values": [6, 10, 12, 31]},
                    {"kind": "values", "field": "model.width", "values": [16, 32, 64]},
                    {"kind": "values", "field": "data.distinct", "values": [None, 2000]},
                ],
                "replicates": 2,
                "objective": {"metric": "accuracy", "mode": "max"},
                "report": {
                    "question": "Does the base decide what is learned?",
                    "tables": [
                        {
                            "title": "Accuracy by base",
                            "rows": ["encoding.base"],
                            "metrics": ["accuracy", "correct_gcds"],
                            "beside": "oracle_accuracy",
                            "lists": ["learned"],
                        }
                    ],
                    "contrasts": [
                        {
                            "title": "Repetition",
                            "field": "data.distinct",
                            "base": None,
                            "metric": "accuracy",
                            "rows": ["encoding.base"],
                        }
                    ],
                },
                "claims": [
                    {
                        "say": "base 31 learns next to nothing",
                        "metric": "accuracy",
                        "where": {"encoding.base": 31},
                        "at_least": 0.60,
                        "at_most": 0.62,
                        "published": 0.613,
                    },
                    {
                        "say": "base 12 passes 94 %",
                        "metric": "accuracy",
                        "where": {"encoding.base": 12},
                        "at_least": 0.94,
                        "published": 0.947,
                        "needs": {"budget.examples": 600_000},
                    },
                    {
                        "say": "base 6 passes 99 %",
                        "metric": "accuracy",
                        "where": {"encoding.base": 6},
                        "at_least": 0.99,
                    },
                ],
                **changes,
            }
        )
    )


def gcd_trials() -> list[MadeTrial]:
    """One trial for each setting: the accuracy is the theory's, repetition adds 0.02."""
    generator = np.random.default_rng(0)
    trials = []
    for base, learned in LEARNED.items():
        oracle = 6 / math.pi**2 * sum(1 / d**2 for d in learned)
        for width in (16, 32, 64):
            for distinct in (None, 2000):
                for seed in (0, 1):
                    noise = generator.normal(0, 0.002)
                    trials.append(
                        MadeTrial(
                            key=f"{base:02d}{width:02d}{distinct or 0:04d}{seed}",
                            fields={
                                "task.kind": "gcd",
                                "encoding.base": base,
                                "model.width": width,
                                "data.distinct": distinct,
                                "budget.examples": 64_000,
                                "seed": seed,
                            },
                            metrics={
                                "accuracy": oracle + noise + (0.02 if distinct else 0.0),
                                "oracle_accuracy": oracle,
                                "correct_gcds": float(len(learned)),
                                "test_loss": 1.5 - oracle,
                            },
                            details={"learned": learned},
                        )
                    )
    return trials


def width_sweep(**changes: Any) -> Sweep:
    """The loss of networks of several widths, trained for two lengths."""
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": "width-small",
                "trial": {"task": {"kind": "square"}},
                "axes": [
                    {"kind": "values", "field": "budget.steps", "values": [1000, 4000]},
                    {
                        "kind": "values",
                        "field": "model.width",
                        "values": [4, 8, 16, 32, 64, 128, 256],
                    },
                ],
                "replicates": 30,
                "objective": {"metric": "test_loss", "mode": "min"},
                "report": {
                    "tables": [
                        {
                            "title": "Loss",
                            "rows": ["budget.steps", "model.width"],
                            "metrics": ["test_loss"],
                        }
                    ],
                    "fits": [
                        {
                            "name": "width",
                            "law": "power",
                            "inputs": {"x": "model.width"},
                            "metric": "test_loss",
                            "pool": "median",
                            "split": ["budget.steps"],
                            "unit": "mean squared error",
                        }
                    ],
                },
                "claims": [
                    {
                        "say": "the loss falls as 1/width",
                        "fit": "width",
                        "coefficient": "c",
                        "published": 1,
                        "against": 4,
                        "where": {"budget.steps": 4000},
                    },
                    {
                        "say": "the same after a quarter of the training",
                        "fit": "width",
                        "coefficient": "c",
                        "published": 1,
                        "against": 4,
                        "where": {"budget.steps": 1000},
                    },
                ],
                **changes,
            }
        )
    )


def width_trials(diverged: int = 3) -> list[MadeTrial]:
    """Losses 0.01 width^-1 after 4,000 steps and 0.03 width^-0.6 after 1,000, with wild seeds."""
    generator = np.random.default_rng(1)
    trials = []
    for steps, scale, exponent in ((1000, 0.03, 0.6), (4000, 0.01, 1.0)):
        for width in (4, 8, 16, 32, 64, 128, 256):
            for seed in range(30):
                loss = scale * width**-exponent * math.exp(generator.normal(0, 0.35))
                loss *= 20.0 if generator.random() < 0.04 else 1.0
                key = f"{steps}-{width:03d}-{seed:02d}"
                fields = {"model.width": width, "budget.steps": steps, "seed": seed}
                if width == 256 and seed < diverged:
                    reason = "the loss was not finite at step 120"
                    trials.append(MadeTrial(key, fields, {}, {}, "diverged", reason))
                else:
                    trials.append(MadeTrial(key, fields, {"test_loss": loss}))
    return trials
