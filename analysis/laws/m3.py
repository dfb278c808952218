"""A power law in 1/x + 1/m: it falls until something other than x limits it, and has no floor.

Use it for learning curves that level off because of the model, not of the data: beyond m (in the unit
of x) more data stop helping, and the loss stays at b / m^c. c is a pure number and b the loss where 1/x
+ 1/m = 1, which usually lies far outside of the data. The source's gamma is 1 / m. Before the curve has
visibly bent, m runs to its bound and the law is a plain power law; `power_floor` bends in much the same
way, so let held-out scales choose between the two.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="m3",
    # The source's gamma is 1 / m; m has the unit of x, so that its search fits any table.
    formula="loss = b * (1 / x + 1 / m)^c",
    source=(
        "Alabdulmohsin et al. 2022, arXiv:2209.06640, estimator M3; "
        "for translation Bansal et al. 2022, arXiv:2202.01994"
    ),
    inputs=(Input("x", "training examples or tokens", levels=3),),
    coefficients=(
        Coefficient("b", "loss at 1/x + 1/m = 1", low=0.0),
        Coefficient(
            "m",
            "x beyond which more of it stops helping; at its upper bound, a plain power law",
            low=1e-4,
            high=1e8,
            starts=(1e-2, 1e4),
            log=True,
            of="x",
        ),
        Coefficient("c", "exponent", low=0.01, high=10.0, starts=(0.02, 4.0)),
    ),
)
