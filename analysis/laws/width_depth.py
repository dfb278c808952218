"""Loss as a function of the width and depth of a model and of its training tokens.

Use it to choose a shape: E, A, B and C are in the unit of the loss; width, depth and data have the
exponents alpha, beta and gamma. Models must differ in width at equal depth and the other way round;
along one family, where both grow together, only the sum of their terms is determined. Depth has few
levels in most sweeps, so its exponent has a wide interval. The learning rate has to be tuned, or to
transfer, over width and depth, or the law describes the tuning.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="width_depth",
    formula="loss = E + A / width^alpha + B / depth^beta + C / tokens^gamma",
    source="McLeish et al. 2025, arXiv:2502.06857; depth_width.py of their code",
    inputs=(
        Input("width", "size of the residual stream", levels=3),
        Input("depth", "layers", levels=3),
        Input("tokens", "D, training tokens", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("A", "loss that width removes, at width 1", low=0.0),
        Coefficient("B", "loss that depth removes, at depth 1", low=0.0),
        Coefficient("C", "loss that data removes, at D = 1", low=0.0),
        Coefficient("alpha", "width exponent", low=0.01, high=3.0, starts=(0.02, 2.5)),
        Coefficient("beta", "depth exponent", low=0.01, high=3.0, starts=(0.02, 2.5)),
        Coefficient("gamma", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
    ),
)
