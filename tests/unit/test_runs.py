"""Reading tables of runs: what is read, what is left out, and what is refused in one line."""

import codecs
from pathlib import Path

import numpy as np
import pytest

from analysis.runs import read_table, same
from analysis.where import Condition, parse_where
from trainers.schema import InputError

MAPPING = {"x": "width", "loss": "val"}


def _table(folder: Path, text: str | bytes) -> Path:
    path = folder / "runs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_get_the_names_that_a_law_uses(tmp_path: Path):
    runs = read_table(_table(tmp_path, "width,val,other\n4,0.5,a\n8,0.25,b\n"), MAPPING)
    assert runs.numbers("x").tolist() == [4.0, 8.0]
    assert runs.numbers("loss").tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    "text",
    [
        "width,val\n4,0.5\n8,0.25\n",
        "width,val\n4,0.5\n8,0.25",
        "width;val\n4;0.5\n8;0.25\n",
        "width\tval\n4\t0.5\n8\t0.25\n",
        "width,val\r\n4,0.5\r\n8,0.25\r\n",
        "width,val\r4,0.5\r8,0.25\r",
        '"width","val"\n"4","0.5"\n"8","0.25"\n',
        " width , val \n 4 , 0.5 \n 8 , 0.25 \n",
        "\n\nwidth,val\n\n4,0.5\n,\n8,0.25\n\n",
        "width,val,\n4,0.5,\n8,0.25,\n",
        "width,val\n4,0.5,\n8,0.25,,\n",
        ",width,val\n0,4,0.5\n1,8,0.25\n",
        "width,val,note,note\n4,0.5,a,b\n8,0.25,c,d\n",
        'width,val,note\n4,0.5,"two\nlines, and a comma"\n8,0.25,"a ""quoted"" word"\n',
        "width,val\n+4.0,5e-1\n0.8E1,.25\n",
        "val,größe,width\n0.5,ü,4\n0.25,,8\n",
        codecs.BOM_UTF8 + b"width,val\n4,0.5\n8,0.25\n",
        codecs.BOM_UTF16_LE + "width\tval\r\n4\t0.5\r\n8\t0.25\r\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "width,val\n4,0.5\n8,0.25\n".encode("utf-16-be"),
    ],
)
def test_a_table_is_the_same_in_every_way_of_writing_it(tmp_path: Path, text: str | bytes):
    runs = read_table(_table(tmp_path, text), MAPPING)
    assert runs.numbers("x").tolist() == [4.0, 8.0]
    assert runs.numbers("loss").tolist() == [0.5, 0.25]


