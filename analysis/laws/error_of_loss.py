"""Mean error on tasks as a function of the loss on text."""

from analysis.law import Coefficient, Input, Law
from analysis.objective import Objective

LAW = Law(
    name="error_of_loss",
    formula="error = eps - k * exp(-gamma * loss)",
    source="Gadre et al. 2024, arXiv:2403.08540",
    inputs=(Input("loss", "loss on text, in any unit", levels=3),),
    coefficients=(
        Coefficient("eps", "error of a model that knows nothing", low=0.0),
        Coefficient("k", "error that is gone at a loss of 0", low=0.0),
        Coefficient("gamma", "per unit of loss", low=1e-3, high=1e3, starts=(0.01, 50.0), log=True),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
