"""How far an answer about a matrix is from right, in the measures of the linear algebra papers."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

TOLERANCES = {"5": 0.05, "2": 0.02, "1": 0.01, "0_5": 0.005}
"""Ends of names, in percent, and the relative errors that they stand for."""

_INVERSES = ("inverse", "symmetric_inverse")
_DECOMPOSITIONS = ("eigenvectors", "singular_vectors")
_OF_DECOMPOSITIONS = ("values_within_5", "unit_norm_within_5", "orthogonal_within_5")


def measures_of(operation: str) -> tuple[str, ...]:
    """Names of what `judged` gives for an operation."""
    if operation == "rank":
        return ("exact",)
    within = _named("within")
    if operation in _INVERSES:
        return (*within, *_named("residual_within"))
    if operation in _DECOMPOSITIONS:
        return (*within, *_OF_DECOMPOSITIONS, *(f"wrong_{name}" for name in _OF_DECOMPOSITIONS))
    return within


def judged(
    operation: str,
    rows: int,
    asked: Sequence[Sequence[float]],
    wanted: Sequence[Sequence[float]],
    given: Sequence[Sequence[float] | None],
) -> dict[str, list[float]]:
    """Each measure of each answer: 1.0 for right, 0.0 for wrong, for no answer and for NaN.

    NaN is for answers of which a measure says nothing.

    within_T: sum |given - wanted| < T% of sum |wanted|; of eigenvectors and singular vectors
    instead sum |U^T M V - L| < T% of sum |L|, with U = V for eigenvectors and L the diagonal of
    the values given, so that signs are free. residual_within_T: sum |A P - 1| / n < T%, the
    accuracy of inverses that is published; the true inverse of a 5 x 5 matrix, once rounded to
    three digits, passes it at 5 % for 93 of 100 matrices. values_within_5: the row of values alone.
    unit_norm_within_5: every column has a norm within 5 % of 1. orthogonal_within_5: the cosine
    of every two columns (of U, and of V) is below 0.05. These three again with wrong_ before them:
    of the answers that are not within_5, and NaN for those that are. exact: the rank itself.

    Source: Charton 2021, arXiv:2112.01898, and 2022, arXiv:2211.00170, as in the authors' code.
    """
    usable = [place for place, answer in enumerate(given) if answer is not None]
    results = {name: [0.0] * len(given) for name in measures_of(operation)}
    if not usable:
        return results
    question, truth, answer = (
        torch.tensor([rows_of[place] for place in usable], dtype=torch.float64)
        for rows_of in (asked, wanted, given)
    )
    finite = answer.isfinite().all(dim=-1)
    # a comparison with NaN or infinity may come out either way
    right = _right(operation, rows, question, truth, answer.nan_to_num(0, 0, 0))
    for name, found in right.items():
        for place, correct in zip(usable, (found & finite).tolist(), strict=True):
            results[name][place] = float(correct)
    if operation in _DECOMPOSITIONS:
        for name in _OF_DECOMPOSITIONS:
            of_wrong = zip(results["within_5"], results[name], strict=True)
            results[f"wrong_{name}"] = [math.nan if right else value for right, value in of_wrong]
    return results


def _right(
    operation: str,
    rows: int,
    question: Float[Tensor, "example asked"],
    truth: Float[Tensor, "example answered"],
    answer: Float[Tensor, "example answered"],
) -> dict[str, Bool[Tensor, " example"]]:
    if operation == "rank":
        return {"exact": (answer == truth).all(dim=-1)}
    if operation in _DECOMPOSITIONS:
        return _decomposition(operation, rows, question, truth, answer)
    found = _within("within", _relative(answer - truth, truth))
    if operation in _INVERSES:
        product = question.unflatten(-1, (rows, rows)) @ answer.unflatten(-1, (rows, rows))
        residual = (product - torch.eye(rows, dtype=product.dtype)).abs().sum(dim=(-2, -1))
        found |= _within("residual_within", residual / rows)
    return found


def _decomposition(
    operation: str,
    rows: int,
    question: Float[Tensor, "example asked"],
    truth: Float[Tensor, "example answered"],
    answer: Float[Tensor, "example answered"],
) -> dict[str, Bool[Tensor, " example"]]:
    """Of a row of values above vectors in columns: V, or U and then V."""
    columns = question.shape[-1] // rows
    count = min(rows, columns)
    values, vectors = answer[:, :count], answer[:, count:].unflatten(-1, (-1, count))
    left = vectors[:, :rows]
    right = left if operation == "eigenvectors" else vectors[:, rows:]
    diagonal = torch.diag_embed(values)
    error = left.mT @ question.unflatten(-1, (rows, columns)) @ right - diagonal
    sets = torch.stack([left.mT @ left, right.mT @ right], dim=1)
    norms = sets.diagonal(dim1=-2, dim2=-1).sqrt()
    # below this a column is no direction; the norm, not the angle, then says that it is wrong
    lengths = norms.clamp(min=1e-300)
    cosines = sets / (lengths[..., :, None] * lengths[..., None, :])
    apart = cosines - torch.diag_embed(cosines.diagonal(dim1=-2, dim2=-1))
    true_values = truth[:, :count]
    return {
        **_within("within", _relative(error.flatten(1), diagonal.flatten(1))),
        "values_within_5": _relative(values - true_values, true_values) < 0.05,
        "unit_norm_within_5": ((norms - 1).abs() < 0.05).all(dim=-1).all(dim=-1),
        "orthogonal_within_5": (apart.abs() < 0.05).flatten(1).all(dim=-1),
    }


def _relative(
    error: Float[Tensor, "example entries"], scale: Float[Tensor, "example entries"]
) -> Float[Tensor, " example"]:
    """Sum |error| / sum |scale|; without a scale NaN or infinity, which is within nothing."""
    return error.abs().sum(dim=-1) / scale.abs().sum(dim=-1)


def _within(name: str, error: Float[Tensor, " example"]) -> dict[str, Bool[Tensor, " example"]]:
    return {f"{name}_{end}": error < tolerance for end, tolerance in TOLERANCES.items()}


def _named(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{end}" for end in TOLERANCES)