@pytest.mark.parametrize("number", ["1e-49", "3.2e9", "1e49", "2.5", " 7 ", "1E5"])
def test_numbers_are_those_of_the_language(tmp_path: Path, number: str):
    runs = read_table(_table(tmp_path, f"width,val\n{number},1\n8,1\n"), MAPPING)
    assert runs.numbers("x")[0] == float(number)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("-1", "expected a positive finite number, got -1"),
        ("0", "expected a positive finite number, got 0"),
        ("inf", "expected a positive finite number, got inf"),
        ("nan", "expected a positive finite number, got nan"),
        ("1e308", "expected a number between 1e-50 and 1e+50 in size, got 1e308"),
        ("1e999", "expected a positive finite number, got 1e999"),
        ("1e-300", "expected a number between 1e-50 and 1e+50 in size, got 1e-300"),
        ("high", "expected a number, got 'high'"),
        ("True", "expected a number, got 'True'"),
        ("", "expected a number, got an empty cell"),
        ('"1,000"', "expected a number, got '1,000': write 1000"),
        ('"3,25"', "expected a number, got '3,25': write 3.25, with a point"),
        ("6.7B", "expected a number, got '6.7B': write 6.7e9"),
        ("512k", "expected a number, got '512k': write 512e3"),
        ("12.5 %", "expected a number, got '12.5 %': write 0.125"),
        ("[red]2[/red]", "expected a number, got '[red]2[/red]'"),
        ("<script>", "expected a number, got '<script>'"),
        ("=1+1", "expected a number, got '=1+1'"),
        ("\x1b[31m2", "expected a number, got '\\x1b[31m2'"),
    ],
)
def test_a_cell_that_is_no_usable_number_is_named_with_its_row_and_column(
    tmp_path: Path, cell: str, words: str
):
    with pytest.raises(InputError) as caught:
        read_table(_table(tmp_path, f"width,val\n4,0.5\n\n8,{cell}\n"), MAPPING)
    assert f"row 4, column val: {words}" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a CSV file with a header, got an empty file"),
        (" \n\n", "expected a CSV file with a header, got an empty file"),
        (",,\n1,2,3\n2,3,4\n", "expected a header with the names of the columns in row 2"),
        ("4,0.5\n8,0.25\n", "expected a header with the names of the columns in row 1"),
        ("width,val\n", "expected at least 2 rows of runs, got 0"),
        ("width,val\n4,1\n", "expected at least 2 rows of runs, got 1"),
        ("width,val\n4,1\n,\n\n", "expected at least 2 rows of runs, got 1"),
        ("width,val\n4,1,7\n8,1,7\n", "row 2: expected 2 cells as in the header, got 3"),
        ("width,val\n4,1\n8\n", "row 3: expected 2 cells as in the header, got 1"),
        ('width,val\n4,"1\n8,1\n', "expected quotes around a whole cell, and closed again"),
        ('width,val\n4,"1"2\n8,1\n', "line 2: expected quotes around a whole cell"),
        ("width,val\n4," + "1" * 200_000 + "\n8,1\n", "line 2: expected cells of at most 131,072"),
        ("width val\n4 1\n8 1\n", "are the cells apart by commas, semicolons or tabs?"),
        ("width|val\n4|1\n8|1\n", "are the cells apart by commas, semicolons or tabs?"),
        ("width,val,val\n4,1,2\n8,1,2\n", "expected one column 'val', got 2 of that name (columns 2, 3)"),
        ("width,loss\n4,1\n8,1\n", "expected a column 'val' for loss, got width, loss"),
        ("Width,val\n4,1\n8,1\n", "expected a column 'width' for x, got Width, val; did you mean Width?"),
        ("widht,val\n4,1\n8,1\n", "did you mean widht?"),
        (b"width,val\n\xff\xfe,1\n2,3\n", "expected a CSV file in UTF-8, got the byte 0xff in line 2"),
        ("width,val\n4,1\n".encode("utf-16-le"), "UTF-16 without a mark"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "expected a CSV file in UTF-8"),
        (b"PK\x03\x04rest", "got a spreadsheet or a zip archive: save the sheet as CSV"),
        (b"\x1f\x8brest", "got a gzip archive: unpack it"),
        (b"PAR1rest", "got a Parquet file"),
    ],
)  # fmt: skip
def test_a_bad_table_is_refused_in_one_line_that_says_where(
    tmp_path: Path, text: str | bytes, words: str
):
    path = _table(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_table(path, MAPPING)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("header", "wanted", "meant"),
    [
        ("n_params,D,val_loss", "params", "n_params"),
        ("n_params,D,val_loss", "tokens", "D"),
        ("n_params,D,val_loss", "loss", "val_loss"),
        ("n_params,D,val_loss", "N", "n_params"),
        ("parms,D,val_loss", "params", "parms"),
    ],
)
def test_a_missing_column_is_answered_with_the_one_that_may_be_meant(
    tmp_path: Path, header: str, wanted: str, meant: str
):
    with pytest.raises(InputError, match=f"did you mean {meant}"):
        read_table(_table(tmp_path, f"{header}\n1,2,3\n4,5,6\n"), {wanted: wanted})


def test_a_thousand_columns_are_read_and_not_all_of_them_named(tmp_path: Path):
    names = ["width", *(f"c{n}" for n in range(1_000)), "val"]
    table = _table(
        tmp_path, "\n".join([",".join(names), *(",".join(["4"] * 1_002) for _ in range(3))])
    )
    assert read_table(table, MAPPING).numbers("loss").tolist() == [4.0, 4.0, 4.0]
    with pytest.raises(InputError) as caught:
        read_table(table, {"x": "nothing"})
    assert "and 990 more" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_every_bad_cell_is_counted_and_the_way_to_leave_it_out_works(tmp_path: Path):
    table = _table(
        tmp_path, "width,final loss\n4,1\n8,diverged\n16,diverged\n32,-1\n64,0.5\n128,\n256,inf\n"
    )
    mapping = {"x": "width", "loss": "final loss"}
    where: list[str] = []
    for expected in ("loss != 'diverged'", "loss > 0", "loss != 'inf'"):
        with pytest.raises(InputError) as caught:
            read_table(table, mapping, parse_where(" and ".join(where)) if where else ())
        assert f'(--where "{expected}" leaves out such rows)' in str(caught.value)
        where.append(expected)
    runs = read_table(table, mapping, parse_where(" and ".join(where)))
    assert runs.numbers("loss").tolist() == [1.0, 0.5]
    assert [one.key for one in runs.omitted] == ["row 3", "row 4", "row 5", "row 7", "row 8"]
    with pytest.raises(InputError, match=r"row 3, .* and 1 more such cell"):
        read_table(_table(tmp_path, "width,val\n4,1\n8,-1\n16,-2\n"), MAPPING)


