"""What every encoding promises, for every encoding in the folder."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.data import encodings
from trainers.data.encoding import END, PAD, SPECIAL_TOKENS, START, Encoding
from trainers.data.encodings.digits import Digits
from trainers.plugins import kinds, summary

KINDS = kinds(encodings, Encoding)
CASES = [kind() for kind in KINDS.values()]
BASES = [2, 3, 10, 30, 31, 1_000, 2_401, 99_999, 100_000]
CASES += [Digits(base=base) for base in BASES]
LARGEST = 10**12


def tokens_of(encoding: Encoding, numbers: list[int], bounds: tuple[int, ...]) -> list[int]:
    return encoding.encode(torch.tensor(numbers), bounds).tolist()


def written_by_hand(number: int, base: int) -> list[int]:
    """Sign and digits by repeated division."""
    digits = []
    left = abs(number)
    while left:
        left, digit = divmod(left, base)
        digits.insert(0, digit)
    return [4 if number < 0 else 3, *(5 + digit for digit in digits or [0])]


@pytest.mark.parametrize("name", KINDS)
def test_an_encoding_says_how_it_writes_and_where_it_comes_from(name: str) -> None:
    line, source = summary(KINDS[name])
    assert line.endswith(".")
    assert "arXiv:" in source or "doi:" in source


@pytest.mark.parametrize("encoding", CASES, ids=repr)
@given(numbers=st.lists(st.integers(-LARGEST, LARGEST), min_size=1, max_size=4))
def test_what_is_written_is_read_back(encoding: Encoding, numbers: list[int]) -> None:
    bounds = (LARGEST,) * len(numbers)
    tokens = tokens_of(encoding, numbers, bounds)
    assert encoding.decode(tokens) == numbers
    assert len(tokens) == encoding.length(bounds)
    assert max(tokens) < encoding.vocabulary()
    body = [token for token in tokens if token != PAD]
    assert tokens == body + [PAD] * (len(tokens) - len(body))
    assert min(body) >= SPECIAL_TOKENS


@pytest.mark.parametrize("encoding", CASES, ids=repr)
@given(bound=st.integers(0, LARGEST))
def test_a_sequence_is_as_long_as_its_largest_number_needs_and_no_longer(
    encoding: Encoding, bound: int
) -> None:
    longest = tokens_of(encoding, [-bound], (bound,))
    assert PAD not in longest
    assert encoding.decode(longest) == [-bound]


@given(base=st.integers(2, 100_000), data=st.data())
def test_only_what_encode_writes_is_read(base: int, data: st.DataObject) -> None:
    encoding = Digits(base=base)
    token = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 4 + base])
    tokens = data.draw(st.lists(token, max_size=8))
    numbers = encoding.decode(tokens)
    if numbers is not None:
        ends = [place for place, token in enumerate(tokens) if token in (END, PAD)]
        body = tokens[: min(ends, default=len(tokens))]
        bound = max(abs(number) for number in numbers)
        again = tokens_of(encoding, numbers, (bound,) * len(numbers))
        assert [token for token in again if token != PAD] == body


@given(base=st.integers(2, 100_000), number=st.integers(-LARGEST, LARGEST))
def test_digits_are_those_of_repeated_division(base: int, number: int) -> None:
    tokens = tokens_of(Digits(base=base), [number], (LARGEST,))
    assert [token for token in tokens if token != PAD] == written_by_hand(number, base)


@pytest.mark.parametrize(
    ("base", "asked", "answered"),
    [
        (2, "+10100000+1111000", "+101000"),
        (6, "+424+320", "+104"),
        (10, "+160+120", "+40"),
        (30, "+ 5 10 + 4 0", "+ 1 10"),
    ],
)
def test_gcd_of_160_and_120_is_written_as_in_the_paper(
    base: int, asked: str, answered: str
) -> None:
    """Charton 2023, arXiv:2308.15594, section 2."""

    def spelled(text: str) -> list[int]:
        words = text.replace("+", " + ").split()
        digits = words if base > 10 else [sign for word in words for sign in word]
        return [3 if sign == "+" else 5 + int(sign) for sign in digits]

    question = tokens_of(Digits(base=base), [160, 120], (160, 120))
    assert [token for token in question if token] == spelled(asked)
    assert tokens_of(Digits(base=base), [40], (40,)) == spelled(answered)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [PAD, 3, 5],
        [END],
        [5, 6],
        [3],
        [3, 3, 6],
        [3, 6, 3],
        [3, 5, 6],
        [4, 5],
        [3, START],
        [3, 6, START],
        [3, 6, START, END],
    ],
)
def test_what_is_no_number_is_read_as_none(tokens: list[int]) -> None:
    assert Digits(base=10).decode(tokens) is None


def test_reading_stops_at_the_end_token() -> None:
    assert Digits(base=10).decode([3, 6, 7, END, 3, 8]) == [12]
    assert Digits(base=10).decode([3, 6, PAD, 7]) == [1]
    assert Digits(base=10).decode([4, 6, 3, 7]) == [-1, 2]


@pytest.mark.parametrize("encoding", CASES, ids=repr)
def test_rows_of_any_number_of_dimensions_are_written_alike(encoding: Encoding) -> None:
    numbers = torch.arange(-12, 12).view(2, 3, 4)
    tokens = encoding.encode(numbers, (20, 20, 20, 20))
    assert tokens.shape == (2, 3, encoding.length((20, 20, 20, 20)))
    assert torch.equal(tokens[1, 2], encoding.encode(numbers[1, 2], (20, 20, 20, 20)))
