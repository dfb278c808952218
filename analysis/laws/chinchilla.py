"""Loss as a function of model size and of the tokens it was trained on."""

import math

from analysis.law import Coefficient, Input, Law
from analysis.terms import constant, power

_STARTS = tuple(0.02 * 95 ** (n / 39) for n in range(40))

LAW = Law(
    name="chinchilla",
    formula="L(N, D) = E + A / N^alpha + B / D^beta",
    source="Hoffmann et al. 2022, arXiv:2203.15556, equation 2",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0, high=math.inf),
        Coefficient("A", "loss that size removes, at N = 1", low=0.0, high=math.inf),
        Coefficient("B", "loss that data removes, at D = 1", low=0.0, high=math.inf),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=_STARTS),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=_STARTS),
    ),
    terms=(
        constant("E"),
        power("A", of="params", exponent="alpha"),
        power("B", of="tokens", exponent="beta"),
    ),
)
