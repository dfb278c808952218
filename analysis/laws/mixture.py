"""Loss as a function of the shares of several domains, of size and of tokens, which add up.

So the best shares are the same at every scale. The law of Shukor et al. is E + 1 / sum_i C_i h_i^g_i +
A / N^alpha + B / D^beta. Here K = 1 / C_1 and c_i = C_i / C_1, so that the size of the mixture term
enters linearly. `mixture:3` has three domains. E, K, A and B are in the unit of the loss, the c_i and
g_i pure numbers. The shares of a run sum to 1, so runs must move them independently, with each domain
nearly alone in some; best shares at the edge of what was run are not to be trusted. Small domains
repeat in long runs, which the law does not see.
"""

from analysis.law import Coefficient, Input, Law
from trainers.schema import InputError

MOST = 12  # domains


def make(domains: int) -> Law:
    """The law with that many domains, whose shares are the inputs share_1, share_2, ...

    Raises:
        InputError: there are fewer than two domains, or too many.
    """
    if not 2 <= domains <= MOST:
        raise InputError(f"law mixture: expected a size of 2 to {MOST}, got {domains}")
    numbers = range(1, domains + 1)
    return Law(
        name="mixture" if domains == 2 else f"mixture:{domains}",
        formula=f"loss = E + K / ({_mixed(domains)}) + A / params^alpha + B / tokens^beta",
        source="Shukor et al. 2025, arXiv:2507.09404",
        inputs=(
            Input("params", "N, non-embedding parameters", levels=2),
            Input("tokens", "D, training tokens", levels=2),
            *(
                Input(f"share_{number}", f"share of domain {number}", levels=3, positive=False)
                for number in numbers
            ),
        ),
        coefficients=(
            Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
            Coefficient("K", "loss that the mixture adds with domain 1 alone", low=0.0),
            Coefficient("A", "loss that size removes, at N = 1", low=0.0),
            Coefficient("B", "loss that data removes, at D = 1", low=0.0),
            Coefficient("alpha", "size exponent", low=0.01, high=2.0, starts=(0.05, 1.5)),
            Coefficient("beta", "data exponent", low=0.01, high=2.0, starts=(0.05, 1.5)),
            *(_relative(f"c_{number}", f"weight of domain {number}") for number in numbers[1:]),
            *(
                Coefficient(f"g_{number}", f"exponent of domain {number}", 0.01, 5.0, (0.05, 2.0))
                for number in numbers
            ),
        ),
    )


def _mixed(domains: int) -> str:
    # A share may be 0, whose logarithm (in a derivative) is infinite.
    parts = [f"max(share_{number}, 1e-300)^g_{number}" for number in range(1, domains + 1)]
    return " + ".join([parts[0], *(f"c_{n} * {part}" for n, part in enumerate(parts[1:], start=2))])


def _relative(name: str, meaning: str) -> Coefficient:
    return Coefficient(name, f"{meaning}, relative to domain 1", 1e-4, 1e4, (0.05, 20.0), log=True)


LAW = make(2)
