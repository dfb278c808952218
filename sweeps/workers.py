"""Where the trials of a sweep train: how many at once, on which kind of GPU, how many sharing one."""

from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from trainers.schema import Frozen, InputError, first_problem, spelled

DeviceKind = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


class Workers(Frozen):
    """What a sweep asks of a Ray cluster; without it, one worker for each GPU, or for each processor.

    `count` is for a cluster that grows when it is asked for more than it has. `device_kind` is a GPU as
    Ray names it (`lawsweep doctor --address` lists them): A100, H100, T4. Several packs share a GPU where
    one alone leaves it idle; their memory is not fenced.
    """

    count: int | None = Field(default=None, ge=1, le=100_000)
    device_kind: DeviceKind | None = None
    packs_per_gpu: int = Field(default=1, ge=1, le=64)

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

    def on_one_machine(self, device: str, devices: int) -> int:
        """How many workers train on a machine with so many GPUs, or processors where it has none."""
        if self.count is not None:
            return self.count
        return devices * self.packs_per_gpu if device == "cuda" else devices
