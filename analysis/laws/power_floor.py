"""A power law that falls to an irreducible loss."""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="power_floor",
    formula="loss = E + b / x^c",
    source="Henighan et al. 2020, arXiv:2010.14701, equation 1.1",
    inputs=(Input("x", "scale: width, parameters, examples, ...", levels=3),),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("b", "reducible loss at x = 1", low=0.0),
        Coefficient("c", "exponent of x", low=0.01, high=10.0, starts=(0.02, 8.0)),
    ),
)
