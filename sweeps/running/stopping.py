"""Ctrl-C once stops a sweep cleanly; twice leaves at once, which is safe as well."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sweeps.storage.sweep_folder import SweepFolder


class Interrupted(Exception):  # noqa: N818 - it reads as what has happened
    """The user asked to stop: every trial is saved, and the same command goes on."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number


@contextmanager
def stopping(folder: SweepFolder) -> Iterator[threading.Event]:
    """While the block runs, a first signal asks all workers to save and end; a second one raises.

    Raises:
        Interrupted: at the end of the block, if a signal came.
    """
    came: list[int] = []
    stopped = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        stopped.set()
        folder.request_stop()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise Interrupted(came[0])
