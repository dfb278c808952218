"""What this user's processes keep for later ones, where nobody else can write."""

import os
from pathlib import Path


def private_cache(name: str) -> Path | None:
    """The folder of this name in the user's cache; None where there is none, or others can write there."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "lawsweep" / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:  # no home, or one that is read only
        return None
    return folder if found.st_uid == os.getuid() and not found.st_mode & 0o022 else None
