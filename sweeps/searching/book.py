"""The book of a search: what it has suggested, in order; each trial is on the disk before it starts."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sweeps.planning.plan import Plan, PlannedTrial
from sweeps.searching.outline import Outline
from sweeps.searching.past import Past, Reader
from sweeps.searching.points import Point, Space, drawn, written
from sweeps.spec import Objective
from sweeps.storage.ledger import Ledger
from sweeps.storage.records import LedgerError
from trainers.schema import InputError

_TRIES = 20  # of a searcher that suggests what is known already; then points are drawn at random
_DRAWS = 20_000  # of those; a space of which fewer are valid has no more to give


class Suggest(Protocol):
    """The function `suggest` of each file of `searchers/`: a point from what is known.

    It depends on its arguments alone, so a search that was killed goes on as if it had not been.
    """

    def __call__(
        self,
        searcher: Any,
        space: Space,
        past: Sequence[Past],
        objective: Objective,
        words: str,
    ) -> Point:
        """A point of the space; others with other `words`, where the first is no use."""
        ...


@dataclass(frozen=True)
class Entry:
    """A trial of the search: its cell and its point in the space."""

    trial: PlannedTrial
    cell: str
    point: Point


class Book:
    """Every trial of one search.

    `grown` is told of each new one once it is stored.
    """

    def __init__(
        self, outline: Outline, ledger: Ledger, grown: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self.outline = outline
        self._ledger = ledger
        self._folder = ledger.sweep(outline.sweep.name)
        self._grown = grown
        self._told: Callable[[Entry], None] = lambda entry: None
        self._reader = Reader(ledger, outline.sweep.objective.metric)
        self._cells = {written(cell): cell for cell in outline.cells}
        self._entries: dict[str, Entry] = {}
        self._waiting: list[Entry] = []
        kind = outline.search.searcher.kind
        module = importlib.import_module(f"sweeps.searching.searchers.{kind}")
        self._suggest: Suggest = module.suggest

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells, each as the text that names it."""
        return tuple(self._cells)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The trials so far, in the order in which they were suggested."""
        return tuple(self._entries.values())

    @property
    def is_complete(self) -> bool:
        """Whether no trial is left to suggest or to train, as far as the book knows."""
        return not self._waiting and len(self._entries) >= self.outline.search.trials

    def entry(self, key: str) -> Entry:
        """One of them."""
        return self._entries[key]

    def take_up(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Begin with the trials of an earlier launch; those that are open are handed out first."""
        for entry in kept(self.outline, records):
            self._entries[entry.trial.key] = entry
            if self.opened(entry.trial.key):
                self._waiting.append(entry)

    def tell(self, told: Callable[[Entry], None]) -> None:
        """Let somebody know of each further trial, before it starts: the ledger may have it already."""
        self._told = told

    def opened(self, key: str) -> bool:
        """Whether a trial is left to train.

        One that failed is opened again, and, where this search stops none, one that another has stopped.
        """
        folder = self._ledger.trial(key)
        outcome = folder.outcome()
        stops_none = self.outline.search.scheduler.kind == "none"
        if outcome is not None and outcome.name in {"failed", *(["stopped"] if stops_none else [])}:
            folder.reopen()
            return True
        return outcome is None

    def next(self) -> Entry | None:
        """The next trial to train; None when the search has all its trials.

        A trial that the ledger has already, from any sweep, counts and is not trained again.

        Raises:
            OSError: the trial could not be stored, and so must not start.
        """
        if self._waiting:
            return self._waiting.pop(0)
        while len(self._entries) < self.outline.search.trials:
            entry = self._new()
            if entry is None:
                return None
            record = entry.trial.record()
            self._folder.add_trial(record)
            self._entries[entry.trial.key] = entry
            self._grown(record)
            is_open = self.opened(entry.trial.key)
            self._told(entry)
            if is_open:
                return entry
        return None

    def _new(self) -> Entry | None:
        """A trial that the search does not have yet, in the cell that has the fewest."""
        of_cell = {cell: list[Entry]() for cell in self._cells}
        for entry in self._entries.values():
            of_cell[entry.cell].append(entry)
        for cell in sorted(self._cells, key=lambda cell: len(of_cell[cell])):
            entry = self._new_in(cell, of_cell[cell])
            if entry is not None:
                return entry
        return None

    def _new_in(self, cell: str, entries: Sequence[Entry]) -> Entry | None:
        search, objective = self.outline.search, self.outline.sweep.objective
        past = list(self._reader.past([(each.trial.key, each.point) for each in entries]))
        known = {written(each.point) for each in entries}
        for number in range(_DRAWS):
            words = f"{cell} {len(entries)} {number}"
            if number < _TRIES:
                point = self._suggest(search.searcher, search.space, past, objective, words)
            else:
                point = drawn(search.space, f"{search.searcher.seed} {words}")
            point = {field: one.neat(point[field]) for field, one in search.space.items()}
            if written(point) in known:
                continue
            known.add(written(point))
            trial = self.outline.trial(self._cells[cell], point)
            if trial is not None and trial.key not in self._entries:
                return Entry(trial, cell, point)
            if number < _TRIES:  # no trial can be there: the searcher learns to look elsewhere
                past.append(Past(point, "diverged"))
        return None


def kept(outline: Outline, records: Sequence[Mapping[str, Any]]) -> tuple[Entry, ...]:
    """The stored trials that are still trials of this search, should its file have changed since.

    At most as many as the file asks for, those suggested first.
    """
    again = [outline.again(record) for record in records]
    found = [Entry(each[2], written(each[0]), each[1]) for each in again if each is not None]
    return tuple(found[: outline.search.trials])


def so_far(outline: Outline, ledger: Ledger) -> Plan:
    """The trials that an earlier launch has suggested."""
    try:
        records = ledger.sweep(outline.sweep.name).trials()
    except LedgerError:
        raise
    except InputError:  # there was none
        records = []
    trials = tuple(entry.trial for entry in kept(outline, records))
    return replace(outline.samples, trials=trials, duplicates=0)
