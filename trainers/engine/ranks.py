"""Ranks: processes that share every step of a pack, each with its own device and share of the batch.

The first rank leads: it trains, tests and saves as if it were alone. The others keep nothing from step
to step: of each they are told the config and the shapes, they get weights and examples, and give back
the loss and the gradient of their share. So a pack may change from step to step as it likes, a step that
fails leaves nothing behind that could be wrong, and no rank can drift away from the others.

All are on one machine and meet in a private folder. What they say goes over the loopback device, or
from GPU to GPU.
"""

import json
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from trainers.batches import Batch, NumberBatch, TokenBatch
from trainers.config import TrialConfig, trial_config
from trainers.data.task import NumberTask
from trainers.engine.ahead import tensors_of
from trainers.engine.execution import Execution
from trainers.engine.parts import Flat, Loss, add_gradient, parts_of
from trainers.losses import counts_of
from trainers.models.stack import Layout

_MEETING = timedelta(minutes=2)  # until all have found each other
_SILENCE = timedelta(days=1)  # a leader may test for long; whoever starts ranks sees them die
_LEADER = 0
_SOUND, _FAILED, _OUT_OF_MEMORY = 0, 1, 2
_DTYPES = {"float32": torch.float32, "int64": torch.int64}


class RankLost(BaseException):
    """Another rank has died: no mistake of a trial, so whoever catches such mistakes lets it pass."""


@dataclass(frozen=True)
class _Step:
    """What the others are told of a step, before its tensors."""

    config: str
    weights: tuple[int, ...]
    examples: tuple[tuple[str, tuple[int, ...]], ...]  # types and shapes
    parts: int
    recompute: bool


def meet(folder: Path, number: int, count: int, device: str) -> None:
    """Join the other ranks, who come to the same folder; returns when all are there.

    Raises:
        RuntimeError: some of them have not come within two minutes.
    """
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
    store = dist.FileStore(str(folder / "ranks"), count)  # pyright: ignore[reportPrivateImportUsage]
    store.set_timeout(_MEETING)
    backend = "cpu:gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=_SILENCE)
    for where in ("cpu", device):  # each connects at the first word
        dist.all_reduce(torch.zeros(1, device=where))


def part_company() -> None:
    """The leader lets the others go, between two steps."""
    _say(b"")
    dist.destroy_process_group()


def follow(device: str) -> None:
    """Take a share of every step of the leader, until it lets go.

    Raises:
        RankLost: the leader, or another one, has died.
    """
    while text := _heard():
        step = json.loads(text)
        config, layout = _known(step["config"])
        with _together():
            flat = _received(step["weights"], torch.float32, device)
            examples = [_received(shape, _DTYPES[kind], device) for kind, shape in step["examples"]]
        is_numbers = isinstance(config.task, NumberTask)
        batch = NumberBatch(*examples) if is_numbers else TokenBatch(*examples)
        execution = Execution("eager", step["parts"], step["recompute"], dist.get_world_size())
        try:
            _share(config, layout, flat, batch, execution)
        except Exception:  # noqa: BLE001 - the leader was told, and says what becomes of the trial
            traceback.print_exc()
    dist.destroy_process_group()


def shared_gradient(
    config: TrialConfig, layout: Layout, flat: Flat, batch: Batch, execution: Execution
) -> tuple[Loss, Flat]:
    """What `gradient_of` gives, of the leader, with the help of the others.

    Raises:
        RankLost: one of them has died.
        MemoryError: one of them has too little.
        RuntimeError: one of them has failed where this one has not; or there are not so many.
    """
    if execution.mode != "eager" or execution.ranks != there():
        raise RuntimeError(f"expected eager steps on {there()} ranks, got them {execution.words}")
    tensors = [flat.detach().contiguous(), *map(Tensor.contiguous, tensors_of(batch))]
    told = _Step(
        config.model_dump_json(),
        tuple(flat.shape),
        tuple((str(each.dtype).removeprefix("torch."), tuple(each.shape)) for each in tensors[1:]),
        execution.parts,
        execution.recompute,
    )
    _say(json.dumps(asdict(told)).encode())
    with _together():
        for tensor in tensors:
            dist.broadcast(tensor, src=_LEADER)
    return _share(config, layout, flat, batch, execution)


def there() -> int:
    """Ranks that have met, this one included."""
    return dist.get_world_size() if dist.is_initialized() else 1


def _share(
    config: TrialConfig, layout: Layout, flat: Flat, batch: Batch, execution: Execution
) -> tuple[Loss, Flat]:
    """The loss and the gradient of this rank's share; those of the whole batch, of the leader."""
    loss = gradient = flat
    state, problem = _SOUND, None
    try:
        loss, gradient = flat.new_zeros(flat.shape[0]), torch.zeros_like(flat)
        counts = counts_of(batch)
        shares = list(parts_of(batch, execution.ranks))
        for share in shares[dist.get_rank() :][:1]:  # none of a batch with fewer examples
            for piece in parts_of(share, execution.parts):
                loss += add_gradient(config, layout, flat, piece, counts, gradient, execution)
    except Exception as error:  # noqa: BLE001 - whatever it is, the others wait to be told
        problem = error
        state = _OUT_OF_MEMORY if isinstance(error, torch.OutOfMemoryError) else _FAILED
    states = torch.tensor([state])
    with _together():
        dist.all_reduce(states, op=dist.ReduceOp.MAX)
    if problem is not None:
        raise problem
    if int(states) == _OUT_OF_MEMORY:
        raise MemoryError("another rank ran out of memory")
    if int(states) == _FAILED:
        raise RuntimeError("another rank failed; its log has the traceback")
    with _together():
        dist.reduce(gradient, dst=_LEADER)
        dist.reduce(loss, dst=_LEADER)
    return loss, gradient


def _say(text: bytes) -> None:
    with _together():
        dist.broadcast(torch.tensor([len(text)]), src=_LEADER)
        if text:
            dist.broadcast(torch.frombuffer(bytearray(text), dtype=torch.uint8), src=_LEADER)


def _heard() -> bytes:
    with _together():
        size = int(_received((1,), torch.int64, "cpu"))
        return bytes(_received((size,), torch.uint8, "cpu").tolist()) if size else b""


def _received(shape: Any, dtype: torch.dtype, device: str) -> Tensor:
    tensor = torch.empty(tuple(shape), dtype=dtype, device=device)
    dist.broadcast(tensor, src=_LEADER)
    return tensor


@lru_cache(maxsize=16)
def _known(config: str) -> tuple[TrialConfig, Layout]:
    found = trial_config(json.loads(config))
    return found, Layout(found.parameters())


@contextmanager
def _together() -> Iterator[None]:
    """Say of what goes wrong between ranks that one of them is lost."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost(str(error).splitlines()[0]) from error