def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="got a folder"):
        read_table(tmp_path, MAPPING)
    for name in ("none.csv", "nul\0byte.csv"):
        with pytest.raises(InputError, match="no such file"):
            read_table(tmp_path / name, MAPPING)
    with pytest.raises(InputError, match="expected a CSV file"):
        read_table(tmp_path / ("x" * 5_000), MAPPING)


def test_rows_that_do_not_match_are_listed_with_the_condition(tmp_path: Path):
    table = _table(tmp_path, "width,val,task\n4,0.5,gcd\n8,0.25,gcd\n16,9,sort\n32,9,gcd\n")
    runs = read_table(table, MAPPING, parse_where("width < 20 and task == gcd"))
    assert len(runs) == 2
    assert [(one.key, one.reason) for one in runs.omitted] == [
        ("row 4", "left out by --where task == gcd"),
        ("row 5", "left out by --where width < 20"),
    ]


def test_a_left_out_row_may_hold_anything(tmp_path: Path):
    table = _table(tmp_path, "width,val,ok\n4,0.5,1\n8,0.25,1\n16,diverged,0\n")
    assert len(read_table(table, MAPPING, parse_where("ok = 1"))) == 2
    assert len(read_table(table, MAPPING, parse_where("ok = 1 and val < 9"))) == 2


def test_where_that_leaves_nothing_is_refused(tmp_path: Path):
    table = _table(tmp_path, "width,val\n4,0.5\n8,0.25\n")
    with pytest.raises(InputError, match="leaves none of 2 rows"):
        read_table(table, MAPPING, parse_where("width > 100"))


def test_where_reads_numbers_texts_and_several_conditions():
    assert parse_where("loss<3.5 and name == 'a b' and 'final loss' != 2 and k=\"\"") == (
        Condition("loss", "<", 3.5),
        Condition("name", "==", "a b"),
        Condition("final loss", "!=", 2.0),
        Condition("k", "=", ""),
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
        "a < 1 and",
        "and a < 1",
        "a < 1;b < 2",
        "a < 'b",
        "\n",
    ],
)
def test_where_refuses_everything_that_is_not_a_comparison(text: str):
    with pytest.raises(InputError, match="--where"):
        parse_where(text)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("width < 8", [4.0]),
        ("width <= 8", [4.0, 8.0]),
        ("width > 8", [16.0]),
        ("width >= 8.0", [8.0, 16.0]),
        ("width == 8.0", [8.0]),
        ("width != 8", [4.0, 16.0]),
        ("x = 16", [16.0]),
        ("seed < 3", [8.0]),
        ("seed == ''", [4.0]),
        ("note == '[red]'", [8.0]),
        ("note != '[red]'", [4.0, 16.0]),
        ("note = 1", [16.0]),
    ],
)
def test_where_compares_numbers_as_numbers_and_texts_as_texts(
    tmp_path: Path, where: str, rows: list[float]
):
    table = _table(tmp_path, "width,val,seed,note\n4,1,,a\n8,1,2,[red]\n16,1,3,1.0\n")
    assert read_table(table, MAPPING, parse_where(where)).numbers("x").tolist() == rows


def test_where_compares_texts_with_numbers_only_for_equality(tmp_path: Path):
    table = _table(tmp_path, "width,val,task\n4,0.5,gcd\n8,0.25,gcd\n")
    with pytest.raises(InputError, match="expected numbers in task"):
        read_table(table, MAPPING, parse_where("task < 3"))
    with pytest.raises(InputError, match="expected one of the columns"):
        read_table(table, MAPPING, parse_where("size < 3"))


def test_other_columns_are_kept_as_they_are(tmp_path: Path):
    table = _table(tmp_path, "width,val,name\n4,0.5,007\n8,0.25,[b]x\n")
    runs = read_table(table, MAPPING, extra=("width", "val", "name"))
    assert runs.table["name"].tolist() == ["007", "[b]x"]
    assert runs.table["width"].tolist() == ["4", "8"]
    assert runs.table["x"].dtype == np.float64


def test_values_of_a_sweep_are_equal_as_in_the_file():
    assert same(64, 64.0)
    assert same([1, 2], (1, 2))
    assert same(None, None)
    assert not same(1, True)
    assert not same(None, 0)
