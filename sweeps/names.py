"""The names and numbers that several parts of a sweep file share, as types that check themselves."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from sweeps.axis import FieldPath

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
MetricName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}(/[a-z][a-z0-9_]{0,63})?$")
]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Written = Annotated[str, Field(min_length=1, max_length=500)]
Where = dict[FieldPath, Any]
"""Fields of a trial and the value each must have; the trials that match are meant."""
