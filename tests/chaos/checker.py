"""What a fault campaign left behind, read from files and MLflow alone: none of the package's code is used.

The undisturbed run says what every curve and every weight must be, to the bit.
"""

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mlflow import MlflowClient

Curve = dict[int, dict[str, str]]
"""Every value of one trial by step, spelled so that equal texts are equal bits."""

_METRICS = ("loss", "test_loss", "accuracy")


@dataclass(frozen=True)
class Verdict:
    """The figures of the campaign, and one line for each thing that should not be."""

    figures: dict[str, Any]
    problems: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Nothing was lost, doubled or changed."""
        return not self.problems


def check(storage: Path, quiet: Path, uri: str, sweep: str, points: int) -> Verdict:
    """Compare the storage folder and the tracker with the undisturbed run in `quiet`."""
    keys = [
        trial["key"] for trial in json.loads((quiet / f"sweeps/{sweep}/trials.json").read_text())
    ]
    runs = _runs(uri, sweep)
    problems: list[str] = []
    counts: Counter[str] = Counter()
    replayed: list[int] = []
    for key in keys:
        here, there = _folder(storage, key), _folder(quiet, key)
        wanted = _merged(there, problems)
        if len(wanted) != points:
            problems.append(f"{key}: the undisturbed run itself has {len(wanted)} points")
        _ends_once(here, problems, counts)
        found = _merged(here, problems)
        lost, extra = wanted.keys() - found.keys(), found.keys() - wanted.keys()
        counts["lost"] += len(lost)
        if lost or extra:
            problems.append(f"{key}: {len(lost)} points lost, {len(extra)} that nobody expected")
        counts["same curves"] += found == wanted
        if found != wanted:
            problems.append(f"{key}: the curve differs from the undisturbed one")
        same = _same_weights(here, there)
        counts["same weights"] += same
        if not same:
            problems.append(f"{key}: the final weights differ from the undisturbed ones")
        replayed.append(sum(len(curve) for _, curve in _curves(here)) - len(found))
        _is_published(key, runs.get(key, []), uri, wanted, problems, counts)
    notes = [file.read_text() for file in storage.glob("trials/*/*/attempt-*/notes.txt")]
    figures = {
        "trials lost": len(keys) - counts["ended"],
        "trials run twice": counts["twice"],
        "points on the disk": len(keys) * points,
        "points lost": counts["lost"],
        "points in MLflow": counts["published"],
        "points lost in MLflow": counts["unpublished"],
        "points doubled in MLflow": counts["doubled"],
        "runs in MLflow": sum(map(len, runs.values())),
        "curves equal to the bit": f"{counts['same curves']} of {len(keys)}",
        "weights equal to the bit": f"{counts['same weights']} of {len(keys)}",
        "attempts": sum(len(list(_folder(storage, key).glob("attempt-*"))) for key in keys),
        "points trained again": sum(replayed),
        "damaged checkpoints passed over": sum(text.count("passed over") for text in notes),
    }
    return Verdict(figures, tuple(problems))


def _folder(storage: Path, key: str) -> Path:
    return storage / "trials" / key[:2] / key


def _ends_once(folder: Path, problems: list[str], counts: Counter[str]) -> None:
    """One outcome, it is `finished`, and nothing was trained after it."""
    file = folder / "outcome.json"
    if not file.exists():
        problems.append(f"{folder.name}: no outcome")
        return
    outcome = json.loads(file.read_text())
    counts["ended"] += 1
    if outcome["name"] != "finished":
        problems.append(f"{folder.name}: {outcome['name']}: {outcome['reason']}")
    starts = [json.loads(each.read_text()) for each in folder.glob("attempt-*/start.json")]
    after = [start for start in starts if start["time_ms"] > outcome["time_ms"]]
    # An attempt that a newer one has fenced off says so in the place of its own outcome.
    endings = [json.loads(each.read_text()) for each in folder.glob("attempt-*/outcome.json")]
    others = [each for each in endings if "name" in each and each != outcome]
    if after or others:
        counts["twice"] += 1
        problems.append(f"{folder.name}: trained again after it had ended")


def _curves(folder: Path) -> Iterator[tuple[Path, Curve]]:
    """The curve of each attempt; a line that was torn off by a kill ends its file."""
    for file in sorted(folder.glob("attempt-*/metrics.jsonl")):
        curve: Curve = {}
        lines = file.read_bytes().splitlines()
        for number, line in enumerate(lines):
            check, _, text = line.partition(b" ")
            if check != f"{zlib.crc32(text):08x}".encode():
                if number != len(lines) - 1:
                    raise ValueError(f"{file}: a damaged line before the last")
                break
            record = json.loads(text)
            curve[record["step"]] = {name: repr(value) for name, value in record["values"].items()}
        yield file, curve


def _merged(folder: Path, problems: list[str]) -> Curve:
    merged: Curve = {}
    for file, curve in _curves(folder):
        for step, values in curve.items():
            if merged.setdefault(step, values) != values:
                problems.append(f"{file}: step {step} has other bits than an earlier attempt")
    return merged


def _same_weights(here: Path, there: Path) -> bool:
    one, other = _final_weights(here), _final_weights(there)
    return one is not None and other is not None and torch.equal(one, other)


def _final_weights(folder: Path) -> torch.Tensor | None:
    files = sorted(folder.glob("attempt-*/checkpoint-*.pt"), key=lambda file: file.name)
    if not files:
        return None
    state = torch.load(files[-1], weights_only=True)
    return state["tensors"]["weights"]


def _runs(uri: str, sweep: str) -> Mapping[str, list[str]]:
    """The ids of the runs of each trial."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep)
    if experiment is None:
        return {}
    found: dict[str, list[str]] = {}
    token: str | None = None
    while True:
        page = client.search_runs([experiment.experiment_id], max_results=1_000, page_token=token)
        for run in page:
            key = run.data.tags.get("trial.key")
            if key is not None:
                found.setdefault(key, []).append(run.info.run_id)
        token = page.token
        if not token:
            return found


def _is_published(
    key: str,
    runs: list[str],
    uri: str,
    wanted: Curve,
    problems: list[str],
    counts: Counter[str],
) -> None:
    """One run, and in it every value of every point once, to the bit."""
    if len(runs) != 1:
        problems.append(f"{key}: {len(runs)} runs in MLflow")
    if not runs:
        counts["unpublished"] += len(wanted)
        return
    client = MlflowClient(uri)
    seen: Counter[int] = Counter()
    for name in _METRICS:
        history = client.get_metric_history(runs[0], name)
        steps = Counter(point.step for point in history)
        seen.update(steps.keys())
        counts["doubled"] += sum(count - 1 for count in steps.values())
        if any(count > 1 for count in steps.values()):
            problems.append(f"{key}: {name} stands in MLflow more than once at some step")
        sent = {point.step: repr(point.value) for point in history}
        told = {step: values[name] for step, values in wanted.items() if name in values}
        if sent != told:
            problems.append(f"{key}: {name} in MLflow differs from the undisturbed curve")
    whole = sum(count == len(_METRICS) for count in seen.values())
    counts["published"] += whole
    counts["unpublished"] += max(0, len(wanted) - whole)
