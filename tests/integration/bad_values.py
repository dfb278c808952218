"""Bad values for every place of a sweep file, and bad contents for every file of a ledger."""

import json
import zlib
from pathlib import Path
from typing import Any

from sweeps.storage.records import sealed

GOOD: dict[str, Any] = {
    "name": "good",
    "about": "what it asks",
    "trial": {
        "task": {"kind": "gcd", "largest": 1000, "top_class": 5},
        "encoding": {"kind": "digits", "base": 10},
        "data": {"distinct": 1000},
        "model": {"kind": "transformer", "width": 16, "heads": 2},
        "optimizer": {"kind": "adam", "lr": 0.001, "clip": 1.0},
        "batch_size": 16,
        "budget": {"steps": 20},
        "evaluation": {"points": 2, "examples": 20},
    },
    "axes": [
        {"kind": "values", "field": "encoding.base", "values": [6, 10]},
        {"kind": "log_range", "field": "optimizer.lr", "low": 0.001, "high": 0.01, "count": 2},
        {"kind": "random", "draws": 2, "fields": {
            "optimizer.clip": {"kind": "uniform", "low": 0.5, "high": 2.0}}},
    ],
    "exclude": [{"encoding.base": 6, "optimizer.lr": {"at_most": 0.005}}],
    "budget": {"gpu_hours": 100.0, "flops": 1.0e30, "trials": 1000},
    "workers": {"count": 2, "packs_per_gpu": 1},
    "replicates": 2,
    "objective": {"metric": "accuracy", "mode": "max"},
    "report": {
        "question": "does it learn?",
        "tables": [{"title": "by base", "rows": ["encoding.base"], "metrics": ["accuracy"]}],
        "contrasts": [
            {"title": "base", "field": "encoding.base", "base": 10, "metric": "accuracy"}],
        "fits": [{"name": "width", "law": "power", "inputs": {"x": "model.width"},
                  "metric": "test_loss"}],
    },
    "claims": [{"say": "it learns", "metric": "accuracy", "at_least": 0.1}],
}  # fmt: skip

NO_TEXT = (7, 1.5, True, None, [], {}, ["a"], {"a": 1})
NO_WHOLE = (True, "12", 1.5, None, [], {}, float("nan"), float("inf"), "1e3", -1, 0)
NO_NUMBER = (True, "0.001", None, [], {}, float("nan"), float("inf"), -1.0, "1e-3")
NO_LIST = (7, "text", {"a": 1}, True)
NO_MAPPING = (7, "text", ["a"], True)

_OF_KIND: list[tuple[tuple[Any, ...], list[str]]] = [
    (NO_TEXT, [
        "name", "about", "objective.metric", "objective.mode", "axes.0.kind", "axes.0.field",
        "report.question", "report.tables.0.title", "report.fits.0.name", "report.fits.0.law",
        "claims.0.say", "trial.model.kind", "trial.task.kind", "trial.encoding.kind",
    ]),
    (NO_WHOLE, [
        "replicates", "trial.task.largest", "trial.task.top_class", "trial.evaluation.points",
        "trial.model.width", "trial.model.heads", "trial.batch_size", "trial.budget.steps",
        "axes.1.count", "axes.2.draws", "workers.packs_per_gpu", "trial.evaluation.examples",
    ]),
    (NO_NUMBER, [
        "trial.optimizer.weight_decay", "axes.1.low", "axes.1.high", "axes.2.fields.optimizer.clip.low",
    ]),
    (NO_LIST, [
        "axes", "axes.0.values", "exclude", "claims", "report.tables", "report.fits",
        "report.tables.0.rows", "report.tables.0.metrics",
    ]),
    (NO_MAPPING, [
        "trial", "trial.task", "trial.model", "trial.optimizer", "trial.budget", "objective", "report",
        "budget", "workers", "exclude.0", "report.fits.0.inputs", "axes.2.fields", "axes.0",
    ]),
]  # fmt: skip

# what stands in the lists above and is no mistake at that place
RIGHT = {
    ("axes.2.fields.optimizer.clip.low", "-1.0"),  # any number below `high`
}

_UNIFORM = {"kind": "uniform", "low": 1.0, "high": 2.0}

