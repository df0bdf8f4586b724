"""The ledger: the record of all runs in an outputs folder, so that no run is made twice and no failed one is kept.

Every event is one line of ``ledger.jsonl``, on the disk before the next act. A picture is renamed into
place *before* its ``done`` line is written, and a ``done`` line counts only while its picture is there
with the recorded pixels; so a kill at any instant costs one picture at most.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from tp2lib.errors import OutputError, Quarantined, RecordError, SourceError, shown, without_folders
from tp2lib.metadata.pixels import MAX_BYTES, bare, open_image, pixels_sha256
from tp2lib.metadata.record import digital_source_type, is_sha256
from tp2lib.metadata.source import Source
from tp2lib.recipe import Recipe
from tp2lib.storage.files import TEMPORARY, Journal, Session, write_atomically
from tp2lib.storage.pictures import read_record, save_picture

LEDGER = "ledger.jsonl"  # its name in an outputs folder
_OUTCOMES = ("done", "failed", "quarantined", "released")
KEY = re.compile(r"[0-9a-f]{8,64}")  # of a run
_NAME = re.compile(r"\w[\w .-]{0,99}\.png")
_LITTER_SECONDS = 3600  # a temporary file this old belongs to a process that was killed


def check_name(name: object) -> None:
    """Raise RecordError unless a picture can be published under this name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RecordError(f"the name is {shown(name)}; it must be like 't2i_run01_baseline.png', without folders.")


