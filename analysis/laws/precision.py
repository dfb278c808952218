"""Loss of models that train in few bits: parameters in P bits count as N (1 - e^(-P / gamma)).

`precision` has the bits of weights; `precision:2` also those of activations, `precision:3` also those
of the key-value cache, each with a factor of its own. Use it for sweeps over bits, size and tokens;
gamma_weight (and gamma_activation, gamma_cache) are in bits, E, A and B in the unit of the loss, alpha
and beta are exponents. A gamma is determined by runs with so few bits that the loss suffers; where no
run has, its factor is 1 and gamma runs to its bound. Integer and floating formats of equally many bits
differ: keep them in fits of their own.
"""

from analysis.law import Coefficient, Input, Law
from trainers.schema import InputError

KINDS = ("weight", "activation", "cache")


def make(kinds: int) -> Law:
    """The law with the bits of 1, 2 or 3 kinds of numbers.

    Raises:
        InputError: `kinds` is none of these.
    """
    if not 1 <= kinds <= len(KINDS):
        raise InputError(f"law precision: expected a size of 1 to {len(KINDS)}, got {kinds}")
    named = KINDS[:kinds]
    counted = " * ".join(f"(1 - exp(-{name}_bits / gamma_{name}))" for name in named)
    return Law(
        name="precision" if kinds == 1 else f"precision:{kinds}",
        formula=f"loss = E + A / (params * {counted})^alpha + B / tokens^beta",
        source="Kumar et al. 2024, arXiv:2411.04330, equations 3 and 4",
        inputs=(
            Input("params", "N, non-embedding parameters", levels=3),
            Input("tokens", "D, training tokens", levels=3),
            *(Input(f"{name}_bits", f"bits of a {name} in training", levels=2) for name in named),
        ),
        coefficients=(
            Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
            Coefficient("A", "loss that size removes, at N = 1 and full precision", low=0.0),
            Coefficient("B", "loss that data removes, at D = 1", low=0.0),
            Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
            Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.02, 1.9)),
            *(
                Coefficient(
                    f"gamma_{name}",
                    f"bits of a {name} that matter",
                    1e-4,
                    1e3,
                    (0.02, 5.0),
                    log=True,
                    of=f"{name}_bits",
                )
                for name in named
            ),
        ),
    )


LAW = make(1)
