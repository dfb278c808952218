import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.trials import square_trial
from trainers.checkpoint import _sealed, newest_checkpoint, write_checkpoint
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Saved

KEY = "00112233445566778899"


def state(step: int = 12, key: str = KEY) -> Saved:
    parts = {name: torch.arange(4.0) + step for name in ("weights", "first", "second")}
    return Saved(key, step, parts, {"loss_sum": 0.1 + step, "loss_steps": 3.0})


def assert_same(one: Saved | None, other: Saved) -> None:
    assert one is not None
    assert (one.key, one.step, one.numbers) == (other.key, other.step, other.numbers)
    assert set(one.tensors) == set(other.tensors)
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, other.tensors[name])


def flipped(content: bytes, place: int, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[place] ^= 1 << bit
    return bytes(damaged)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, state())
    assert path.exists()
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert_same(found, state())
    assert damaged == ()


def test_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    weird = torch.tensor([0.0, -0.0, 1e-45, float("inf"), float("nan"), 3e38])
    written = Saved(KEY, 1, {"weights": weird}, {"loss_sum": 0.1 + 0.2})
    write_checkpoint(tmp_path, written)
    found, _ = newest_checkpoint([tmp_path], KEY)
    assert found is not None
    assert torch.equal(found.tensors["weights"].view(torch.int32), weird.view(torch.int32))
    assert found.numbers == {"loss_sum": 0.1 + 0.2}


def test_a_trial_goes_on_from_the_disk_as_if_never_stopped(tmp_path: Path) -> None:
    config = square_trial()
    whole = list(train([Start(config)]))
    stopped = list(train([Start(config)], should_stop=lambda: True))
    assert isinstance(stopped[-1], Saved)
    write_checkpoint(tmp_path, stopped[-1])
    found, _ = newest_checkpoint([tmp_path], config.key())
    resumed = list(train([Start(config, found)]))
    assert [repr(event) for event in stopped[:-1] + resumed] == [repr(event) for event in whole]


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_every_flipped_byte_is_detected(tmp_path: Path, suffix: str) -> None:
    path = write_checkpoint(tmp_path, state()).with_suffix(suffix)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(flipped(content, place, place % 8))
        found, damaged = newest_checkpoint([tmp_path], KEY)
        assert found is None, (place, content[place])
        assert [each.path for each in damaged] == [path.with_suffix(".pt")]
        assert damaged[0].reason
    path.write_bytes(content)
    assert_same(newest_checkpoint([tmp_path], KEY)[0], state())


@pytest.mark.parametrize("damaged_first", [".pt", ".json"])
def test_behind_a_damaged_checkpoint_the_one_before_serves(
    tmp_path: Path, damaged_first: str
) -> None:
    write_checkpoint(tmp_path, state(11))
    path = write_checkpoint(tmp_path, state(12))
    content = path.with_suffix(damaged_first).read_bytes()
    path.with_suffix(damaged_first).write_bytes(flipped(content, len(content) // 2, 0))
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert_same(found, state(11))
    assert [each.path for each in damaged] == [path]


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_every_truncation_is_detected(tmp_path: Path, suffix: str) -> None:
    path = write_checkpoint(tmp_path, state()).with_suffix(suffix)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        found, damaged = newest_checkpoint([tmp_path], KEY)
        assert found is None, length
        assert len(damaged) == 1
    path.write_bytes(content + b" ")
    assert newest_checkpoint([tmp_path], KEY)[0] is None


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"3", b"{}", b'"text"', b"\xff\xfe", b"[" * 100_000, b"NaN"]
)
def test_any_other_marker_is_passed_over(tmp_path: Path, content: bytes) -> None:
    path = write_checkpoint(tmp_path, state()).with_suffix(".json")
    path.write_bytes(content)
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert found is None
    assert len(damaged) == 1
    assert "\n" not in damaged[0].reason


def test_a_file_without_its_marker_is_no_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, state(11))
    write_checkpoint(tmp_path, state(12)).with_suffix(".json").unlink()
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert_same(found, state(11))
    assert damaged == ()


def test_a_marker_without_its_file_is_named_as_damaged(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, state(11))
    path = write_checkpoint(tmp_path, state(12))
    path.unlink()
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert_same(found, state(11))
    assert [each.path for each in damaged] == [path]


def test_the_checkpoint_of_another_trial_is_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, state(key="ffffffffffffffffffff"))
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert found is None
    assert damaged[0].path == path
    assert KEY in damaged[0].reason


