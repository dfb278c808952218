"""What is measured on a GPU, in the order of its worth: the later parts take what time is left."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from tests.benchmarks import gpu_work
from tests.benchmarks.gpu_watch import Watch
from tests.benchmarks.shapes import Shape
from trainers.engine.execution import Execution, Mode

_PUBLISHED_EXAMPLES = 90_000_000  # 300 epochs of 300,000
_RATE = "examples/s"
PLAIN, INT2INT = "plain PyTorch module", "loop in Int2Int's style"
MODES: tuple[Mode, ...] = ("eager", "graphed", "compiled")


@dataclass(frozen=True)
class Sizes:
    """How large and how long: of the whole program, or of a quick one."""

    small: Shape  # where packs are worth most
    wide: Shape  # where one trial begins to fill a card
    full: Shape  # where it fills it
    published: Shape
    packs: tuple[int, ...]
    grid: tuple[Shape, ...]
    product: int
    copied: int
    measure_s: float
    published_s: float


def _grid() -> Iterator[Shape]:
    for layers in (2, 1, 4):
        for batch in (256, 64):
            for width in (64, 128, 256, 512):
                yield Shape(0, layers, width, batch)


WHOLE = Sizes(
    small=Shape(0, 2, 128, 256),
    wide=Shape(0, 2, 512, 256, heads=8),
    full=Shape(4, 4, 512, 2_048, heads=8, precision="bfloat16"),
    published=Shape(4, 4, 512, 256, heads=8, base=1_000, precision="bfloat16"),
    packs=(1, 2, 4, 8, 16, 32, 64),
    grid=tuple(_grid()),
    product=8_192,
    copied=1 << 30,
    measure_s=0.7,
    published_s=60.0,
)
QUICK = Sizes(
    small=Shape(0, 1, 16, 8),
    wide=Shape(0, 1, 32, 8),
    full=Shape(1, 1, 32, 16, precision="bfloat16"),
    published=Shape(1, 1, 16, 8, base=1_000),
    packs=(1, 2),
    grid=(Shape(0, 1, 8, 4),),
    product=256,
    copied=1 << 20,
    measure_s=0.05,
    published_s=0.5,
)


@dataclass(frozen=True)
class Program:
    """All parts, on one device."""

    watch: Watch
    sizes: Sizes
    modes: tuple[Mode, ...]

    def run(self) -> None:
        """The parts one after the other; the grid takes what time is left."""
        parts = {
            "card": self.card,
            "packs": self.small,
            "wide": self.wide,
            "full": self.full,
            "published run": self.published,
            "examples": self.examples,
            "deterministic kernels": self.deterministic,
            "all shapes": self.rest,
        }
        for name, part in parts.items():
            self.watch.part(name, part)

    def card(self) -> None:
        """What the card can do at most."""
        sizes, device = self.sizes, self.watch.device
        for dtype, name in ((torch.bfloat16, "bfloat16"), (torch.float32, "float32")):
            work = partial(gpu_work.product_rate, sizes.product, dtype, device, sizes.measure_s)
            self.watch.measure("card", f"{name} products", "TFLOP/s", 10, work)
        work = partial(gpu_work.copy_rate, sizes.copied, device, sizes.measure_s)
        self.watch.measure("card", "copy, read and written", "GB/s", 10, work)

    def small(self) -> None:
        """Packs against lone trials, a module, and a loop in Int2Int's style."""
        shape = self.sizes.small
        for one in (shape, replace(shape, precision="bfloat16")):
            self._plain(one)
            for trials in self.sizes.packs:
                self._ours(one, trials, "graphed")
            for trials in self.sizes.packs[::3]:
                self._ours(one, trials, "eager")
        for one in (shape, replace(shape, precision="bfloat16")):
            for trials in (1, self.sizes.packs[-1] // 4 or 1):
                self._ours(one, trials, "compiled")
        both = replace(shape, encoder=shape.decoder)
        self._int2int(both)
        for one in (both, replace(both, precision="bfloat16")):
            self._ours(one, self.sizes.packs[-1], "graphed")

    def wide(self) -> None:
        """One trial, which packs cannot help any more."""
        for one in (self.sizes.wide, replace(self.sizes.wide, precision="bfloat16")):
            self._plain(one)
            for mode in MODES:
                self._ours(one, 1, mode)

    def full(self) -> None:
        """The share of the card's matrix rate; eager last, as it is the slowest."""
        shape = self.sizes.full
        for mode in reversed(MODES):
            self._ours(shape, 1, mode)
        self._plain(shape)
        self._int2int(replace(shape, precision="float32"))

    def published(self) -> None:
        """The run of the paper, in its own batches and in large ones."""
        watch, shape, seconds = self.watch, self.sizes.published, self.sizes.published_s
        full = part_of(self.sizes.full)
        mode = max(self.modes, key=lambda mode: watch.value(full, arm_of(1, mode)) or 0.0)
        large = replace(shape, batch=8 * shape.batch)
        for one, lasting_s in ((shape, seconds), (large, seconds / 3)):
            work = partial(
                gpu_work.whole_run_minutes,
                one,
                _PUBLISHED_EXAMPLES,
                Execution(mode),
                watch.device,
                lasting_s,
            )
            what = f"{_PUBLISHED_EXAMPLES:,} examples, {mode}"
            watch.measure(part_of(one), what, "minutes", 1.3 * lasting_s + 45, work)

    def examples(self) -> None:
        """How fast training examples are made."""
        digits = {"kind": "digits", "base": 10}
        thousands = {"kind": "digits", "base": 1_000}
        tasks: dict[str, dict[str, object]] = {
            "GCD, base 10": {"task": {"kind": "gcd"}, "encoding": digits},
            "GCD, base 1000": {"task": {"kind": "gcd"}, "encoding": thousands},
            "modular, base 1000": {"task": {"kind": "modular"}, "encoding": thousands},
            "addition, up to 20 digits": {
                "task": {"kind": "addition", "digits": [1, 20]},
                "encoding": {"kind": "characters"},
            },
        }
        for name, fields in tasks.items():
            work = partial(gpu_work.generator_rate, fields, self.watch.device, self.sizes.measure_s)
            self.watch.measure("examples made", name, _RATE, 8, work)

    def deterministic(self) -> None:
        """What deterministic kernels cost an eager trial."""
        for shape in (self.sizes.small, self.sizes.wide):
            for wanted in (True, False):
                self.watch.measure(
                    part_of(shape),
                    "deterministic kernels" if wanted else "any kernels",
                    _RATE,
                    12,
                    partial(self._with_kernels, shape, wanted),
                )

    def rest(self) -> None:
        """All other shapes: lone trials, then packs, as far as time goes."""
        for shape in self.sizes.grid:
            for trials in (1, 16):
                self._ours(shape, trials, "graphed")
            self._ours(shape, 1, "eager")
        for shape in self.sizes.grid:
            for trials in (4, 64):
                self._ours(shape, trials, "graphed")
            self._ours(replace(shape, precision="bfloat16"), 1, "graphed")
        for shape in self.sizes.grid:
            self._ours(shape, 1, "compiled")

    def _with_kernels(self, shape: Shape, wanted: bool) -> float:
        with gpu_work.deterministic(wanted):
            return gpu_work.pack_rate(
                shape, 1, Execution(), self.watch.device, self.sizes.measure_s
            )

    def _ours(self, shape: Shape, trials: int, mode: Mode) -> None:
        part, what = part_of(shape), arm_of(trials, mode)
        if self.watch.knows(part, what):
            return
        if mode not in self.modes:
            why = "needs CUDA" if mode == "graphed" else "too long for a quick run"
            self.watch.say(part, what, _RATE, f"skipped: {why}")
            return
        device = self.watch.device
        if device.type == "cuda":
            needed, room = gpu_work.bytes_of(shape, trials), gpu_work.room_bytes(device)
            if needed > room:
                why = f"needs {needed / 1e9:,.0f} GB of memory"
                self.watch.say(part, what, _RATE, f"skipped: {why}")
                return
        work = partial(
            gpu_work.pack_rate, shape, trials, Execution(mode), device, self.sizes.measure_s
        )
        self.watch.measure(part, what, _RATE, 75 if mode == "compiled" else 15, work)

    def _plain(self, shape: Shape) -> None:
        work = partial(gpu_work.plain_rate, shape, self.watch.device, self.sizes.measure_s)
        self.watch.measure(part_of(shape), PLAIN, _RATE, 10, work)

    def _int2int(self, shape: Shape) -> None:
        work = partial(gpu_work.int2int_rate, shape, self.watch.device, self.sizes.measure_s)
        self.watch.measure(part_of(shape), INT2INT, _RATE, 20, work)


def part_of(shape: Shape) -> str:
    """The part of the table in which a shape stands."""
    base = "" if shape.base == 10 else f", base {shape.base}"
    return f"{shape.name}{base}, {shape.precision}"


def arm_of(trials: int, mode: Mode) -> str:
    """What a figure of ours is called."""
    return f"1 trial, {mode}" if trials == 1 else f"pack of {trials}, {mode}"
