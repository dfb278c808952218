"""Checks of what must be equal in one fit: versions, devices, data, and how runs are tested."""

from collections.abc import Iterator

from analysis.checks.columns import DATA, Design, listed
from analysis.identify.findings import Finding

VERSIONS = (
    *("numerics", "numerics_version", "torch", "torch_version", "framework_version"),
    *("device", "device_name", "gpu", "gpu_name", "hardware", "accelerator", "cuda_version"),
    *("dtype", "version", "code_version", "commit", "git_commit"),
)
TESTS = (
    *("evaluation.last_examples", "evaluation.examples", "evaluation.class_examples"),
    *("eval_examples", "eval_tokens", "eval_size", "test_examples", "test_size"),
    *("eval_set", "validation_set", "test_set"),
)


def versions_mixed(design: Design) -> Iterator[Finding]:
    """Runs of several versions of the code, or of several devices, in one fit."""
    for column in VERSIONS:
        words = _mixture(design, column)
        if words is not None:
            yield Finding(
                "versions_mixed",
                f"the fit mixes runs with {words}: a change between them looks like scale where "
                f"they are not spread evenly; fit one at a time (--where '{column} == ...'), or run "
                "one setting under both and compare",
            )


def evaluations_mixed(design: Design) -> Iterator[Finding]:
    """Runs that were tested on sets of other sizes, or on other sets."""
    for column in TESTS:
        # What is measured at the end has its own number of examples, where that is given.
        if column == "evaluation.examples" and _all_given(design, "evaluation.last_examples"):
            continue
        words = _mixture(design, column)
        if words is not None:
            yield Finding(
                "evaluations_mixed",
                f"the fit mixes runs with {words}: their targets are not measured alike, and have "
                f"unlike errors; fit one at a time (--where '{column} == ...'), or test all alike",
            )


def data_mixed(design: Design) -> Iterator[Finding]:
    """Runs that were trained on several data sets, each of which has a law of its own."""
    for column in DATA:
        words = _mixture(design, column)
        if words is not None:
            yield Finding(
                "data_mixed",
                f"the fit mixes runs with {words}: each has an irreducible loss of its own, which "
                f"one law takes for scatter; fit one at a time (--where '{column} == ...')",
            )


def _all_given(design: Design, column: str) -> bool:
    return design.has(column) and all(design.texts(column))


def _mixture(design: Design, column: str) -> str | None:
    """How many rows have which value of a column, where several values stand beside each other."""
    if not design.has(column) or design.uses(column) or column == design.target:
        return None
    found = design.texts(column)
    values = sorted({one for one in found if one})
    if len(values) < 2 or 2 * len(values) > len(found):  # a value a row is a name
        return None
    return f"{column} of {listed([f'{value} ({found.count(value)} rows)' for value in values], 4)}"
