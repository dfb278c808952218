"""A publisher whose libraries are imported once training has begun: MLflow takes two seconds."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.publishing.background import in_background

if TYPE_CHECKING:
    from sweeps.publishing.publisher import Publisher


@dataclass(frozen=True)
class Published:
    """What one pass has sent, in points of curves, and what kept it from sending the rest."""

    points_sent: int
    points_left: int
    error: str | None  # one line without credentials
    locked: bool = False  # another process publishes this sweep to this tracker


class LatePublisher:
    """Publishes in the background from `start` on, as what `make` gives does; `make` may import."""

    def __init__(self, make: Callable[[], "Publisher"]) -> None:
        self._make = make
        self._making: Future[Publisher] | None = None
        self._publisher: Publisher | None = None
        self._new: list[Mapping[str, Any]] = []
        self._handing_over = threading.Lock()

    def extend(self, trials: Sequence[Mapping[str, Any]]) -> None:
        """Follow more trials of the sweep from the next pass on; from any thread."""
        with self._handing_over:
            if self._publisher is None:
                self._new += trials
            else:
                self._publisher.extend(trials)

    def expect(self, seconds_left: float | None) -> None:
        """Show on the sweep's own run how long it still takes, once there is one."""
        if self._publisher is not None:
            self._publisher.seconds_left = seconds_left

    def start(self) -> None:
        """Publish in the background."""
        self._making = in_background(self._begin)

    def stop(self, timeout_s: float) -> Published:
        """End the background work with a last pass, as `Publisher.stop` does.

        Raises:
            ImportError: MLflow is installed and cannot be imported.
        """
        if self._making is None:
            raise RuntimeError("expected a publisher that was started")
        deadline = time.monotonic() + timeout_s
        try:
            publisher = self._making.result(timeout_s)
        except FutureTimeoutError:
            return Published(0, 0, f"MLflow was not imported within {timeout_s:g} s")
        return publisher.stop(max(0.0, deadline - time.monotonic()))

    def _begin(self) -> "Publisher":
        publisher = self._make()
        with self._handing_over:
            publisher.extend(self._new)
            self._publisher = publisher
        publisher.start()
        return publisher
