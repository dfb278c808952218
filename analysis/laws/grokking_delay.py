"""Steps until a model generalises, which grow without bound as the data shrink to a least amount.

Use it for runs on more and less training data: x0 is the data (examples, or a share of all) at which a
model never generalises, a is the ln of the steps at twice x0, and g says how steeply they grow towards
it. A run that ended before it generalised is censored, which the column `censored` must say: its steps
are a lower bound, and to drop it would bias x0. The delay also depends on weight decay and learning
rate, so only runs that share both belong in one fit. The form is empirical.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="grokking_delay",
    # At and below x0 the prediction is so large that only a run that never generalised agrees.
    formula="log(steps) = a - g * log(max(x / x0 - 1, 1e-6))",
    source=(
        "an empirical form; that the steps grow quickly as data shrink: "
        "Power et al. 2022, arXiv:2201.02177"
    ),
    inputs=(Input("x", "training examples, or the share of all that are trained on", levels=3),),
    coefficients=(
        Coefficient("a", "ln of the steps at twice x0"),
        Coefficient("g", "how quickly the steps grow towards x0", low=0.0, high=20.0),
        Coefficient(
            "x0",
            "data at which a model never generalises",
            low=1e-4,
            high=10.0,
            starts=(0.01, 4.0),
            log=True,
            of="x",
        ),
    ),
    objective=Objective(kind="normal"),
)
