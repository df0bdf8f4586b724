"""Files that are either whole or not there, whatever kills the process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tp2lib.errors import OutputError, TP2Error, shown

__all__ = ["TEMPORARY", "write_atomically"]

TEMPORARY = ".tmp"  # suffix of a file that is still being written; one that stays is litter


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], object], check: Callable[[Path], object] | None = None) -> Path:
    """Write a file under a temporary name in the same folder, then rename it into place; missing folders are made.

    Order: write, flush, fsync, check, rename, fsync of the folder. `write` gets the open binary file; `check` gets the path of the finished temporary file,
    reads it back, and raises if it is wrong. Until the rename, a file that was already at `path` stays as it was. OutputError is raised if the folder cannot be
    written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(8)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if check is not None:
                check(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except TP2Error:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(f"{shown(str(path), 200)} cannot be written ({error}). Check the folder, its rights and the free space.") from error
    return path


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system lets a folder be opened."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the file itself is safe already
        pass
    finally:
        os.close(descriptor)