MORE: list[tuple[str, Any]] = [
    ("budget.gpu_hours", 0), ("budget.gpu_hours", -1.0), ("budget.gpu_hours", "10"),
    ("budget.flops", 1.0), ("budget.flops", True), ("budget.trials", 0), ("budget.trials", 1),
    ("workers.count", 0), ("workers.count", "2"), ("workers.device_kind", "../x"),
    ("workers.packs_per_gpu", 65), ("workers.gpus_per_trial", 65), ("workers.gpus_per_trial", "2"),
    ("trial.precision", "float16"), ("trial.precision", 16),
    ("replicates", 100_001), ("replicates", 10**30),
    ("exclude", [{"encoding.base": []}]), ("exclude", [{"nothing.there": 1}]),
    ("exclude", [{"encoding.base": {"at_least": 9, "at_most": 3}}]),
    ("axes.1.high", 0.0001), ("axes.1.count", 1), ("axes.1.count", 10_001), ("axes.2.draws", 100_001),
    ("axes.0.values", []), ("axes.0.values", [[6]]), ("axes.0.values", [{"a": 1}]),
    ("axes.0.values", [None]), ("axes.0.field", ""), ("axes.0.field", "a..b"),
    ("axes.0.field", "../x"), ("axes.0.field", "encoding"), ("axes.0.field", "optimizer.lr"),
    ("axes.0.field", "x" * 300), ("trial.nothing", 1), ("trial.model.nothing", 1),
    ("trial.seed", -1), ("trial.seed", "1"), ("trial.seed", 1.5), ("trial.data.distinct", 0),
    ("trial.data.distinct", "many"), ("trial.data.order", "any"), ("trial.optimizer.weight_decay", -1),
    ("trial.optimizer.kind", "sgdd"), ("trial.optimizer.beta2", 1.0),
    ("trial.budget.steps", 10**30), ("trial.model.width", 10**9), ("trial.batch_size", 10**12),
    ("trial.model.position", {"kind": "nowhere"}), ("objective.metric", "Accuracy"),
    ("objective.metric", "acc/uracy/x"), ("objective.metric", ""), ("objective.mode", "MAX"),
    ("report.fits.0.law", "loss = "), ("report.fits.0.law", "loss = __import__('os')"),
    ("report.fits.0.law", "nothing"), ("report.fits.0.inputs", {}), ("report.fits.0.split", ["a.b"]),
    ("report.tables.0.rows", []), ("report.tables.0.rows", ["encoding.base"] * 4),
    ("report.nothing", 1), ("claims.0.at_least", "0.1"), ("claims.0.metric", "happiness"),
    ("claims.0.where", {"no.field": 1}), ("claims.0", None), ("claims.0", 7),
    ("about", "x" * 2_001), ("source", "x" * 301),
    ("search", {}), ("search", 5), ("search", []), ("search", {"trials": 5, "space": {}}),
    ("search", {"trials": 0, "space": {"optimizer.lr": {"kind": "uniform"}}}),
    ("search", {"trials": 5, "space": {"seed": _UNIFORM}}),
    ("search", {"trials": 5, "space": {"optimizer.clip": {**_UNIFORM, "high": 0.5}}}),
    ("search", {"trials": 5, "space": {"optimizer.beta": _UNIFORM}, "scheduler": {"kind": "pbt"}}),
    ("search", {"trials": 5, "space": {"optimizer.beta": _UNIFORM}, "searcher": {"kind": "oracle"}}),
]  # fmt: skip


def bad_values() -> list[tuple[str, Any]]:
    """A place and a value that must be refused there."""
    found = [(place, value) for values, places in _OF_KIND for place in places for value in values]
    found = [
        pair for pair in found if (pair[0], repr(pair[1])) not in RIGHT and not _is_optional(*pair)
    ]
    return [*found, *MORE]


def _is_optional(place: str, value: Any) -> bool:
    """An empty text or list that a field may well have."""
    return value == {} and place in {"report", "budget", "workers"}


def changed(place: str, value: Any) -> dict[str, Any]:
    """The good sweep with another value at a place."""
    new = json.loads(json.dumps(GOOD))
    parts = place.replace("fields.optimizer.clip", "fields.optimizer_clip").split(".")
    inside = new
    for part in parts[:-1]:
        inside = _step(inside, part)
    if isinstance(inside, list):
        inside[int(parts[-1])] = value
    else:
        inside[parts[-1]] = value
    return new


def as_yaml(sweep: dict[str, Any]) -> str:
    """The sweep as JSON, which is YAML, but for the numbers that JSON cannot hold."""
    text = json.dumps(sweep)
    return text.replace("NaN", ".nan").replace("Infinity", ".inf")


def _step(inside: Any, part: str) -> Any:
    if isinstance(inside, list):
        return inside[int(part)]
    return inside.setdefault(part.replace("optimizer_clip", "optimizer.clip"), {})


# --- files of a ledger

