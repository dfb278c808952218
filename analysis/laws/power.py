"""A power law that falls to zero."""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="power",
    formula="loss = b / x^c",
    source="Kaplan et al. 2020, arXiv:2001.08361, section 1.2",
    inputs=(Input("x", "scale: width, parameters, examples, ...", levels=2),),
    coefficients=(
        Coefficient("b", "loss at x = 1", low=0.0),
        Coefficient("c", "exponent of x", low=-10.0, high=10.0, starts=(-4.0, 8.0)),
    ),
)
