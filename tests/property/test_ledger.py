"""What the ledger promises about any values and any damage."""

import math
import struct
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.storage.curve import METRICS_FILE, CurveReader, LedgerDamaged, TimedPoint
from sweeps.storage.ledger import Ledger
from trainers.result import Outcome, Point

KEY = "0123456789abcdef0123"
NAMES = st.sampled_from(["loss", "test_loss", "accuracy", "correct_gcds"])
SPECIAL = st.sampled_from(
    [math.inf, -math.inf, math.nan, 0.0, -0.0, 5e-324, 1.7976931348623157e308]
)
ANY_BITS = st.binary(min_size=8, max_size=8).map(lambda pattern: struct.unpack("<d", pattern)[0])
VALUES = st.dictionaries(NAMES, SPECIAL | ANY_BITS, min_size=1)
CURVES = st.lists(VALUES, min_size=1, max_size=8)
FEW = settings(max_examples=40)  # each example writes files and waits for the disk


def written(folder: str, curve: list[dict[str, float]]) -> Path:
    """The metrics file of one attempt whose point number i is reported at second i."""
    attempt = Ledger(Path(folder)).trial(KEY).begin({"seed": 0})
    for number, values in enumerate(curve):
        attempt.append([Point(number, values)], now_ms=1_000 * number)
    return attempt.path / METRICS_FILE


def bits(points: tuple[TimedPoint, ...]) -> list[tuple[int, int, dict[str, bytes]]]:
    """Points such that equal means equal to the bit; every NaN is written as the same one."""
    return [
        (
            point.step,
            point.time_ms,
            {
                name: b"nan" if math.isnan(value) else struct.pack("<d", value)
                for name, value in point.values.items()
            },
        )
        for point in points
    ]


def expected(curve: list[dict[str, float]]) -> list[tuple[int, int, dict[str, bytes]]]:
    return bits(tuple(TimedPoint(i, 1_000 * i, values) for i, values in enumerate(curve)))


@FEW
@given(CURVES)
def test_any_values_come_back_to_the_bit(curve):
    with tempfile.TemporaryDirectory() as folder:
        written(folder, curve)
        assert bits(Ledger(Path(folder)).trial(KEY).points()) == expected(curve)


@FEW
@given(VALUES)
def test_the_metrics_of_an_outcome_come_back_to_the_bit(values):
    with tempfile.TemporaryDirectory() as folder:
        trial = Ledger(Path(folder)).trial(KEY)
        assert trial.begin({"seed": 0}).finish(Outcome("finished", 7, values))
        outcome = trial.outcome()
        assert outcome is not None
        assert bits((TimedPoint(0, 0, outcome.metrics),)) == bits((TimedPoint(0, 0, values),))


@FEW
@given(CURVES, st.data())
def test_a_file_cut_anywhere_loses_only_the_torn_line(curve, data):
    with tempfile.TemporaryDirectory() as folder:
        file = written(folder, curve)
        whole = file.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        file.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert bits(CurveReader(file.parent.parent).read()) == expected(curve)[:complete]


@FEW
@given(CURVES, st.data())
def test_no_flipped_byte_is_ever_read_as_another_value(curve, data):
    with tempfile.TemporaryDirectory() as folder:
        file = written(folder, curve)
        content = bytearray(file.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        line = content[:place].count(b"\n")
        content[place] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        try:
            points = CurveReader(file.parent.parent).read()
        except LedgerDamaged:
            return
        # Not noticed by an error: then it looked like a torn tail, and no later line was given up.
        assert bits(points) == expected(curve)[: len(points)]
        assert line >= len(points)
        assert len(curve) - len(points) <= 2


@FEW
@given(CURVES, st.lists(st.integers(1, 8), max_size=3), st.integers(0, 7))
def test_attempts_that_repeat_steps_merge_into_the_curve_of_one(curve, starts, late_ms):
    with tempfile.TemporaryDirectory() as folder:
        written(folder, curve)
        trial = Ledger(Path(folder)).trial(KEY)
        for start in starts:
            again = trial.begin({"seed": 0})
            for number in range(min(start, len(curve)), len(curve)):
                again.append([Point(number, curve[number])], now_ms=1_000 * number + late_ms)
        assert bits(trial.points()) == expected(curve)


@FEW
@given(CURVES, st.data())
def test_a_reader_that_follows_a_growing_file_sees_what_a_late_reader_sees(curve, data):
    with tempfile.TemporaryDirectory() as folder:
        file = written(folder, curve)
        whole = file.read_bytes()
        cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=5))
        reader = CurveReader(file.parent.parent)
        file.write_bytes(b"")
        for cut in [*sorted(cuts), len(whole)]:
            with file.open("ab") as growing:  # as another process would, a few bytes at a time
                growing.write(whole[growing.tell() : cut])
            points = reader.read()
        assert bits(points) == expected(curve)
