"""Mean error on tasks as a function of the loss on text.

The second step of a forecast: size and data give the loss, the loss gives the error. eps is the error
of a model that knows nothing and k what is gone at a loss of 0, both as shares of 1; s has the unit of
the loss (the source's gamma is 1 / s). Use it for a mean over many tasks that rises steadily; a single
task with a sudden rise wants `sigmoid`. With losses over a narrow range eps, k and s trade off: fix eps
to the error of guessing. The relation moves with the text on which the loss is measured.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="error_of_loss",
    # The source's gamma is 1 / s; s has the unit of the loss, so that its search fits any table.
    formula="error = eps - k * exp(-loss / s)",
    source="Gadre et al. 2024, arXiv:2403.08540",
    inputs=(Input("loss", "loss on text, in any unit", levels=3),),
    coefficients=(
        Coefficient("eps", "error of a model that knows nothing", low=0.0),
        Coefficient("k", "error that is gone at a loss of 0", low=0.0),
        Coefficient(
            "s",
            "rise of the loss that takes the gain over eps to 1/e of it",
            low=1e-3,
            high=1e3,
            starts=(0.02, 10.0),
            log=True,
            of="loss",
        ),
    ),
    objective=Objective(kind="squares", residual="plain"),
)
