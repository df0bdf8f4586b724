"""Write files that survive a crash, completely or not at all; and a journal of JSON lines that several processes share."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from tp2lib.errors import OutputError, RecordError, TP2Error, shown
from tp2lib.metadata.record import MAX_RECORD, dump_json, load_json

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


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a dictionary as one line of JSON, atomically, and read it back; a file there that cannot be read is kept as ``<name>.damaged``."""
    text = dump_json(content)

    def check(written: Path) -> None:
        if written.read_text(encoding="utf-8") != text:
            raise OutputError(f"{path.name} differs from what was written; the disk may be failing.")
        try:
            if path.is_file():
                load_json(path.read_bytes())
        except RecordError:
            shutil.copyfile(path, path.with_name(f"{path.name}.damaged"))

    return write_atomically(path, lambda file: file.write(text.encode()), check)


def read_json(path: Path) -> dict[str, Any]:
    """Return the dictionary that a JSON file holds; one that is missing, damaged or too large counts as empty."""
    try:
        return load_json(path.read_bytes()) if path.stat().st_size <= MAX_RECORD else {}
    except (OSError, RecordError):
        return {}


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


_LOCK_SECONDS = 60
_HEAD = 256  # bytes of the first line: its time, key and session tell one file from another


class Journal:
    """One JSON dictionary a line, in a file that the first append makes; a line is on the disk before :meth:`append` returns.

    A line counts once its line end is there. A line torn by a crash is closed by the next append and then skipped by readers. Locks lie beside the file in
    ``.ledger/``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.locks = path.parent / ".ledger"
        self._head, self._offset = b"", 0  # how the file began, and how far it was read

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal against other processes."""
        try:
            self.locks.mkdir(parents=True, exist_ok=True)
            with FileLock(self.locks / "lock", timeout=_LOCK_SECONDS, poll_interval=0.005):
                yield
        except Timeout:
            raise OutputError(f"another process has held {shown(str(self.path), 200)} for {_LOCK_SECONDS} s. Stop it, or use another outputs folder.") from None
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{shown(str(self.path), 200)} cannot be written ({error}). Check its rights and the free space.") from error

    def append(self, event: Mapping[str, Any]) -> None:
        """Add one line and wait until it is on the disk."""
        with self.locked():
            self.write([event])

    def write(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Add lines and wait until they are on the disk; for those who hold the journal already."""
        line = b"".join(dump_json(event).encode() + b"\n" for event in events)
        with open(self.path, "a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end > 0:
                file.seek(end - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            left = memoryview(line)
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())

    def read(self) -> tuple[bool, list[dict[str, Any]]]:
        """Return whether the file was replaced since the last call, and the events that are new."""
        try:
            with open(self.path, "rb") as file:
                replaced = self._replaced(file)
                if replaced:
                    self._head, self._offset = b"", 0
                file.seek(self._offset)
                whole, newline, _torn = file.read().rpartition(b"\n")
        except FileNotFoundError:
            self._head, self._offset = b"", 0
            return True, []
        except OSError as error:
            raise OutputError(f"{shown(str(self.path), 200)} cannot be read ({error}). Check its rights.") from error
        self._head = self._head or (whole + newline)[:_HEAD]
        self._offset += len(whole) + len(newline)
        events = []
        for line in filter(None, whole.split(b"\n")):
            with contextlib.suppress(RecordError):
                events.append(load_json(line))
        return replaced, events

    def _replaced(self, file: BinaryIO) -> bool:
        """Return whether `file` is another one than was read before; inode numbers are used again."""
        head = file.read(len(self._head))
        return not self._head or head != self._head or file.seek(0, os.SEEK_END) < self._offset


class Session:
    """One process's stay with a journal: others can tell whether it is still alive.

    It holds the lock of a file of its own, which the system lets go of when the process ends,
    however it ends. Process numbers would be used again, and asking for one kills it on Windows.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = secrets.token_hex(8)
        self._folder = folder
        self._lock = FileLock(self._path(self.name), timeout=0, thread_local=False)
        self._lock.acquire()

    def is_alive(self, name: str) -> bool:
        """Return whether the session `name` still runs; the lock file of a dead one is removed."""
        path = self._path(name)
        if name == self.name:
            return True
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return True
        with contextlib.suppress(OSError):
            path.unlink()
        return False

    def close(self) -> None:
        """End the session."""
        self._lock.release()
        with contextlib.suppress(OSError):
            self._path(self.name).unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.alive"
