"""Long work in a thread, one job at a time: it can be stopped, and its errors are shown.

A thread, and not asyncio: what runs a widget's callback changed with every version of ipykernel, and
a thread is right with all of them. Jobs take turns, for a pipeline can serve only one.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from tp2lib.errors import Cancelled, ModelError, TP2Error

_TURN = threading.Lock()
WAITING = "Waiting for the work before it to end."
_POLL = 0.05  # seconds between looks at the stop sign, for a job that waits for its turn


class Job:
    """Work in a thread of its own.

    Parameters
    ----------
    work : callable
        Called as ``work(on_step=…, should_stop=…)``, the way `generate` is once its other arguments
        are bound. It is to call `on_step` now and then, and to stop soon once `should_stop()` is true.
    on_step : callable, optional
        Called in the job's thread with the job and what `work` gives.
    on_end : callable, optional
        Called in the job's thread with the job, whatever became of it, before anyone's wait is over.

    Attributes
    ----------
    state : {"waiting", "running", "done", "cancelled", "failed"}
    done, total : int
        Steps made, and steps to make; 0 until they are known.
    seconds : float
        How long it took, or has taken up to now, from its turn on.
    value : object
        What `work` returned, once the state is "done".
    error : BaseException or None
        What `work` raised.

    Examples
    --------
    >>> job = Job(lambda on_step, should_stop: 6 * 7)
    >>> job.result(timeout=10)
    42
    """

    def __init__(self, work: Callable[..., Any], *, on_step: Callable[[Job, Any], None] | None = None, on_end: Callable[[Job], None] | None = None) -> None:
        self.state = "waiting"
        self.done = self.total = 0
        self.value: Any = None
        self.error: BaseException | None = None
        self._work, self._on_step, self._on_end = work, on_step, on_end
        self._stop, self._ended = threading.Event(), threading.Event()
        self._began = self._end = 0.0
        # not a daemon, which the interpreter would kill at any point: it stops by itself when the main thread ends
        threading.Thread(target=self._run, name="tp2-job", daemon=False).start()

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return not self._ended.is_set()

    @property
    def seconds(self) -> float:
        """Seconds since its turn began, up to its end."""
        return (self._end or time.perf_counter()) - self._began if self._began else 0.0

    @property
    def left(self) -> float | None:
        """Seconds that the steps still to make will take, at the pace so far; None until a step is made."""
        return self.seconds * (self.total - self.done) / self.done if self.done else None

    def stop(self) -> None:
        """Ask it to stop; returns at once. A job that has ended is left as it is."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most `timeout` seconds, and return whether it has ended."""
        return self._ended.wait(timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end and return what `work` returned, or raise what it raised, `Cancelled` if it was stopped.

        ModelError is raised if it has not ended after `timeout` seconds; it goes on.
        """
        if not self.wait(timeout):
            raise ModelError(f"the work has not ended after {timeout:g} s; it goes on. Wait longer, or stop it.")
        if self.error is not None:
            raise self.error
        return self.value

    def sentence(self) -> str:
        """Say the state in one plain sentence, for people who do not read tracebacks."""
        if self.state == "failed":
            return told(self.error)
        count = f": step {self.done} of {self.total}" if self.total else ""
        left = f", about {self.left:.0f} s to go" if self.done else ""
        return {
            "waiting": WAITING,
            "running": f"Running{count}, {self.seconds:.0f} s{left}.",
            "done": f"Done in {self.seconds:.1f} s.",
            "cancelled": "Stopped; nothing was kept.",
        }[self.state]

    def traceback(self) -> str:
        """Return the traceback of a failure, for people who do; empty if there is none."""
        return "".join(traceback.format_exception(self.error)) if self.state == "failed" else ""

    # -- in the job's thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not _TURN.acquire(timeout=_POLL):
                self._refuse_stopped()
            try:
                self._refuse_stopped()
                self.state, self._began = "running", time.perf_counter()
                self.value = self._work(on_step=self._step, should_stop=self._should_stop)
            finally:
                _TURN.release()
            state = "done"
        except Cancelled as error:
            self.error, state = error, "cancelled"
        except BaseException as error:  # any error: result() raises it again in the caller's thread
            self.error, state = error, "failed"
        _let_go(self.error)
        self._end = time.perf_counter()
        self.state = state
        try:
            if self._on_end:
                self._on_end(self)
        finally:
            self._ended.set()

    def _step(self, info: Any) -> None:
        self._refuse_stopped()
        self.done, self.total = info.index + 1, info.total
        if self._on_step:
            self._on_step(self, info)

    def _should_stop(self) -> bool:
        return self._stop.is_set() or not threading.main_thread().is_alive()

    def _refuse_stopped(self) -> None:
        if self._should_stop():
            raise Cancelled("the work was stopped on request; nothing was kept. Start it again to have it.")


def told(error: BaseException | None) -> str:
    """Say an error in one plain sentence."""
    words = str(error) if isinstance(error, TP2Error) else f"Something went wrong that should not have: {type(error).__name__}: {error}"
    return " ".join(words.split()).strip(": ")


def busy() -> bool:
    """Whether a job is at work, for which the next one waits."""
    return _TURN.locked()


def _let_go(error: BaseException | None) -> None:
    """Free the variables in an error's frames, tensors above all, so that a stored error does not keep their memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
