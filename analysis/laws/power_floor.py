"""A power law that falls to an irreducible loss."""

import math

from analysis.law import Coefficient, Input, Law
from analysis.terms import constant, power

LAW = Law(
    name="power_floor",
    formula="L(x) = E + b / x^c",
    source="Henighan et al. 2020, arXiv:2010.14701, equation 1.1",
    inputs=(Input("x", "scale: width, parameters, examples, ...", levels=3),),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0, high=math.inf),
        Coefficient("b", "reducible loss at x = 1", low=0.0, high=math.inf),
        Coefficient(
            "c",
            "exponent of x",
            low=0.01,
            high=10.0,
            starts=tuple(0.02 * 400 ** (n / 47) for n in range(48)),
        ),
    ),
    terms=(constant("E"), power("b", of="x", exponent="c")),
)
