"""The points of a trial as checksummed lines, read back over all of its attempts."""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Any

from sweeps.storage.records import LedgerDamaged, LedgerError
from sweeps.storage.start import read_start
from trainers.result import Point

METRICS_FILE = "metrics.jsonl"

_NO_POINT = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


class LedgerConflict(LedgerError):  # noqa: N818 - it reads as what has happened
    """Two attempts of one trial disagree about a step that both have trained."""


@dataclass(frozen=True)
class TimedPoint:
    """The metrics of one trial at one step, and when they were first written."""

    step: int
    time_ms: int  # unix time
    values: dict[str, float]  # exact, also Inf and NaN


def spelled_number(value: float) -> float | str:
    """A number as JSON can hold it: infinities and NaN become texts, all else keeps its bits."""
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def read_number(value: Any) -> float:
    """The inverse of `spelled_number`.

    Raises:
        ValueError: neither a number nor one of the texts inf, -inf and nan.
    """
    if type(value) is float:  # nearly always
        return value
    if isinstance(value, str) and value not in {"inf", "-inf", "nan"}:
        raise ValueError(f"expected a number, inf, -inf or nan, got {value!r}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a number, got {value!r}")
    return float(value)


def spelled_numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    """Every value as JSON can hold it."""
    return {name: spelled_number(value) for name, value in values.items()}


def encoded(points: Sequence[Point], time_ms: int) -> bytes:
    """One line for each point: a checksum, a space, and what it is a checksum of."""
    return b"".join(_line(point, time_ms) for point in points)


def _line(point: Point, time_ms: int) -> bytes:
    record = {
        "step": point.step,
        "time_ms": time_ms,
        "values": spelled_numbers(point.values),
    }
    text = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
    return f"{zlib.crc32(text):08x} ".encode() + text + b"\n"


def _decoded(line: bytes) -> TimedPoint | None:
    """The point of a line; None when the line is not what was written."""
    check, space, text = line.partition(b" ")
    if not space or check != f"{zlib.crc32(text):08x}".encode():
        return None
    try:
        record = json.loads(text)
        values = {name: read_number(value) for name, value in record["values"].items()}
        return TimedPoint(index(record["step"]), index(record["time_ms"]), values)
    except _NO_POINT:
        return None


