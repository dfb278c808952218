"""An axis of any kind that there is a file for in `axes/`."""

from typing import TYPE_CHECKING

from sweeps import axes as folder
from sweeps.axes.when import When
from sweeps.axis import Axis
from trainers.plugins import union

if TYPE_CHECKING:
    AnyAxis = Axis
else:
    AnyAxis = union(folder, Axis)
    When.model_rebuild(_types_namespace={"AnyAxis": AnyAxis})  # it holds axes of every kind
