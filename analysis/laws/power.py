"""A power law that falls to zero."""

import math

from analysis.law import Coefficient, Input, Law
from analysis.terms import power

LAW = Law(
    name="power",
    formula="L(x) = b / x^c",
    source="Kaplan et al. 2020, arXiv:2001.08361, section 1.2",
    inputs=(Input("x", "scale: width, parameters, examples, ...", levels=2),),
    coefficients=(
        Coefficient("b", "loss at x = 1", low=0.0, high=math.inf),
        Coefficient(
            "c", "exponent of x", low=-10.0, high=10.0, starts=tuple(n / 4 for n in range(-16, 33))
        ),
    ),
    terms=(power("b", of="x", exponent="c"),),
)
