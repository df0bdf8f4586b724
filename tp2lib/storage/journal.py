"""An append-only file of JSON lines that several processes share, and the sessions that write to it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from tp2lib.errors import OutputError, RecordError, shown
from tp2lib.metadata.record import dump_json, load_json

__all__ = ["Journal", "Session"]

_LOCK_SECONDS = 60
_HEAD = 256  # bytes of the first line: its time, key and session tell one file from another


class Journal:
    """One JSON dictionary a line, in a file that the first append makes; a line is on the disk before :meth:`append` returns.

    A line counts once its line end is there. A line torn by a crash is closed by the next append and then skipped by readers, who count it in `damaged`. Locks
    lie beside the file in ``.ledger/``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.locks = path.parent / ".ledger"
        self.damaged = 0
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
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with open(os.open(self.path, flags, 0o666), "r+b", buffering=0) as file:
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
                    self._head, self._offset, self.damaged = b"", 0, 0
                file.seek(self._offset)
                whole, newline, _torn = file.read().rpartition(b"\n")
        except FileNotFoundError:
            self._head, self._offset, self.damaged = b"", 0, 0
            return True, []
        except OSError as error:
            raise OutputError(f"{shown(str(self.path), 200)} cannot be read ({error}). Check its rights.") from error
        self._head = self._head or (whole + newline)[:_HEAD]
        self._offset += len(whole) + len(newline)
        events = []
        for line in filter(None, whole.split(b"\n")):
            try:
                events.append(load_json(line))
            except RecordError:
                self.damaged += 1
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