NO_JSON: dict[str, bytes] = {
    "nothing": b"", "text": b"hello", "a list": b"[1]", "a number": b"7", "null": b"null",
    "half": b'{"key": ', "very deep": b"[" * 5000 + b"]" * 5000, "bytes": bytes(range(256)),
    "a number of 5,000 digits": b'{"key": ' + b"9" * 5000 + b"}", "zeros": b"\0" * 50,
    "another encoding": '{"key": 1}'.encode("utf-16"), "an empty object": b"{}",
}  # fmt: skip


def bad_outcomes(outcome: dict[str, Any]) -> dict[str, bytes]:
    """Outcomes whose checksum is right, and which nobody wrote."""
    bare = {name: value for name, value in outcome.items() if name != "crc32"}
    wrong: dict[str, dict[str, Any]] = {
        "another name": {"name": "won"}, "a step in words": {"step": "ten"}, "half a step": {"step": 1.5},
        "metrics in a list": {"metrics": [1]}, "a metric that is true": {"metrics": {"loss": True}},
        "a metric in words": {"metrics": {"loss": "low"}}, "details in a list": {"details": [1, 2]},
        "a time in words": {"time_ms": "now"}, "a huge metric": {"metrics": {"loss": 10**400}},
    }  # fmt: skip
    found = {name: sealed({**bare, **change}) for name, change in wrong.items()}
    for missing in ("name", "step", "metrics", "details", "reason", "time_ms"):
        rest = {name: value for name, value in bare.items() if name != missing}
        found[f"no {missing}"] = sealed(rest)
    return found


def bad_curves(curve: bytes) -> dict[str, bytes]:
    """Curves with a line that nobody wrote before the good ones."""
    point: dict[str, Any] = {"step": 1, "time_ms": 1, "values": {"loss": 1.0}}
    texts = {
        "a list": "[]", "no JSON": "hello", "very deep": "[" * 5000 + "]" * 5000,
        "no step": json.dumps({**point, "step": None}),
        "a step in words": json.dumps({**point, "step": "one"}),
        "values in a list": json.dumps({**point, "values": [1]}),
        "a value that is true": json.dumps({**point, "values": {"loss": True}}),
        "a value in words": json.dumps({**point, "values": {"loss": "low"}}),
        "a time in words": json.dumps({**point, "time_ms": "now"}),
        "5,000 digits": '{"step": 1, "time_ms": 1, "values": {"loss": ' + "9" * 5000 + "}}",
        "400 digits": '{"step": 1, "time_ms": 1, "values": {"loss": 1' + "0" * 400 + "}}",
    }  # fmt: skip
    found = {name: line_of(text) + curve for name, text in texts.items()}
    first = json.loads(curve.splitlines()[0].partition(b" ")[2])
    return {
        **found,
        "a changed letter": curve.replace(b"loss", b"lass", 1),
        "a changed checksum": b"00000000" + curve[8:],
        "bytes": bytes(range(256)) + b"\n" + curve,
        "empty lines": b"\n\n" + curve,
        "another value at the same step": curve
        + line_of(json.dumps({**first, "values": {"loss": 9.0}})),
    }


def bad_plans(trials: list[dict[str, Any]]) -> dict[str, bytes]:
    """Lists of trials that nobody wrote."""
    first, rest = trials[0], trials[1:]
    wrong: dict[str, dict[str, Any]] = {
        "a key that leads out": {"key": "../../../etc"}, "a key that is a number": {"key": 5},
        "a place in a list": {"point": [1]}, "no steps": {"steps": 0}, "steps in words": {"steps": "ten"},
        "no config": {"config": None}, "a seed in words": {"replicate": "one"},
        "FLOPs in words": {"flops": "x"},
    }  # fmt: skip
    found = {name: json.dumps([{**first, **change}, *rest]) for name, change in wrong.items()}
    for missing in ("key", "config", "point", "replicate", "flops", "examples", "steps"):
        bare = {name: value for name, value in first.items() if name != missing}
        found[f"no {missing}"] = json.dumps([bare, *rest])
    return {name: text.encode() for name, text in found.items()}


def line_of(text: str) -> bytes:
    """A text as a line of a curve, with its checksum."""
    return f"{zlib.crc32(text.encode()):08x} {text}\n".encode()


def files_of(storage: Path) -> dict[str, Path]:
    """One file of each kind, by its name."""
    trial = sorted(storage.glob("trials/*/*"))[0]
    sweep = storage / "sweeps" / "good"
    return {
        "trial.json": trial / "trial.json",
        "outcome.json": trial / "outcome.json",
        "start.json": trial / "attempt-0001" / "start.json",
        "metrics.jsonl": trial / "attempt-0001" / "metrics.jsonl",
        "sweep.json": sweep / "sweep.json",
        "trials.json": sweep / "trials.json",
    }