def test_the_tensors_of_another_trial_under_our_marker_are_refused(tmp_path: Path) -> None:
    other = write_checkpoint(tmp_path, state(12, key="ffffffffffffffffffff")).read_bytes()
    path = write_checkpoint(tmp_path, Saved(KEY, 12, {"weights": torch.zeros(3)}, {}))
    path.write_bytes(other)
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert found is None
    assert "sha256" in damaged[0].reason


def test_no_checkpoint_is_none_and_nothing_damaged(tmp_path: Path) -> None:
    assert newest_checkpoint([tmp_path, tmp_path / "missing"], KEY) == (None, ())
    assert newest_checkpoint([], KEY) == (None, ())


def test_the_newest_of_several_attempts_is_taken(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, steps in ((first, (10, 30)), (second, (20, 25))):
        folder.mkdir()
        for step in steps:
            write_checkpoint(folder, state(step))
    assert_same(newest_checkpoint([first, second], KEY)[0], state(30))
    shutil.rmtree(first)
    assert_same(newest_checkpoint([second], KEY)[0], state(25))


def test_only_two_are_kept_and_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    steps = (99_999_998, 99_999_999, 100_000_000, 9_999_999_999)
    for step in steps:
        write_checkpoint(tmp_path, state(step))
        assert_same(newest_checkpoint([tmp_path], KEY)[0], state(step))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    assert {int(path.stem.split("-")[1]) for path in tmp_path.glob("*.pt")} == set(steps[-2:])


def test_what_a_killed_removal_left_is_cleared(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, state(1)).with_suffix(".json").unlink()
    write_checkpoint(tmp_path, state(2))
    assert {path.stem for path in tmp_path.iterdir()} == {"checkpoint-00000002"}


class Bomb:
    """Creates a file when it is unpickled carelessly."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (os.mkdir, (str(self.canary),))


def test_a_pickle_bomb_does_not_go_off(tmp_path: Path) -> None:
    """Its marker is in order: whoever can write the folder can write that, too."""
    folder, canary = tmp_path / "attempt", tmp_path / "canary"
    folder.mkdir()
    content = {"tensors": {"weights": Bomb(canary)}, "numbers": {}}
    path = write_checkpoint(folder, Saved(KEY, 1, content["tensors"], {}))
    found, damaged = newest_checkpoint([folder], KEY)
    assert found is None
    assert [each.path for each in damaged] == [path]
    assert not canary.exists()
    torch.load(path, weights_only=False)
    assert canary.exists()  # it was live


def test_a_bare_pickle_under_a_valid_marker_does_not_go_off(tmp_path: Path) -> None:
    folder, canary = tmp_path / "attempt", tmp_path / "canary"
    folder.mkdir()
    path = write_checkpoint(folder, state())
    content = pickle.dumps(Bomb(canary), protocol=2)
    record = json.loads(path.with_suffix(".json").read_bytes())
    del record["seal"]
    record["sha256"] = hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    path.with_suffix(".json").write_bytes(_sealed(record))
    found, damaged = newest_checkpoint([folder], KEY)
    assert found is None
    assert "sha256" not in damaged[0].reason
    assert not canary.exists()


WRITER = """
import sys
from pathlib import Path
import torch
from trainers.checkpoint import write_checkpoint
from trainers.result import Saved

step = 0
while True:
    step += 1
    parts = {"weights": torch.full((20_000,), float(step))}
    write_checkpoint(Path(sys.argv[1]), Saved(sys.argv[2], step, parts, {"loss_sum": float(step)}))
    print(step, flush=True)
"""


def test_killed_at_any_moment_a_valid_checkpoint_is_there(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), KEY], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(3):
            last = int(writer.stdout.readline())
        time.sleep(0.0031 * number)
        writer.send_signal(signal.SIGKILL)
        last = max([last, *(int(line) for line in writer.stdout.read().split())])
        writer.wait()
        found, damaged = newest_checkpoint([folder], KEY)
        assert found is not None
        assert damaged == ()
        assert found.step >= last
        assert torch.equal(found.tensors["weights"], torch.full((20_000,), float(found.step)))


def test_killed_between_the_two_files_the_older_checkpoint_stands(tmp_path: Path) -> None:
    """Killed between the two files: the new `.pt` has no marker yet."""
    write_checkpoint(tmp_path, state(11))
    path = write_checkpoint(tmp_path, state(12))
    path.with_suffix(".json").rename(tmp_path / f".{path.stem}.json.tmp")
    found, damaged = newest_checkpoint([tmp_path], KEY)
    assert_same(found, state(11))
    assert damaged == ()
