"""Loss of models that are rounded to few bits after training: more so the more tokens they saw.

The bits lost cost C D^gamma_D / N^gamma_N e^(-P / gamma): a model may become worse by more data. Use it
for models that were trained in full precision and evaluated at several P, rows with a very large P
being those that were not rounded. E, A, B and C are in the unit of the loss, alpha and beta exponents,
and gamma is in bits; C stands for N = D = 1 and no bits, far outside of the data. The rows of one model
are one cluster. The coefficients belong to one method of rounding.
"""

from analysis.law import Coefficient, Input, Law

LAW = Law(
    name="precision_after",
    formula="loss = E + A / params^alpha + B / tokens^beta"
    " + C * tokens^gamma_D / params^gamma_N * exp(-bits / gamma)",
    source="Kumar et al. 2024, arXiv:2411.04330, equation 2",
    inputs=(
        Input("params", "N, non-embedding parameters", levels=3),
        Input("tokens", "D, training tokens", levels=3),
        Input("bits", "P, bits of a weight after training", levels=3),
    ),
    coefficients=(
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("A", "loss that size removes, at N = 1", low=0.0),
        Coefficient("B", "loss that data removes, at D = 1", low=0.0),
        Coefficient("C", "loss that rounding adds, at N = D = 1 and no bits", low=0.0),
        Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
        Coefficient("gamma_D", "data exponent of rounding", low=0.0, high=3.0, starts=(0.05, 1.5)),
        Coefficient("gamma_N", "size exponent of rounding", low=0.0, high=3.0, starts=(0.05, 1.5)),
        Coefficient(
            "gamma",
            "bits by which rounding falls by e",
            1e-4,
            1e2,
            (0.02, 2.0),
            log=True,
            of="bits",
        ),
    ),
)
