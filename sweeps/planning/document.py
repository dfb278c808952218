"""The plan as one JSON document; its names are public."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sweeps.planning.cost import Pack, Price, PricedShape, PricedTrial
from sweeps.planning.room import disk_bytes, free_bytes, memory_bytes, state_bytes


def plan_text(price: Price) -> str:
    """What `plan --json` prints: a trial and a pack to a line, since there may be thousands."""
    parts = {
        "sweep": json.dumps(price.plan.sweep.name),
        "trials": _lines(_trial(price, each) for each in price.trials),
        "shapes": _lines(map(_shape, price.shapes)),
        "packs": _lines(map(_pack, price.packs)),
        "total": json.dumps(_total(price), indent=1),
    }
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "\n}"


def _trial(price: Price, each: PricedTrial) -> dict[str, Any]:
    trial = each.trial
    return {
        "key": trial.key,
        "config": trial.variant.dumped(trial.variant.seed + trial.replicate),
        "point": dict(trial.point),
        "replicate": trial.replicate,
        "params": trial.params,
        "flops": trial.flops,
        "flops_aimed_at": None if trial.aim is None else trial.aim.flops,
        "steps": trial.variant.steps,
        "steps_done": each.steps_done,
        "seconds": each.seconds,
        "state": each.state,
        "shared_with": list(price.shared.get(trial.key, ())),
    }


def _shape(shape: PricedShape) -> dict[str, Any]:
    """How the open trials of a shape train; any of them says which shape it is."""
    choice = shape.choice
    return {
        "trial": shape.trials[0].trial.key,
        "trials": len(shape.trials),
        "width": choice.way.width,
        "execution": choice.execution.words,
        "step_s": choice.seconds,
        "step_alone_s": choice.alone,
        "preparation_s": choice.preparation_s,
        "seconds": sum(each.seconds for each in shape.trials),
        "learned": shape.learned,
        "why": choice.why,
    }


def _pack(pack: Pack) -> dict[str, Any]:
    return {
        "trials": [each.trial.key for each in pack.trials],
        "width": pack.width,
        "execution": pack.execution.words,
        "preparation_s": pack.preparation_s,
        "seconds": pack.seconds,
    }


def _total(price: Price) -> dict[str, Any]:
    limits = price.plan.sweep.budget
    finish = datetime.now().astimezone() + timedelta(seconds=price.seconds)
    return {
        "trials": len(price.trials),
        "open": len(price.open),
        "duplicates": price.plan.duplicates,
        "excluded": price.plan.excluded,
        "shared": len(price.shared),
        "flops": sum(each.trial.flops for each in price.open),
        "flops_left": sum(each.flops_left for each in price.open),
        "state_bytes": state_bytes(price),
        "memory_bytes": memory_bytes(price),
        "disk_bytes": disk_bytes(price),
        "free_bytes": free_bytes(price.storage),
        "core_seconds": sum(each.seconds for each in price.open),
        "device_hours": price.device_hours,
        "seconds": price.seconds,
        "finish": finish.isoformat(timespec="seconds") if price.open else None,
        "workers": price.workers,
        "device": price.device,
        "pace_learned": price.learned,
        "budget": {**limits.model_dump(), "exceeded": list(price.exceeded)},
    }


def _lines(each: Iterable[Mapping[str, Any]]) -> str:
    lines = ",\n ".join(json.dumps(one) for one in each)
    return f"[\n {lines}\n]" if lines else "[]"
