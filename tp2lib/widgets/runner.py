"""Generate and Stop: buttons, progress bar, messages and preview of one job at a time.

A panel and every tab of the studio that makes pictures is one. What a click does, :meth:`Runner.run` does too; in the
job's thread only traits are assigned, and nothing is displayed.
"""

from __future__ import annotations

import html
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import ModelError, TP2Error
from tp2lib.plots.display import image_html, status_html
from tp2lib.recipe import Recipe
from tp2lib.widgets.jobs import WAITING, Job, busy, told

_EVERY = 0.5  # seconds between previews, at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job that ended well is told: `words` after the seconds, `failed` in red, `picture` as HTML."""

    words: str = ""
    failed: bool = False
    picture: str = ""


class Runner:
    """One job at a time behind two buttons; what it makes stands in `_prepare` and `_finish` of the panel that is one."""

    def __init__(self, caption: str = "Generate") -> None:
        self.job: Job | None = None  # the last one
        self.runs: list[Any] = []  # each a Run, oldest first: ready for `show_grid`
        self.resting = False  # whether the last job was started because a slider stopped, and not by a click
        self.drafts: Any = None  # what follows the sliders while they move, if anything does
        self._previewed, self._counted, self._starting = 0.0, 0, threading.Lock()
        self.generate_button = widgets.Button(description=caption, button_style="primary", tooltip="start")
        self.stop_button = widgets.Button(description="Stop", disabled=True, tooltip="stop at the next step")
        self.bar = widgets.IntProgress(value=0, max=1, layout={"width": "14em"})
        self.status, self.picture = widgets.HTML(status_html("Ready.")), widgets.HTML()
        self.traceback = widgets.HTML()
        self.details = widgets.Accordion([self.traceback], titles=["Details of the error"], layout={"display": "none"})
        self.details.selected_index = None
        self.generate_button.on_click(lambda button: self.attempt(self.start))
        self.stop_button.on_click(lambda button: self.stop())
        wraps = {"flex_flow": "row wrap", "align_items": "center"}
        buttons = widgets.HBox([self.generate_button, self.stop_button, self.bar], layout=wraps)
        self.parts = (buttons, self.status, self.details, self.picture)

    def _prepare(self) -> Callable[..., Any]:
        """Return the work for a `Job`, or raise `TP2Error`; called in the callback's thread."""
        raise NotImplementedError

    def _finish(self, made: Any) -> Ending:
        """Say how it ended; called in the job's thread with what the work returned."""
        raise NotImplementedError

    @property
    def result(self) -> Any:
        """The last run that was made, or None."""
        return self.runs[-1] if self.runs else None

    def start(self, *, resting: bool = False) -> Job:
        """Start the job, as the button does, and return at once; a click replaces drafts, and what a slider started.

        TP2Error is raised if what was asked for cannot be, or a job is at work already.
        """
        while True:
            if self.drafts and not resting:
                self.drafts.stop()
            with self._starting:
                running = self.job if self.job is not None and self.job.active else None
                if running is None:
                    self.resting = resting
                    work = self._prepare()
                    self._show_running()
                    self.job = Job(work, on_step=self._on_step, on_end=self._on_end)
                    return self.job
                if resting:  # a click came first
                    return running
                if not self.make_way():
                    raise ModelError("this panel is at work; it makes one picture at a time. Wait for it, or stop it.")
            running.wait()

    def stop(self) -> None:
        """Stop at the next step, as the button does; pictures that were finished are kept."""
        if self.job is not None:
            self.job.stop()

    def make_way(self) -> bool:
        """Stop what a slider started, and return whether no other job runs; one that a click started goes on."""
        if self.job is not None and self.job.active and self.resting:
            self.job.stop()
        return self.job is None or not self.job.active or self.resting

    def run(self, timeout: float | None = None) -> Any:
        """Do the work and wait for it, at most `timeout` seconds, as a click does, and return the last run that was made; all of them are in `runs`.

        TP2Error is raised for whatever stood in the way.
        """
        try:
            self.start().result(timeout)
        except KeyboardInterrupt:  # the kernel's Interrupt reaches this thread only
            self.stop()
            raise
        return self.result

    def attempt(self, act: Callable[[], Any]) -> Any:
        """Do something short, such as a button's act; an error becomes one sentence, its details folded away."""
        try:
            return act()
        except Exception as error:
            self.say(told(error), error=True)
            self._show_details("" if isinstance(error, TP2Error) else "".join(traceback.format_exception(error)))
        return None

    def say(self, words: str, *, error: bool = False) -> None:
        """Show a status line; `words` may be untrusted text."""
        self.status.value = status_html(words, error=error)

    def _show_running(self) -> None:
        self._previewed, self._counted = 0.0, 0
        self.generate_button.disabled, self.stop_button.disabled = True, False
        self.bar.value, self.bar.max, self.bar.bar_style = 0, 1, "info"
        self._show_details("")
        self.say(WAITING if busy() else "Starting; the first picture loads the model.")

    def _show_details(self, text: str) -> None:
        self.traceback.value = f"<pre>{html.escape(text)}</pre>"
        self.details.layout.display = "" if text else "none"

    # -- in the job's thread --------------------------------------------------------------------------

    def _counting(self, on_step: Callable[[Any], None], recipe: Recipe, others: Iterable[Recipe]) -> Callable[[Any], None]:
        """Return the `on_step` of one picture of several, which counts over the whole job: `others` are still to be made, with as many calls a step."""
        before, more = self._counted, sum(one.effective_steps for one in others) / recipe.effective_steps

        def step(info: Any) -> None:
            self._counted = before + info.index + 1
            on_step(SimpleNamespace(preview=info.preview, index=before + info.index, total=before + round(info.total * (1 + more))))

        return step

    def _on_step(self, job: Job, info: Any) -> None:
        self.bar.max, self.bar.value = info.total, info.index + 1
        self.say(job.sentence())
        if time.monotonic() - self._previewed >= _EVERY:
            preview, self._previewed = info.preview(), time.monotonic()
            if preview is not None:
                width = preview.width * (8 if preview.width <= 128 else 1)  # one pixel for each of the latents
                alt = f"Preview, step {info.index + 1} of {info.total}"
                self.picture.value = image_html(preview, alt=alt, quality=80, style=f"width:{width}px;max-width:100%")

    def _on_end(self, job: Job) -> None:
        said, failed, picture = job.sentence(), job.state == "failed", ""
        if job.state == "done":
            ending = self._finish(job.value)
            said, failed, picture = f"{said} {ending.words}".strip(), ending.failed, ending.picture
            said = ending.words if failed else said
        self.picture.value = picture  # a half-made picture that was stopped, or failed, must not pass for a whole one
        self.say(said, error=failed)
        self._show_details(job.traceback())
        self.bar.bar_style = {"done": "danger" if failed else "success", "failed": "danger"}.get(job.state, "warning")
        self.generate_button.disabled, self.stop_button.disabled = False, True
