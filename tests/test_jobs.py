"""tp2lib.widgets.jobs: one at a time, stopped when asked, and no error lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import pytest
from plotted import until

from tp2lib.errors import Cancelled, ModelError, RecipeError
from tp2lib.widgets.jobs import Job


def steps(count: int, seconds: float = 0.0):
    """Work of `count` steps, which gives the names of the threads it ran in."""

    def work(on_step, should_stop) -> list[str]:
        for index in range(count):
            time.sleep(seconds)
            on_step(SimpleNamespace(index=index, total=count))
        return [threading.current_thread().name]

    return work


def fail(on_step, should_stop) -> None:
    raise RecipeError("steps is 0;\nit must be 1 or more. Use 1.")


def test_work_is_done_in_another_thread_and_its_result_comes_back() -> None:
    seen: list[int] = []
    job = Job(steps(3), on_step=lambda job, info: seen.append(info.index), on_end=lambda job: seen.append(job.state))
    assert job.result(10) == ["tp2-job"]
    assert (job.state, job.done, job.total, job.active) == ("done", 3, 3, False)
    assert seen == [0, 1, 2, "done"] and job.error is None and job.traceback() == ""
    assert job.sentence().startswith("Done in ") and 0 < job.seconds < 10


def test_stop_ends_it_at_the_next_step() -> None:
    reached = threading.Event()
    job = Job(steps(10_000, 0.001), on_step=lambda job, info: reached.set())
    assert reached.wait(10)
    assert job.state == "running" and "step" in job.sentence()
    job.stop()
    with pytest.raises(Cancelled, match="Start it again"):
        job.result(10)
    assert job.state == "cancelled" and job.done < 10_000 and job.sentence().startswith("Stopped")
    job.stop()
    assert job.state == "cancelled"


def test_work_that_only_asks_is_stopped_too() -> None:
    def work(on_step, should_stop) -> None:
        until(should_stop)
        raise Cancelled("stopped in the middle of a stage")

    job = Job(work)
    job.stop()
    assert job.wait(10) and job.state == "cancelled"


def test_work_that_does_not_ask_is_done_all_the_same() -> None:
    gate = threading.Event()
    job = Job(lambda on_step, should_stop: gate.wait(10))
    until(lambda: job.state == "running")
    job.stop()
    gate.set()
    assert job.result(10) is True and job.state == "done"


def test_errors_come_back_with_a_plain_sentence_and_a_traceback() -> None:
    job = Job(fail)
    with pytest.raises(RecipeError, match="steps is 0"):
        job.result(10)
    assert job.state == "failed" and job.sentence() == "steps is 0; it must be 1 or more. Use 1."
    assert "in fail" in job.traceback() and "RecipeError" in job.traceback()
    surprise = Job(lambda on_step, should_stop: {}["pixels"])
    assert surprise.wait(10) and surprise.sentence() == "Something went wrong that should not have: KeyError: 'pixels'"
    quiet = Job(lambda on_step, should_stop: sys.exit())
    assert quiet.wait(10) and quiet.sentence().endswith("SystemExit")


def test_a_failure_does_not_keep_what_it_worked_on() -> None:
    kept: list[weakref.ref] = []

    def work(on_step, should_stop) -> None:
        tensor = threading.Event()  # anything that can be watched
        kept.append(weakref.ref(tensor))
        try:
            raise MemoryError
        except MemoryError:
            raise RecipeError("too large") from None

    job = Job(work)
    assert job.wait(10) and kept[0]() is None and "MemoryError" not in job.traceback()
    assert "in work" in job.traceback()


def test_jobs_take_turns() -> None:
    running: list[str] = []
    together: list[int] = []

    def work(on_step, should_stop) -> None:
        running.append("one")
        together.append(len(running))
        time.sleep(0.01)
        running.pop()

    jobs = [Job(work) for _ in range(5)]
    assert all(job.wait(10) for job in jobs) and together == [1] * 5


def test_a_job_that_waits_can_be_stopped_and_a_failed_one_frees_the_way() -> None:
    gate = threading.Event()
    first = Job(lambda on_step, should_stop: gate.wait(10))
    until(lambda: first.state == "running")
    second = Job(steps(1))
    time.sleep(0.01)
    assert second.state == "waiting" and second.seconds == 0 and "Waiting" in second.sentence()
    with pytest.raises(ModelError, match="not ended after 0.01 s"):
        second.result(0.01)
    second.stop()
    assert second.wait(10) and second.state == "cancelled" and first.state == "running"
    gate.set()
    assert first.wait(10) and Job(fail).wait(10) and Job(steps(1)).result(10)


def test_everything_is_told_before_a_wait_is_over() -> None:
    told: list[str] = []

    def tell(job: Job) -> None:
        time.sleep(0.02)
        told.append(job.state)

    for work, state in ((steps(1), "done"), (fail, "failed")):
        assert Job(work, on_end=tell).wait(10) and told[-1] == state


@pytest.mark.slow
def test_a_process_that_ends_takes_its_job_along() -> None:
    code = """
import threading, time
from types import SimpleNamespace
from tp2lib.widgets.jobs import Job
begun = threading.Event()
def work(on_step, should_stop):
    for index in range(10**6):
        on_step(SimpleNamespace(index=index, total=10**6)); begun.set(); time.sleep(0.01)
Job(work, on_end=lambda job: print(job.state)); begun.wait(10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "cancelled", "")
