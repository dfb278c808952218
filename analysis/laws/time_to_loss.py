"""Steps, tokens or seconds until a loss is reached; a run that ended before it is censored.

The inverse of loss = E (1 + (k / time)^(1 / g)), with k = exp(a). Use it to ask how long a target
takes: a is the ln of the time to a loss of 2 E, in the unit of time, g is 1 over the exponent of time,
and E the irreducible loss. Give runs that never came to the target with the time at which they ended
and a column `censored`; to drop them makes every target look cheaper. Times to several losses in one
run move together (name the run as the cluster), and near E a small error of E is a large one of time.
"""

from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="time_to_loss",
    # At and below E the prediction is so large that only a run that never came there agrees.
    formula="log(time) = a - g * log(max(loss / E - 1, 1e-6))",
    source="the inverse of Henighan et al. 2020, arXiv:2010.14701, equation 1.1",
    inputs=(Input("loss", "the loss to be reached", levels=3),),
    coefficients=(
        Coefficient("a", "ln of the time to a loss of 2 E"),
        Coefficient("g", "1 over the exponent of time", low=0.0, high=100.0),
        Coefficient(
            "E",
            "irreducible loss, in the unit of the loss",
            low=1e-4,
            high=10.0,
            starts=(0.01, 4.0),
            log=True,
            of="loss",
        ),
    ),
    objective=Objective(kind="normal"),
)
