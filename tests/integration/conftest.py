"""What several integration tests compare with."""

from pathlib import Path

import pytest

from tests.integration import sweeping


@pytest.fixture(scope="session")
def small_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of the small sweep trained in one go, in one process, without Ray."""
    folder = tmp_path_factory.mktemp("alone")
    storage = folder / "storage"
    ran = sweeping.run_here(
        "launch", sweeping.write_sweep(folder), "--storage", storage, "--inline"
    )
    assert ran.returncode == 0, ran.stderr
    return storage