class CurveReader:
    """Reads the points of a trial while they are written; each byte is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_bytes: dict[Path, int] = {}
        self._points: dict[int, tuple[TimedPoint, Path]] = {}
        self._spans: dict[Path, tuple[int, int]] = {}
        self._begun: dict[
            Path, dict[str, str]
        ] = {}  # attempts whose start was read: what ran there
        self._in_vain: set[Path] = set()  # attempts whose lines do not count
        self._alone: dict[int, int] = {}  # attempts that drifted: from which step they count alone

    def read(self) -> tuple[TimedPoint, ...]:
        """All points so far, by step; a step that was written twice keeps the earlier time.

        A torn line at the end of a file is left out: its writer was killed, or is still writing. Where
        an attempt went on although code or machine had changed, what earlier attempts wrote of the
        steps after that is left out, too.

        Raises:
            LedgerConflict: two records of one step differ.
            LedgerDamaged: a line has changed since it was written.
        """
        attempts = attempts_in(self._folder)
        self._look_for_drift(attempts)
        for attempt in attempts:
            if attempt in self._in_vain:
                continue
            file = attempt / METRICS_FILE
            for point in self._new_points(file):
                self._merge(point, file)
        return tuple(self._points[step][0] for step in sorted(self._points))

    def spans(self) -> dict[Path, tuple[int, int]]:
        """For each metrics file read so far: the times of its first and last point, in ms."""
        return dict(self._spans)

    def _look_for_drift(self, attempts: Sequence[Path]) -> None:
        new = [attempt for attempt in attempts if attempt not in self._begun]
        for attempt in new:
            begun = read_start(attempt)
            if begun is None:  # being begun at this moment, so without points
                continue
            self._begun[attempt] = begun.fingerprint
            if begun.drift is not None:
                self._alone[attempt_number(attempt)] = begun.drift.from_step
                self._read_again()  # what was read so far may be superseded
        if new and len({tuple(sorted(each.items())) for each in self._begun.values()}) > 1:
            self._look_for_what_is_in_vain()

    def _look_for_what_is_in_vain(self) -> None:
        """An attempt that had written nothing when one under other code began, which so saw no drift.

        Whatever it writes after that, as a revived zombie, is no part of what the newer one computes.
        """
        for attempt, ran in self._begun.items():
            if ran and attempt not in self._in_vain and self._is_in_vain(attempt, ran):
                self._in_vain.add(attempt)
                self._read_again()

    def _is_in_vain(self, attempt: Path, ran: Mapping[str, str]) -> bool:
        number = attempt_number(attempt)
        others = {
            attempt_number(each): runs
            for each, runs in self._begun.items()
            if runs not in ({}, ran)
        }
        return any(
            number < other and not any(number < drifted <= other for drifted in self._alone)
            for other in others
        )

    def _read_again(self) -> None:
        self._read_bytes, self._points, self._spans = {}, {}, {}

    def _superseded(self, step: int, attempt: Path) -> bool:
        if not self._alone:
            return False
        number = attempt_number(attempt)
        return any(later > number and step > start for later, start in self._alone.items())

    def _new_points(self, file: Path) -> Iterator[TimedPoint]:
        start = self._read_bytes.get(file, 0)
        try:
            size = file.stat().st_size
        except FileNotFoundError:  # an attempt that has not yet reported
            return
        if size <= start:
            return
        with file.open("rb") as stream:
            stream.seek(start)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        decoded = [_decoded(line[:-1]) for line in whole]
        while decoded and decoded[-1] is None:  # a torn tail; not consumed, so looked at again
            decoded.pop()
        if None in decoded:
            raise LedgerDamaged(
                f"{file}: expected a checksummed line at byte"
                f" {start + sum(map(len, whole[: decoded.index(None)]))}, got a damaged one;"
                " move the attempt's folder away and launch again"
            )
        self._read_bytes[file] = start + sum(map(len, whole[: len(decoded)]))
        yield from (point for point in decoded if point is not None)

    def _merge(self, point: TimedPoint, file: Path) -> None:
        first, last = self._spans.get(file, (point.time_ms, point.time_ms))
        self._spans[file] = (min(first, point.time_ms), max(last, point.time_ms))
        if self._superseded(point.step, file.parent):
            return
        if point.step not in self._points:
            self._points[point.step] = (point, file)
            return
        known, known_file = self._points[point.step]
        if not same_bits(known.values, point.values):
            raise LedgerConflict(
                f"step {point.step} differs between {known_file} and {file}:"
                f" {_first_difference(known.values, point.values)};"
                " training is deterministic, so code, torch or machine has changed in between"
            )
        if point.time_ms < known.time_ms:  # a zombie may write late into an early attempt
            self._points[point.step] = (point, file)


def same_bits(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Equal to the bit, where any NaN is as good as another and -0.0 is not 0.0."""
    return _first_difference(one, other) == ""


def _first_difference(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    for name in sorted({*one, *other}):
        left, right = repr(one.get(name)), repr(other.get(name))
        if left != right:
            return f"{name} is {left} and {right}"
    return ""


def attempt_number(attempt: Path) -> int:
    """The number in the name of an attempt's folder; 0 when there is none."""
    digits = attempt.name.removeprefix("attempt-")
    return int(digits) if digits.isdecimal() else 0


def attempts_in(folder: Path) -> tuple[Path, ...]:
    """The attempt folders of a trial, oldest first."""
    try:
        with os.scandir(folder) as entries:
            found = [folder / entry.name for entry in entries if entry.name.startswith("attempt-")]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(filter(attempt_number, found), key=attempt_number))
