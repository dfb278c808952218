"""Power laws joined smoothly at breaks, with an irreducible loss; `broken:2` has two breaks.

Use it where the slope on log-log axes changes once or more inside the range that was measured. E is in
the unit of the loss, b the rest at x = 1 were there no break, c0 the exponent before the first break,
which lies at d1 (in the unit of x); c1, c2, ... are what each break adds to it, f1, f2, ... their
widths in ln x, and r2 the place of the second over that of the first. A break beyond the largest run
cannot be foreseen, and one of fewer than three points on either side is hardly told from noise: compare
with `power_floor` on held-out scales before believing in it.
"""

from analysis.law import Coefficient, Input, Law
from trainers.schema import InputError

MOST = 4
# The largest change of the exponent, and the least and the largest width. Several breaks that are
# free to be steep and wide cancel each other, and fit nothing but noise by what is left over.
LONE, AMONG_OTHERS = (20.0, 0.01, 20.0), (5.0, 0.05, 2.0)


def make(breaks: int) -> Law:
    """The law with that many breaks. Source: see `LAW.source`.

    The n-th break lies at d1 r2 ... rn: ratios above 1 keep the breaks in order, where free places
    could change their names from one fit to the next.

    Raises:
        InputError: there are more breaks than a table could tell.
    """
    if not 0 <= breaks <= MOST:
        raise InputError(f"law broken: expected 0 to {MOST} breaks, got {breaks}")
    formula = "loss = E + b / x^c0"
    coefficients = [
        Coefficient("E", "irreducible loss, in the unit of the loss", low=0.0),
        Coefficient("b", "reducible loss at x = 1, were there no break", low=0.0),
        Coefficient("c0", "exponent of x before the first break", -5.0, 10.0, starts=(-0.1, 0.8)),
    ]
    for one in range(1, breaks + 1):
        place = " / ".join(["d1", *(f"r{other}" for other in range(2, one + 1))])
        # (1 + (x / d)^(1 / f))^(-c f), written so that a sharp break does not overflow.
        formula += f" * exp(-c{one} * f{one} * softplus(log(x / {place}) / f{one}))"
        coefficients += _break(one, LONE if breaks == 1 else AMONG_OTHERS)
    return Law(
        name="broken" if breaks == 1 else f"broken:{breaks}",
        formula=formula,
        source="Caballero et al. 2022, arXiv:2210.14891",
        inputs=(Input("x", "scale: parameters, examples, compute, ...", levels=3 + 3 * breaks),),
        coefficients=tuple(coefficients),
    )


def _break(one: int, bounds: tuple[float, float, float]) -> tuple[Coefficient, ...]:
    steepest, sharpest, widest = bounds
    if one == 1:
        place = Coefficient(
            "d1", "x at the first break", low=1e-6, high=1e6, starts=(3e-3, 30.0), log=True, of="x"
        )
    else:
        place = Coefficient(
            f"r{one}",
            f"x at break {one} over that at break {one - 1}",
            low=2.0,
            high=1e12,
            starts=(4.0, 1e3),
            log=True,
        )
    return (
        Coefficient(
            f"c{one}",
            f"what break {one} adds to the exponent",
            -steepest,
            steepest,
            starts=(-1.0, 1.0),
        ),
        place,
        Coefficient(
            f"f{one}",
            f"width of break {one} in ln x; 0 is a kink",
            low=sharpest,
            high=widest,
            starts=(0.15, 0.8),
            log=True,
        ),
    )


LAW = make(1)
