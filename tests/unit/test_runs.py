"""Reading tables of runs: what is kept, what is left out, and what is refused in one line."""

from pathlib import Path

import pytest

from analysis.runs import read_table, same
from analysis.where import Condition, parse_where
from trainers.schema import InputError

MAPPING = {"x": "width", "loss": "val"}


def _table(folder: Path, text: str) -> Path:
    path = folder / "runs.csv"
    path.write_text(text)
    return path


def test_columns_get_the_names_that_a_law_uses(tmp_path: Path):
    runs = read_table(_table(tmp_path, "width,val,other\n4,0.5,a\n8,0.25,b\n"), MAPPING)
    assert runs.numbers("x").tolist() == [4.0, 8.0]
    assert runs.numbers("loss").tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "width,val\n4,0.5\n8,-1\n",
            "row 3, column val: expected a positive finite number, got -1",
        ),
        ("width,val\n4,0.5\n8,0\n", "row 3, column val: expected a positive finite number, got 0"),
        (
            "width,val\n4,inf\n8,1\n",
            "row 2, column val: expected a positive finite number, got inf",
        ),
        (
            "width,val\n4,nan\n8,1\n",
            "row 2, column val: expected a positive finite number, got nan",
        ),
        ("width,val\n4,high\n8,1\n", "row 2, column val: expected a number, got 'high'"),
        ("width,val\n4,\n8,1\n", "row 2, column val: expected a number, got ''"),
        ("width,val\n4,1\n\n8,x\n", "row 4, column val: expected a number, got 'x'"),
        ("width,loss\n4,1\n8,1\n", "expected a column 'val' for loss, got width, loss"),
        ("width,val\n4,1\n", "expected at least 2 rows of runs, got 1"),
        ("width,val\n4,1,7\n8,1,7\n", "expected a CSV file"),
        ("", "expected a CSV file with a header, got an empty file"),
    ],
)
def test_a_bad_table_is_refused_in_one_line_that_says_where(tmp_path: Path, text: str, words: str):
    with pytest.raises(InputError) as caught:
        read_table(_table(tmp_path, text), MAPPING)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="got a folder"):
        read_table(tmp_path, MAPPING)
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv", MAPPING)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = tmp_path / "runs.csv"
    path.write_bytes(b"width,val\n\xff\xfe,1\n2,3\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_table(path, MAPPING)


def test_rows_that_do_not_match_are_listed_with_the_condition(tmp_path: Path):
    table = _table(tmp_path, "width,val,task\n4,0.5,gcd\n8,0.25,gcd\n16,9,sort\n")
    runs = read_table(table, MAPPING, parse_where("task == gcd and width < 10"))
    assert len(runs) == 2
    assert [(one.key, one.reason) for one in runs.omitted] == [
        ("row 4", "left out by --where task == gcd")
    ]


def test_a_left_out_row_may_hold_anything(tmp_path: Path):
    table = _table(tmp_path, "width,val,ok\n4,0.5,1\n8,0.25,1\n16,diverged,0\n")
    assert len(read_table(table, MAPPING, parse_where("ok = 1"))) == 2


def test_where_that_leaves_nothing_is_refused(tmp_path: Path):
    table = _table(tmp_path, "width,val\n4,0.5\n8,0.25\n")
    with pytest.raises(InputError, match="leaves none of 2 rows"):
        read_table(table, MAPPING, parse_where("width > 100"))


def test_where_reads_numbers_texts_and_several_conditions():
    assert parse_where("loss<3.5 and name == 'a b' and k != 2") == (
        Condition("loss", "<", 3.5),
        Condition("name", "==", "a b"),
        Condition("k", "!=", 2.0),
    )


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "loss",
        "loss <",
        "a < 1 or b < 2",
        "a < 1 b < 2",
        "a << 1",
    ],
)
def test_where_refuses_everything_that_is_not_a_comparison(text: str):
    with pytest.raises(InputError, match="--where"):
        parse_where(text)


def test_where_compares_texts_with_numbers_only_for_equality(tmp_path: Path):
    table = _table(tmp_path, "width,val,task\n4,0.5,gcd\n8,0.25,gcd\n")
    with pytest.raises(InputError, match="expected numbers in task"):
        read_table(table, MAPPING, parse_where("task < 3"))
    with pytest.raises(InputError, match="expected one of the columns"):
        read_table(table, MAPPING, parse_where("size < 3"))


def test_values_of_a_sweep_are_equal_as_in_the_file():
    assert same(64, 64.0)
    assert same([1, 2], (1, 2))
    assert same(None, None)
    assert not same(1, True)
    assert not same(None, 0)