class Ledger:
    """The runs of one outputs folder, which several processes and threads may share.

    Parameters
    ----------
    outputs : path
        The folder; made when the first line is written. Pictures go to ``runs/<key>.png``, prepared
        source photos to ``sources/<pixels_sha256>.png``. A key is 8 to 64 lower-case hex digits.
    max_crashes : int, default 2
        How many processes a run may take down before it is quarantined. A process counts when it
        died, or closed the ledger, between a run's ``started`` line and its outcome.
    """

    def __init__(self, outputs: str | os.PathLike[str], *, max_crashes: int = 2) -> None:
        if not isinstance(max_crashes, int) or isinstance(max_crashes, bool) or max_crashes < 1:
            raise RecordError(f"max_crashes is {shown(max_crashes)}; it must be a whole number, 1 or more. 2 is usual.")
        self.outputs = Path(outputs)
        self.max_crashes = max_crashes
        self._journal = Journal(self.outputs / LEDGER)
        self._session: Session | None = None
        self._thread_lock = threading.RLock()
        self._events: list[dict[str, Any]] = []
        self._last: dict[str, dict[str, Any]] = {}  # key -> its last outcome
        self._open: dict[str, list[str]] = {}  # key -> sessions that started it since
        self._threads: dict[str, int] = {}  # key -> the thread of this process that started it last
        self._waiting: list[dict[str, Any]] = []  # "failed" lines that could not be written yet

    def start(self, key: str) -> None:
        """Note that the run `key` is about to begin; raise Quarantined if it took down `max_crashes` processes."""
        with self._thread_lock:
            self._open_session()
            reason = self.quarantined(key)
            if reason is None:
                line = self._begun(key)
                with self._journal.locked():
                    self._write(line)
                reason = line.get("reason")
            if reason:
                raise Quarantined(
                    f"run {key} is in quarantine: {reason}. Change its recipe (a smaller size, say), or call "
                    f"Ledger({str(self.outputs)!r}).release({key!r}) to let it try again."
                )

    def claim(self, keys: Sequence[str]) -> list[str]:
        """:meth:`start` those runs that are neither done nor in quarantine nor at work in a living process, and return their keys: they are the caller's now.

        Between processes it is one act: a run is claimed by one of them. Whoever claims a run has to :meth:`finish` or :meth:`fail` it; a process that dies
        lets go of what it claimed.
        """
        with self._thread_lock:
            self._open_session()
            with self._journal.locked():
                self._write()
                self._refresh()
                lines = [self._begun(key) for key in keys if not (self.quarantined(key) or self._at_work(key) or self.lookup(key))]
                self._write(*lines)
        return [line["key"] for line in lines if line["event"] == "started"]

    def crashes(self, key: str) -> int:
        """Count the processes that ended while they were making this run, since its last outcome."""
        with self._thread_lock:
            session = self._open_session()
            return sum(not session.is_alive(name) for name in self._open.get(_checked(key), ()))

    def _at_work(self, key: str) -> bool:
        """Return whether a living process is making this run: this one only in another thread that lives, for an interrupt may leave a run without an outcome."""
        session, others = self._open_session(), {one.ident for one in threading.enumerate()} - {threading.get_ident()}
        own = self._threads.get(key) in others
        return any(own if name == session.name else session.is_alive(name) for name in self._open.get(_checked(key), ()))

    def _begun(self, key: str) -> dict[str, Any]:
        """The line of a run that begins now, in this thread; or that goes into quarantine, for it took down too many processes."""
        if (crashes := self.crashes(key)) >= self.max_crashes:
            return self._line("quarantined", key, {"reason": f"it took down {crashes} processes"})
        self._threads[key] = threading.get_ident()
        return self._line("started", key, {})

    def _open_session(self) -> Session:
        if self._session is None:
            with self._journal.locked():
                self._session = Session(self._journal.locks)
                for path in self._journal.locks.glob("*.alive"):  # within the lock: no other session is being opened
                    self._session.is_alive(path.stem)
            self._sweep_litter()
        return self._session

    def finish(
        self, key: str, image: Image.Image, recipe: Recipe, record: Mapping[str, Any], *, composite: bool = False, infotext: Mapping[str, object] | None = None
    ) -> Path:
        """Save the picture of the run `key` as :func:`save_picture` does, then note that it is done."""
        path = self.picture(key)
        digest = save_picture(image, path, record, recipe, composite=composite, infotext=infotext)
        self._append("done", key, {"pixels_sha256": digest})
        return path

    def fail(self, key: str, reason: object) -> None:
        """Note that the run `key` ended without a picture, and why; it may be tried again. A line that cannot be written, on a full disk, comes before the next."""
        with self._thread_lock:
            words = reason if isinstance(reason, str) else shown(reason, 2000)
            line = self._line("failed", key, {"reason": without_folders(words)[:2000]})
            try:
                with self._journal.locked():
                    self._write(line)
            except OutputError:
                self._waiting.append(line)

    def lookup(self, key: str) -> dict[str, Any] | None:
        """Return a run's ``done`` event, with its picture under ``"path"``, or None.

        None also when the picture is missing or damaged, has no record, or has other pixels than were recorded.
        """
        event, path = self._outcome(key), self.picture(key)
        if event.get("event") == "done" and path.is_file():
            with contextlib.suppress(RecordError):
                return {**event, "path": path} if read_record(path)["pixels_sha256"] == event.get("pixels_sha256") else None
        return None

    def quarantined(self, key: str) -> str | None:
        """Return why a run is in quarantine, or None when it is not."""
        event = self._outcome(key)
        return str(event.get("reason") or "no reason was noted") if event.get("event") == "quarantined" else None

    def release(self, key: str) -> None:
        """Let a quarantined run try again."""
        self._append("released", key, {})

    def events(self) -> list[dict[str, Any]]:
        """Return every readable event, oldest first: ``event``, ``key``, ``at``, ``session``, and its facts."""
        with self._thread_lock:
            self._refresh()
            return [dict(event) for event in self._events]

    def picture(self, key: str) -> Path:
        """Return where the picture of the run `key` is, or will be."""
        return self.outputs / "runs" / f"{_checked(key)}.png"

    def publish(self, run: Any, name: str) -> Path:
        """Copy the picture of a finished run, or of its key, to ``outputs/<name>``, a name for people such as ``"t2i_run01_baseline.png"``: no folders."""
        check_name(name)
        key: Any = run if isinstance(run, str) else getattr(run, "key", None)
        if self.lookup(key) is None:
            raise RecordError(f"run {shown(key)} has no finished picture in {shown(str(self.outputs))}. Generate it first.")
        if not isinstance(run, str) and run.recipe != Recipe.from_dict(read_record(self.picture(key))["recipe"]):
            return run.save(self.outputs / name)
        data = self.picture(key).read_bytes()
        return write_atomically(self.outputs / name, lambda file: file.write(data))

    def keep_source(self, source: Source) -> Path:
        """Keep a prepared source photo under the hash of its pixels, so that its runs can be replayed, with its mark of origin, and where it is from."""
        path, made = self._source(source.pixels_sha256), source.digital_source_type
        kept = _with_pixels(path, source.pixels_sha256)
        if kept is None or (made and digital_source_type(kept) != made):

            def check(written: Path) -> None:
                if (size := written.stat().st_size) > MAX_BYTES:
                    raise OutputError(f"the photo takes {size // 10**6} MB as PNG; at most {MAX_BYTES // 10**6} can be read back. Scale it down.")
                if not _with_pixels(written, source.pixels_sha256):
                    raise OutputError(f"{shown(str(path), 200)} differs from what was written. Prepare it again.")

            write_atomically(path, lambda file: bare(source.kept_as).save(file, "PNG", pnginfo=source.chunks()), check)
        return path

    def find_source(self, digest: object) -> Path | None:
        """Return the kept source photo with these pixels (64 hex digits or ``"sha256:…"``), or None."""
        digest = digest.removeprefix("sha256:") if isinstance(digest, str) else ""
        return self._source(digest) if is_sha256(digest) and _with_pixels(self._source(digest), digest) else None

    def close(self) -> None:
        """End the session; a run that it started and that has no outcome counts as a crash."""
        with self._thread_lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _source(self, digest: str) -> Path:
        return self.outputs / "sources" / f"{digest}.png"

    def _outcome(self, key: str) -> dict[str, Any]:
        with self._thread_lock:
            self._refresh()
            return self._last.get(_checked(key), {})

    def _append(self, event: str, key: str, facts: Mapping[str, Any]) -> None:
        with self._thread_lock, self._journal.locked():
            self._write(self._line(event, key, facts))

    def _write(self, *lines: Mapping[str, Any]) -> None:
        """Write lines; before them those that could not be written then, unless the run has another outcome by now."""
        if self._waiting:
            self._refresh()
        late = [line for line in self._waiting if line["session"] in self._open.get(line["key"], ())]
        if late or lines:
            self._journal.write([*late, *lines])
        self._waiting.clear()

    def _line(self, event: str, key: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        session = self._session.name if self._session else None
        return {**facts, "event": event, "key": _checked(key), "at": now, "session": session}

    def _refresh(self) -> None:
        replaced, events = self._journal.read()
        if replaced:
            self._events, self._last, self._open = [], {}, {}
        for event in events:
            kind, key, session = event.get("event"), event.get("key"), event.get("session")
            if not isinstance(key, str) or not isinstance(kind, str):
                continue
            self._events.append(event)
            if kind in _OUTCOMES:
                self._last[key] = event
                self._open.pop(key, None)
            elif kind == "started" and isinstance(session, str) and KEY.fullmatch(session):
                sessions = self._open.setdefault(key, [])
                if session not in sessions:
                    sessions.append(session)

    def _sweep_litter(self) -> None:
        """Remove the temporary files that killed processes left."""
        for folder in (self.outputs, self.outputs / "runs", self.outputs / "sources"):
            for path in folder.glob(f".*.{'[0-9a-f]' * 16}{TEMPORARY}"):
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > _LITTER_SECONDS:
                        path.unlink()


def _checked(key: object) -> str:
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise RecordError(f"the key is {shown(key)}; it must be 8 to 64 lower-case hex digits, such as recipe.hash.")
    return key


def _with_pixels(path: Path, digest: object) -> Image.Image | None:
    """Return the picture at `path` if it is whole and has just these pixels."""
    try:
        image = open_image(path)[0] if path.is_file() else None
    except SourceError:
        return None
    return image if image and pixels_sha256(image) == digest else None
