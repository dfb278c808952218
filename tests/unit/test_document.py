import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweeps.document import parse
from trainers.schema import InputError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.text(string.ascii_letters + " -_.:#[]{}'\"äß", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(string.ascii_lowercase, min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_what_yaml_writes_is_read_back(value):
    assert parse(yaml.safe_dump(value, allow_unicode=True), name="x").value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1.0e-3", 1e-3), ("1E5", 1e5), (".5", 0.5), ("-2.", -2.0),
        ("1_000_000", 1_000_000), ("0", 0), ("012", "012"), ("0x1F", "0x1F"), ("1:30", "1:30"),
        ("on", "on"), ("yes", "yes"), ("true", True), ("2026-11-21", "2026-11-21"),
        ("null", None), ("~", None), ("''", ""), ("1e", "1e"), ("e5", "e5"), ("-", [None]),
    ],
)  # fmt: skip
def test_scalars_are_what_a_researcher_means(text, value):
    found = parse(text, name="x").value
    assert found == value
    assert type(found) is type(value)


def test_every_place_knows_its_line():
    document = parse("a: 1\nb:\n  - x\n  - c: 2\n", name="f.yaml")
    assert document.where(("b", 1, "c")) == "f.yaml:4"
    assert document.where(("b", 1, "missing")) == "f.yaml:4"
    assert document.where(("nowhere",)) == "f.yaml:1"


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_in_one_line(text):
    refusal = ""
    try:
        parse(text, name="x")
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal
