import math
from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from trainers.data.draws import TRAIN, Draws
from trainers.data.encodings.b1999 import B1999
from trainers.data.encodings.fp15 import Fp15
from trainers.data.encodings.p10 import P10
from trainers.data.encodings.p1000 import P1000
from trainers.data.tasks.matrix import Matrix

DEVIATION = 10 / math.sqrt(3)  # of an entry
SIGMA = math.sqrt(5) * DEVIATION  # of an eigenvalue of a 5 x 5 matrix

DIRECT = ("transpose", "add", "matvec", "product", "eigenvalues", "singular_values")
OPERATIONS = (
    *DIRECT,
    "eigenvectors",
    "inverse",
    "symmetric_inverse",
    "singular_vectors",
    "rank",
)
LAWS = (
    "semicircle",
    "positive",
    "uniform",
    "gaussian",
    "laplace",
    "positive2",
    "marcenko_pastur",
)


def draws(count: int, seed: int = 0) -> Draws:
    return Draws(torch.tensor(seed), torch.arange(count), TRAIN)


def examples(task: Matrix, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    made = task.problems(draws(count, seed))
    assert made.question.dtype == made.answer.dtype == torch.float64
    return made.question.numpy(), made.answer.numpy()


def squares(task: Matrix, count: int, seed: int = 0) -> np.ndarray:
    return examples(task, count, seed)[0].reshape(count, task.rows, task.rows)


def eigen(law: str, **fields: Any) -> Matrix:
    return Matrix(operation="eigenvalues", eigenvalue_law=law, **fields)  # type: ignore[arg-type]


def judged(task: Matrix, asked: Any, wanted: Any, given: Any) -> dict[str, float]:
    """The measures of one answer."""
    flat = [np.asarray(numbers, dtype=float).ravel().tolist() for numbers in (asked, wanted)]
    answer = None if given is None else np.asarray(given, dtype=float).ravel().tolist()
    found = task.judge([flat[0]], [flat[1]], [answer])
    assert set(found) == set(task.measures())
    return {name: value for name, [value] in found.items()}


def of_all(measures: Iterable[str]) -> set[str]:
    """The measures that speak of every answer, not of wrong ones alone."""
    return {name for name in measures if not name.startswith("wrong_")}


def passed(measures: dict[str, float]) -> set[str]:
    return of_all(name for name, value in measures.items() if value == 1.0)


def rotation(n: int, seed: int = 0) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


# Laws of matrices


def test_uniform_entries_are_uniform_on_plus_minus_ten() -> None:
    entries = examples(Matrix(), 4_000)[0].ravel()
    assert stats.kstest(entries, stats.uniform(-10, 20).cdf).pvalue > 1e-3


def test_gaussian_entries_have_the_deviation_of_uniform_ones() -> None:
    entries = examples(Matrix(entries="gaussian"), 4_000)[0].ravel()
    assert stats.kstest(entries, stats.norm(0, DEVIATION).cdf).pvalue > 1e-3


def test_entries_of_one_matrix_are_uncorrelated() -> None:
    count = 20_000
    correlation = np.corrcoef(examples(Matrix(), count)[0].T)
    assert np.abs(correlation - np.eye(25)).max() < 5 / math.sqrt(count)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("entries", ["uniform", "gaussian"])
def test_matrices_are_symmetric_and_answers_their_descending_eigenvalues(
    law: str, entries: str
) -> None:
    asked, answered = examples(eigen(law, entries=entries, rows=6, columns=6), 300)
    asked = asked.reshape(-1, 6, 6)
    assert np.array_equal(asked, asked.transpose(0, 2, 1))
    wanted = np.linalg.eigvalsh(asked)[:, ::-1]
    assert np.abs(answered - wanted).max() < 1e-11 * np.abs(wanted).max()


def expected_trace_of_power(power: int, n: int, second: float, fourth: float) -> float:
    """E tr M^power of a symmetric matrix with independent entries, walk by walk."""
    moments = {0: 1.0, 2: second, 4: fourth}
    total = 0.0
    for walk in product(range(n), repeat=power):
        steps = zip(walk, (*walk[1:], walk[0]), strict=True)
        visits = Counter(tuple(sorted(step)) for step in steps)
        total += math.prod(moments.get(count, 0.0) for count in visits.values())
    return total


@pytest.mark.parametrize(
    ("entries", "fourth"), [("uniform", 10**4 / 5), ("gaussian", 3 * (100 / 3) ** 2)]
)
@pytest.mark.parametrize("power", [2, 4])
def test_the_spectrum_of_wigner_matrices_has_its_exact_moments(
    entries: str, fourth: float, power: int
) -> None:
    _, values = examples(eigen("semicircle", entries=entries), 40_000)
    traces = (values**power).sum(axis=1)
    expected = expected_trace_of_power(power, 5, 100 / 3, fourth)
    error = traces.std() / math.sqrt(len(traces))
    assert abs(traces.mean() - expected) < 4 * error
    if power == 2:
        assert expected == pytest.approx(5 * SIGMA**2)


def test_eigenvalues_of_large_wigner_matrices_follow_the_semicircle() -> None:
    """Wigner 1958: radius 2 sigma; a distribution function within about 1/n of the law's."""
    n = 64
    _, values = examples(eigen("semicircle", rows=n, columns=n), 40)
    radius = 2 * math.sqrt(n) * DEVIATION
    assert stats.kstest(values.ravel(), stats.semicircular(scale=radius).cdf).statistic < 1 / n


@pytest.mark.parametrize(
    ("law", "exact"),
    [
        ("uniform", stats.uniform(-SIGMA * math.sqrt(3), 2 * SIGMA * math.sqrt(3))),
        ("gaussian", stats.norm(0, SIGMA)),
        ("laplace", stats.laplace(0, SIGMA / math.sqrt(2))),
        ("positive2", stats.expon(0, SIGMA / math.sqrt(2))),
    ],
)
def test_drawn_eigenvalues_follow_their_law(law: str, exact: Any) -> None:
    _, values = examples(eigen(law), 4_000)
    assert stats.kstest(values.ravel(), exact.cdf).pvalue > 1e-3
    if law != "positive2":
        assert exact.std() == pytest.approx(SIGMA)


def test_drawn_eigenvalues_are_independent_of_each_other_and_of_their_place() -> None:
    """The greatest of five independent uniform numbers u has u^5 uniform."""
    _, values = examples(eigen("uniform"), 4_000)
    greatest = (values[:, 0] / (SIGMA * math.sqrt(3)) + 1) / 2
    assert stats.kstest(greatest**5, stats.uniform.cdf).pvalue > 1e-3


@pytest.mark.parametrize("law", ["uniform", "laplace", "positive"])
def test_eigenvectors_point_in_no_preferred_direction(law: str) -> None:
    """Changing the sign of a coordinate changes no law: entries off the diagonal have mean zero."""
    asked = squares(eigen(law, entries="gaussian"), 10_000)
    means = asked.mean(axis=0) / (asked.std(axis=0) / math.sqrt(len(asked)))
    assert np.abs(means[~np.eye(5, dtype=bool)]).max() < 4


def test_a_positive_matrix_is_the_square_root_of_the_square_of_its_wigner_matrix() -> None:
    wigner, positive = (squares(eigen(law), 200) for law in ("semicircle", "positive"))
    assert np.abs(positive @ positive - wigner @ wigner).max() < 1e-10 * SIGMA**2
    assert np.linalg.eigvalsh(positive).min() >= -1e-12


def test_marcenko_pastur_matrices_have_their_exact_first_two_moments() -> None:
    """W = M^T M of 5 x 5 with entries up to sqrt 10: E tr W = n^2 v, E tr W^2 = n^2 ((2n - 2) v^2 + m4)."""
    _, values = examples(eigen("marcenko_pastur"), 40_000)
    variance, fourth, n = 10 / 3, 10**2 / 5, 5
    assert values.min() >= -1e-12
    for power, expected in (
        (1, n**2 * variance),
        (2, n**2 * ((2 * n - 2) * variance**2 + fourth)),
    ):
        traces = (values**power).sum(axis=1)
        assert abs(traces.mean() - expected) < 4 * traces.std() / math.sqrt(len(traces))


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (3, 6)])
def test_ranks_are_uniform_and_those_of_numpy(rows: int, columns: int) -> None:
    task = Matrix(operation="rank", rows=rows, columns=columns)
    asked, answered = examples(task, 3_000)
    found = np.linalg.matrix_rank(asked.reshape(-1, rows, columns))
    assert np.array_equal(found, answered[:, 0])
    assert stats.chisquare(np.bincount(found)[1:]).pvalue > 1e-3
    assert found.max() == min(rows, columns)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_size_of_entries_does_not_tell_the_rank(rank: int) -> None:
    asked, answered = examples(Matrix(operation="rank"), 20_000)
    chosen = asked[answered[:, 0] == rank] ** 2
    by_matrix = chosen.mean(axis=1)
    assert abs(by_matrix.mean() - 100 / 3) < 4 * by_matrix.std() / math.sqrt(len(by_matrix))


# Conventions


def test_eigenvectors_stand_below_their_eigenvalues_with_a_positive_first_entry() -> None:
    asked, answered = examples(Matrix(operation="eigenvectors"), 500)
    answer = answered.reshape(-1, 6, 5)
    values, vectors = answer[:, 0], answer[:, 1:]
    assert (np.diff(values, axis=1) <= 0).all()
    assert (vectors[:, 0] >= 0).all()
    error = asked.reshape(-1, 5, 5) @ vectors - vectors * values[:, None]
    assert np.abs(error).max() < 1e-12 * np.abs(values).max()


def test_singular_vectors_are_those_of_numpy_up_to_sign() -> None:
    asked, answered = examples(Matrix(operation="singular_vectors", rows=3, columns=4), 200)
    values, u, v = np.split(answered.reshape(-1, 8, 3), [1, 4], axis=1)
    left, known, right = np.linalg.svd(asked.reshape(-1, 3, 4), full_matrices=False)
    assert np.abs(values[:, 0] - known).max() < 1e-12 * known.max()
    assert np.abs(np.abs(u) - np.abs(left)).max() < 1e-8
    assert np.abs(np.abs(v) - np.abs(right.transpose(0, 2, 1))).max() < 1e-8
    assert (u[:, 0] >= 0).all()
    assert np.abs(u * values @ v.transpose(0, 2, 1) - asked.reshape(-1, 3, 4)).max() < 1e-11


def test_a_matrix_without_a_close_inverse_is_drawn_anew_and_no_other_changes() -> None:
    """Products M^T M are the worst of the laws: their condition is that of M, squared."""
    law, count = "marcenko_pastur", 10_000
    task = Matrix(operation="symmetric_inverse", eigenvalue_law=law)
    asked, answered = (numbers.reshape(-1, 5, 5) for numbers in examples(task, count))
    first = squares(eigen(law), count)
    kept = (asked == first).all(axis=(1, 2))
    residual = np.abs(first @ np.linalg.inv(first) - np.eye(5)).max(axis=(1, 2))
    assert 10 <= (~kept).sum() <= count / 20
    # near 1e-10 itself another program's rounding decides otherwise
    assert kept[residual < 1e-11].all()
    assert not kept[residual > 1e-9].any()
    assert np.abs(asked @ answered - np.eye(5)).max() < 1e-9


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_example_has_the_same_bits_in_any_batch(operation: Any) -> None:
    task = Matrix(operation=operation)
    asked, answered = examples(task, 40)
    pack = Draws(torch.tensor([[0], [7]]), torch.arange(40).repeat(2, 1), TRAIN)
    made = task.problems(pack)
    assert np.array_equal(made.question[0].numpy(), asked)
    assert np.array_equal(made.answer[0].numpy(), answered)
    for index in (0, 3, 17, 39):
        alone = task.problems(Draws(torch.tensor([0]), torch.tensor([index]), TRAIN))
        assert np.array_equal(alone.question[0].numpy(), asked[index])
        assert np.array_equal(alone.answer[0].numpy(), answered[index])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_arrays_have_as_many_entries_as_their_sizes_say(operation: Any) -> None:
    for n in (1, 2, 4):
        task = Matrix(operation=operation, rows=n, columns=n)
        for numbers, sizes in zip(examples(task, 3), task.sizes(), strict=True):
            assert numbers.shape == (3, sum(math.prod(size) for size in sizes))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"operation": "inverse", "rows": 4}, "as many rows as columns for inverse"),
        ({"operation": "eigenvalues", "columns": 4}, "got 5 and 4"),
        ({"operation": "product", "eigenvalue_law": "laplace"}, "got laplace for product"),
        ({"operation": "inverse", "eigenvalue_law": "positive"}, "got positive for inverse"),
        ({"rows": 0}, "greater than or equal to 1"),
        ({"largest": 0.0}, "greater than or equal to 0.001"),
    ],
)
def test_what_has_no_result_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Matrix(**fields)


# Judging


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_answer_nan_and_infinity_are_wrong_in_every_measure(operation: Any) -> None:
    task = Matrix(operation=operation)
    asked, wanted = (numbers.tolist() for numbers in examples(task, 5))
    given: list[list[float] | None] = [list(row) for row in wanted]
    given[1] = None
    given[2][0], given[3][-1] = math.nan, -math.inf  # type: ignore[index]
    found = task.judge(asked, wanted, given)
    assert tuple(found) == task.measures()
    assert all(name.isidentifier() for name in found)
    for name in of_all(found):
        assert found[name] == [1.0, 0.0, 0.0, 0.0, 1.0]
    for name in found.keys() - of_all(found):
        assert found[name][1:4] == [0.0, 0.0, 0.0]
        assert math.isnan(found[name][0])
        assert math.isnan(found[name][4])
    assert task.judge([], [], []) == {name: [] for name in task.measures()}
    assert task.judge(asked[:1], wanted[:1], [None]) == {n: [0.0] for n in task.measures()}


@pytest.mark.parametrize("operation", DIRECT)
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("within_5", 0.05), ("within_2", 0.02), ("within_1", 0.01), ("within_0_5", 0.005)],
)
def test_an_answer_counts_below_its_tolerance_and_not_at_it(
    operation: Any, name: str, tolerance: float
) -> None:
    task = Matrix(operation=operation)
    count = sum(math.prod(size) for size in task.sizes()[1])
    wanted = np.zeros(count)
    wanted[0], wanted[-1] = 24.0, -40.0  # magnitudes sum to 64: the quotient is exact
    asked = np.zeros(sum(math.prod(size) for size in task.sizes()[0]))
    error = tolerance * 64
    for place in (0, count - 1):
        at, below = wanted.copy(), wanted.copy()
        at[1] += error
        below[1] += math.nextafter(error, 0)
        assert judged(task, asked, wanted, at)[name] == 0.0
        assert judged(task, asked, wanted, below)[name] == 1.0
        at[1], at[place] = -error / 2, wanted[place] + error  # errors do not cancel
        assert judged(task, asked, wanted, at)[name] == 0.0


@pytest.mark.parametrize("encoding", [P10(), P1000(), B1999(), Fp15()], ids=repr)
@pytest.mark.parametrize("operation", [*DIRECT, "eigenvectors", "rank"])
def test_the_true_answer_written_with_three_digits_is_right(operation: Any, encoding: Any) -> None:
    task = Matrix(operation=operation, rows=4, columns=4)
    made = task.problems(draws(30))
    _, sizes = task.sizes()
    given = [encoding.decode(row, sizes) for row in encoding.encode(made.answer, sizes).tolist()]
    found = task.judge(made.question.tolist(), made.answer.tolist(), given)
    assert all(value == 1.0 for name in of_all(found) for value in found[name])


def test_a_zero_target_is_met_by_nothing() -> None:
    """As in the authors' code, but for an exact answer: a relative error has no meaning here."""
    assert passed(judged(Matrix(), np.zeros(25), np.zeros(25), np.ones(25))) == set()


@pytest.mark.parametrize(
    ("scale", "right"), [(1.049, True), (1.051, False), (0.951, True), (0.949, False)]
)
def test_an_inverse_is_judged_by_its_product_with_the_matrix(scale: float, right: bool) -> None:
    matrix = 7 * rotation(5)
    inverse = np.linalg.inv(matrix)
    found = judged(Matrix(operation="inverse"), matrix, inverse, scale * inverse)
    assert (found["residual_within_5"] == 1.0) == right
    assert found["residual_within_2"] == 0.0


def test_a_small_error_of_the_inverse_of_a_poor_matrix_leaves_a_large_residual() -> None:
    matrix = np.diag([10.0, 10.0, 10.0, 10.0, 0.01])
    wanted = np.linalg.inv(matrix)
    given = wanted.copy()
    given[0, 4] = 0.2  # 0.2 % of the largest entry of the inverse
    found = judged(Matrix(operation="inverse"), matrix, wanted, given)
    assert found["within_0_5"] == 1.0
    assert found["residual_within_5"] == 0.0


def eigen_example(n: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.array([9.0, 5.0, 2.0, -4.0, -11.0])[:n]
    vectors = rotation(n)
    return vectors @ np.diag(values) @ vectors.T, values, vectors


VECTORS = Matrix(operation="eigenvectors")


def answer_with(given: np.ndarray, values: np.ndarray | None = None) -> set[str]:
    """The measures that such vectors, below these values, pass."""
    matrix, known, vectors = eigen_example()
    wanted = np.vstack([known, vectors])
    return passed(
        judged(VECTORS, matrix, wanted, np.vstack([known if values is None else values, given]))
    )


def test_eigenvectors_are_right_with_any_sign() -> None:
    _, _, vectors = eigen_example()
    for signs in product([1, -1], repeat=5):
        assert answer_with(vectors * np.array(signs)) == of_all(VECTORS.measures())


def test_wrong_eigenvectors_may_keep_eigenvalues_norm_and_right_angles() -> None:
    """Charton 2022, arXiv:2211.00170: what wrong predictions still get right."""
    _, _, vectors = eigen_example()
    kept = {"values_within_5", "unit_norm_within_5", "orthogonal_within_5"}
    assert answer_with(vectors[:, [1, 0, 2, 3, 4]]) == kept
    assert answer_with(rotation(5, seed=1)) == kept


def test_measures_of_wrong_answers_say_what_those_keep_and_nothing_of_right_ones() -> None:
    matrix, values, vectors = eigen_example()
    wanted = np.vstack([values, vectors])
    of_right = judged(VECTORS, matrix, wanted, wanted)
    swapped = np.vstack([values, vectors[:, [1, 0, 2, 3, 4]] * np.array([1, 1.1, 1, 1, 1])])
    of_wrong = judged(VECTORS, matrix, wanted, swapped)
    assert of_wrong["within_5"] == 0.0
    names = [name for name in VECTORS.measures() if name.startswith("wrong_")]
    assert all(math.isnan(of_right[name]) for name in names)
    assert {name: of_wrong[name] for name in names} == {
        "wrong_values_within_5": 1.0,
        "wrong_unit_norm_within_5": 0.0,
        "wrong_orthogonal_within_5": 1.0,
    }


def test_a_column_that_is_too_long_fails_the_norm_alone_of_the_three() -> None:
    _, values, vectors = eigen_example()
    stretched = vectors * np.array([1, 1, 1.06, 1, 1])
    # the equation holds for the value that goes with the stretched column
    scaled = values * np.array([1, 1, 1.06**2, 1, 1])
    passing = answer_with(stretched, scaled)
    assert "unit_norm_within_5" not in passing
    assert {"within_0_5", "orthogonal_within_5", "values_within_5"} <= passing
    assert "unit_norm_within_5" in answer_with(vectors * np.array([1, 1, 1.04, 1, 0.96]))


def test_columns_at_an_angle_fail_the_right_angles_alone_of_the_three() -> None:
    _, _, vectors = eigen_example()
    for angle, right in ((0.049, True), (0.051, False)):
        tilted = vectors.copy()
        tilted[:, 3] = math.cos(angle) * vectors[:, 3] + math.sin(angle) * vectors[:, 1]
        passing = answer_with(tilted)
        assert ("orthogonal_within_5" in passing) == right
        assert {"values_within_5", "unit_norm_within_5"} <= passing


def test_wrong_eigenvalues_are_wrong_beside_right_vectors() -> None:
    _, values, vectors = eigen_example()
    assert answer_with(vectors, values * 1.06) == {"unit_norm_within_5", "orthogonal_within_5"}


def test_zero_vectors_are_right_in_nothing_that_speaks_of_vectors() -> None:
    assert answer_with(np.zeros((5, 5))) <= {"values_within_5", "orthogonal_within_5"}
    assert answer_with(np.zeros((5, 5)), np.zeros(5)) <= {"orthogonal_within_5"}


def test_singular_vectors_are_judged_by_both_sides() -> None:
    task = Matrix(operation="singular_vectors", rows=3, columns=4)
    u, v = rotation(3), rotation(4)[:, :3]
    values = np.array([8.0, 3.0, 1.0])
    matrix, wanted = u @ np.diag(values) @ v.T, np.vstack([values, u, v])
    assert passed(judged(task, matrix, wanted, wanted)) == of_all(task.measures())
    flipped = np.vstack([values, u * [1, -1, 1], v * [1, -1, 1]])
    assert passed(judged(task, matrix, wanted, flipped)) == of_all(task.measures())
    half = np.vstack([values, u * [1, -1, 1], v])
    kept = {"values_within_5", "unit_norm_within_5", "orthogonal_within_5"}
    assert passed(judged(task, matrix, wanted, half)) == kept
    long = np.vstack([values, u, v * [1, 1, 1.06]])
    assert "unit_norm_within_5" not in passed(judged(task, matrix, wanted, long))


@pytest.mark.parametrize(("given", "right"), [(3.0, 1.0), (2.0, 0.0), (3.01, 0.0), (-3.0, 0.0)])
def test_a_rank_is_right_or_wrong(given: float, right: float) -> None:
    found = judged(Matrix(operation="rank"), np.zeros(25), [3.0], [given])
    assert found == {"exact": right}
