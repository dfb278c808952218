"""Train one pack out of the ledger and back into it; knows neither Ray nor MLflow."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence

from sweeps.secrets import masked
from sweeps.storage.ledger import Attempt, Ledger
from trainers.checkpoint import newest_checkpoint, write_checkpoint
from trainers.config import TrialConfig
from trainers.loop import Start, train
from trainers.result import Ended, Outcome, Point, Reported, Saved


class PackFailed(RuntimeError):  # noqa: N818 - it reads as what has happened
    """The code that trains raised; every open trial of the pack has the outcome `failed`."""


def train_pack(
    ledger: Ledger,
    configs: Sequence[TrialConfig],
    *,
    device: str,
    save_every_s: float,
    should_stop: Callable[[], bool],
) -> Iterator[None]:
    """Train what is open of a pack, each trial from its newest valid checkpoint.

    Yields after each event that is on the disk. Asked to stop, every trial is saved, to go on later.

    Raises:
        PackFailed: training raised; the trials' folders hold the traceback.
        OSError: the ledger could not be written; nothing that was is lost.
    """
    starts: dict[str, Start] = {}
    attempts: dict[str, Attempt] = {}
    last: dict[str, Point] = {}
    for config in configs:
        key = config.key()
        folder = ledger.trial(key)
        outcome = folder.outcome()
        if outcome is not None and outcome.name != "failed":
            continue  # another driver was faster
        if outcome is not None:
            folder.reopen()
        saved, damaged = newest_checkpoint(folder.attempts(), key)
        attempts[key] = folder.begin(config.model_dump())
        for each in damaged:
            attempts[key].note(
                f"passed over {each.path.name} of {each.path.parent.name}: {each.reason}"
            )
        starts[key] = Start(config, saved)
        if saved is not None:
            before = [point for point in folder.points() if point.step <= saved.step]
            if before:
                last[key] = Point(before[-1].step, before[-1].values)
    if not starts:
        return
    try:
        for event in train(
            list(starts.values()),
            device=device,
            save_every_s=save_every_s,
            should_stop=should_stop,
        ):
            match event:
                case Reported(key, point):
                    attempts[key].append([point], time.time_ns() // 1_000_000)
                    last[key] = point
                case Saved(key):
                    write_checkpoint(attempts[key].path, event)
                case Ended(key, outcome):
                    attempts.pop(key).finish(_completed(outcome, last.get(key)))
            yield
    except OSError:  # the disk, not the trial: what is written is whole, and a later launch goes on
        raise
    except Exception as error:  # the code of a task or a model may raise anything
        reason = masked(f"{type(error).__name__}: {' '.join(str(error).split())}")[:300]
        for key, attempt in attempts.items():
            step = last[key].step if key in last else 0
            attempt.note(traceback.format_exc())
            attempt.finish(Outcome("failed", step, reason=reason))
        raise PackFailed(reason) from error


def _completed(outcome: Outcome, last: Point | None) -> Outcome:
    """The outcome with the metrics of the last point beside those of the final tests."""
    values = {} if last is None else last.values
    return Outcome(
        outcome.name,
        outcome.step,
        {**values, **outcome.metrics},
        outcome.details,
        outcome.reason,
    )
