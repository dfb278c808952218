"""Values of axes as a plan writes them."""

from typing import Any

import pytest

from sweeps.planning.show_shapes import values_of
from sweeps.wording import written

PARITY = {"kind": "parity", "length": [1, 20]}
CYCLIC = {"kind": "permutation", "group": "C3", "length": [1, 20]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "true"),
        (400_000, "400_000"),
        (0.1 + 0.2, "0.3"),
        ("rope", "rope"),
        (CYCLIC, "permutation group C3 length [1, 20]"),
        ({"low": 1, "high": None}, "low 1 high null"),
    ],
)
def test_a_value_is_written_as_a_person_would(value: Any, words: str) -> None:
    assert written(value) == words


def test_parts_of_a_trial_are_told_apart_by_their_kind_where_that_is_enough() -> None:
    assert values_of([{"task": PARITY}, {"task": CYCLIC}, {"task": PARITY}], "task") == [
        "parity",
        "permutation",
        "parity",
    ]
    longer = {**PARITY, "length": [1, 40]}
    assert values_of([{"task": PARITY}, {"task": longer}], "task") == [
        "parity length [1, 20]",
        "parity length [1, 40]",
    ]
    assert values_of([{"task": PARITY}, {}], "task") == ["parity length [1, 20]", ""]
