"""Work beside the driver that a process may leave behind when it ends, whatever it waits for."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(work: Callable[[], T]) -> Future[T]:
    """Begin work in a thread of its own; unlike that of a pool it keeps no process alive.

    What the work raises, the future raises.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="publisher", daemon=True).start()
    return future


def side_by_side(items: Iterable[T], work: Callable[[T], None], threads: int) -> None:
    """Do the work for every item, several at once, in about their order.

    The first error ends it, after what is under way; it is raised here.
    """
    waiting = iter(items)
    taking = threading.Lock()
    over = threading.Event()

    def take_turns() -> None:
        try:
            while not over.is_set():
                with taking:
                    item = next(waiting, None)
                if item is None:
                    return
                work(item)
        except BaseException:
            over.set()
            raise

    others = [in_background(take_turns) for _ in range(threads - 1)]
    try:
        take_turns()
    finally:
        for other in others:
            other.exception()  # waits; what it raised is as good as what is raised here
    for other in others:
        other.result()
