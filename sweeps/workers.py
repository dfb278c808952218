"""Where the trials of a sweep train: how many at once, on which kind of GPU, how many sharing one."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator

from trainers.engine.execution import Mode
from trainers.schema import Frozen, InputError, first_problem, spelled

DeviceKind = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


class Workers(Frozen):
    """What a sweep asks of a Ray cluster; without it, one worker for each GPU, or for each processor.

    `count` is for a cluster that grows when it is asked for more than it has. `device_kind` is a GPU as
    Ray names it (`lawsweep doctor --address` lists them): A100, H100, T4. Several packs share a GPU where
    one alone leaves it idle; their memory is not fenced. A trial that is too large for one GPU trains
    on several of one machine, each of which takes its share of every batch. How steps are run
    (`execution`) and how many trials train at once (`pack`) are measured, unless they are said here.
    """

    count: int | None = Field(default=None, ge=1, le=100_000)
    device_kind: DeviceKind | None = None
    packs_per_gpu: int = Field(default=1, ge=1, le=64)
    gpus_per_trial: int = Field(default=1, ge=1, le=64)
    execution: Literal["auto", "eager", "compiled", "graphed"] = "auto"
    pack: int | None = Field(default=None, ge=1, le=64)

    @field_validator("gpus_per_trial")
    @classmethod
    def _shares_no_gpu(cls, count: int, info: ValidationInfo) -> int:
        if count > 1 and info.data.get("packs_per_gpu", 1) > 1:
            raise ValueError(
                f"expected 1 where {info.data['packs_per_gpu']} packs share a GPU, got {count}"
            )
        return count

    def but(self, **given: int | str | None) -> "Workers":
        """A copy with what is given on the command line in place of what the sweep file says.

        Raises:
            InputError: not a value that the field may have.
        """
        changed = {name: value for name, value in given.items() if value is not None}
        try:
            return Workers.model_validate({**self.model_dump(), **changed})
        except ValidationError as error:
            place, words = first_problem(error, changed)
            raise InputError(f"--{spelled(place).replace('_', '-')}: {words}") from error

    @property
    def mode(self) -> Mode | None:
        """How steps are to be run; None: as is fastest."""
        return None if self.execution == "auto" else self.execution

    def on_one_machine(self, device: str, devices: int) -> int:
        """How many workers train on a machine with so many GPUs, or processors where it has none.

        Raises:
            InputError: a trial needs more GPUs than there are.
        """
        gpus = devices if device == "cuda" else 0
        if self.gpus_per_trial > max(1, gpus):
            raise InputError(
                f"gpus_per_trial: expected a machine with {self.gpus_per_trial} GPUs, this one has"
                f" {gpus or 'none'}"
            )
        if self.count is not None:
            return self.count
        return devices * self.packs_per_gpu // self.gpus_per_trial if gpus else devices
