"""The checks of the tests themselves: shapes that a function does not name are found."""

import pytest
import torch
from jaxtyping import TypeCheckError

from tests import shapes
from trainers.data.tasks.superposition import represented


def test_another_shape_is_refused_until_a_test_has_called_the_function_often():
    with pytest.raises(TypeCheckError):
        represented(torch.ones(3))
    for _ in range(shapes._ENOUGH):
        represented(torch.ones(3, 2))
    represented(torch.ones(3).mul(2))  # a vector; nobody looks any more
    shapes.check_again()  # as for the next test
    with pytest.raises(TypeCheckError):
        represented(torch.ones(3))
