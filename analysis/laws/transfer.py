"""Examples of fine-tuning that pre-training was worth: the effective data transferred.

Published from text to Python: alpha = 0.18, beta = 0.38. The target is how much more fine-tuning data a
model from scratch would have needed for the same loss, in the unit of `examples`; k is that at D_F = N
= 1, alpha and beta are pure numbers. It holds where data are few: once they are many, what was
transferred becomes small beside them. Every target is read off another fitted curve, so give its error
as noise.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="transfer",
    formula="transferred = k * examples^alpha * params^beta",
    source="Hernandez et al. 2021, arXiv:2102.01293, equation 1.1",
    inputs=(
        Input("examples", "D_F, tokens or examples of fine-tuning", levels=2),
        Input("params", "N, non-embedding parameters", levels=2),
    ),
    coefficients=(
        Coefficient("k", "data transferred, at D_F = N = 1", low=0.0),
        Coefficient(
            "alpha", "exponent of the fine-tuning data", low=-3.0, high=3.0, starts=(-1.0, 2.0)
        ),
        Coefficient("beta", "size exponent", low=-3.0, high=3.0, starts=(-1.0, 2.0)),
    ),
)
