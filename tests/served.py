"""A server in a process of its own, on a port of this machine that is free, up when the block begins and gone after it."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
UP_S = 240  # machines under load are slow
TRIES = 3  # another program can take a port between the look and the start


@contextmanager
def serving(command: Callable[[int], list[str]], log: Path, **how) -> Iterator[int]:
    """Start what `command` says for a port, wait until it listens there, give the port, and end it."""
    for _ in range(TRIES):
        port = _free_port()
        with log.open("wb") as file:
            server = subprocess.Popen(command(port), stdout=file, stderr=file, **how)
        try:
            if _listens(port, server):
                yield port
                return
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    raise AssertionError(f"the server did not come up:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    """Draw a free port below those that the system gives to whoever asks for any: kernels start by the dozen."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def _listens(port: int, server: subprocess.Popen) -> bool:
    deadline = time.monotonic() + UP_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False
