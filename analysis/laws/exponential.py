"""Exponential saturation: a loss that reaches its floor faster than any power, or more slowly.

Use it beside `power_floor` for curves over training steps or examples on small and finite tasks, where
what is left may vanish exponentially. E and b are in the unit of the loss, s in the unit of x, and k is
a pure number: 1 is a plain exponential, below it a stretched one. With k near 0 it can hardly be told
from a power law, and E, b and k trade off; runs on the plateau are what determines E.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="exponential",
    formula="loss = E + b * exp(-(x / s)^k)",
    source="Viering and Loog 2021, arXiv:2103.10948; here with a stretch k",
    inputs=(Input("x", "scale: steps, examples, width, ...", levels=4),),
    coefficients=(
        Coefficient("E", "loss at the end, in the unit of the loss", low=0.0),
        Coefficient("b", "loss that is lost from x = 0 to the end", low=0.0),
        Coefficient(
            "s",
            "x at which all but 1/e of it is gone",
            low=1e-6,
            high=1e6,
            starts=(1e-3, 1e2),
            log=True,
            of="x",
        ),
        Coefficient("k", "stretch: 1 is a plain exponential", 0.05, 10.0, starts=(0.1, 4.0)),
    ),
)
