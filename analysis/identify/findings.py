"""What the data of a fit cannot tell, in words, and which runs would."""

from analysis.finding import Finding
from analysis.identify.draws import resampled
from analysis.identify.evidence import Evidence, is_perfect
from analysis.identify.flatness import flatness
from analysis.identify.inputs import design
from analysis.identify.optimum import bounds, curvature, optima, search, steep, weak
from analysis.identify.rows import carried


def findings(on: Evidence) -> tuple[Finding, ...]:
    """Everything that a reader of the fit must know, the gravest first."""
    # Where nothing is left to explain, noise explains no other coefficients.
    flats = () if is_perfect(on) else flatness(on)
    uncertain = weak(on, flats)
    found = [
        *search(on, flats),
        *design(on),
        *bounds(on, uncertain.named),
        *curvature(on, uncertain.named),
        *uncertain.findings,
        *optima(on, flats),
        *steep(on),
        *resampled(on, uncertain.named),
    ]
    # Of a fit that cannot be used it does not matter which rows carry it.
    if not any(one.status for one in found):
        found += carried(on)
    return tuple(sorted(found, key=lambda one: not one.status))
