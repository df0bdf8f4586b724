"""Drafts: pictures of a few steps while a slider is dragged; the full picture replaces them when it stops.

A draft is not a run, and it is never kept. Only sliders that a person moves make drafts, not values that code sets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets

from tp2lib.errors import Cancelled, TP2Error
from tp2lib.plots.display import image_html
from tp2lib.recipe import Recipe
from tp2lib.widgets.jobs import Job
from tp2lib.widgets.runner import Runner

STEPS = 3
"""Of the model, in a draft."""

_SCHEDULER = "DPM++ 2M"  # of those that recipes offer, it comes closest to the final picture in so few steps
_REST = 0.6  # seconds without a movement after which a slider counts as stopped
_LOOK = 0.02  # seconds between looks for a newer movement


def draft_of(recipe: Recipe) -> Recipe:
    """Return the recipe of a draft: few steps of a fast sampler, all else as it is."""
    steps = min(STEPS, recipe.steps)
    mode = "constant" if recipe.strength else recipe.strength_mode
    return recipe.vary(steps=steps, scheduler=_SCHEDULER, schedule="default", strength_mode=mode)


def by_hand(change: Any) -> bool:
    """Whether a person moved a control, and not code: such a change comes in a message from the page."""
    return bool(change["owner"]._property_lock)


class Drafts:
    """Follow the sliders with drafts, and start the full picture when they stop; the checkbox `on` switches drafts off.

    `recipe()` gives the recipe of the controls now, or raises TP2Error; ``make(recipe, should_stop=…)`` makes a run and keeps nothing. A draft is shown in
    `picture`, by default the runner's own.
    """

    def __init__(self, recipe: Callable[[], Recipe], make: Callable[..., Any], runner: Runner, picture: widgets.HTML | None = None) -> None:
        self._recipe, self._make, self._runner, self._picture = recipe, make, runner, picture or runner.picture
        self.on = widgets.Checkbox(value=True, description="drafts while a slider moves", indent=False)
        self.on.tooltip = f"{STEPS} steps of {_SCHEDULER}; the full picture follows when the slider rests"
        self._lock, self._moved_at, self._dropped = threading.Lock(), 0.0, 0
        self._wanted: Recipe | None = None
        self._job: Job | None = None

    def watch(self, controls: Iterable[widgets.Widget]) -> int:
        """Follow the sliders among some controls, and return how many there are."""
        sliders = [one for one in controls if isinstance(one, (widgets.IntSlider, widgets.FloatSlider))]
        for one in sliders:
            widgets.dlink((self.on, "value"), (one, "continuous_update"))
            one.observe(lambda change: self.moved() if by_hand(change) else None, "value")
        return len(sliders)

    def moved(self) -> None:
        """Take note of a movement; an older draft that has not begun is dropped."""
        if not self.on.value or not self._runner.make_way():
            return
        try:
            wanted = self._recipe()
        except TP2Error:  # settings that contradict each other: no draft, and the full picture says why
            wanted = None
        with self._lock:
            self._wanted, self._moved_at = wanted, time.monotonic()
            if self._job is None:
                self._job = Job(self._follow, on_end=self._ended)

    def drop(self) -> None:
        """Drop the waiting draft and stop the running one: a better picture is shown already."""
        with self._lock:
            self._wanted, self._dropped = None, self._dropped + 1

    def stop(self) -> None:
        """Drop the waiting draft, and wait until none runs: the full picture is wanted now."""
        with self._lock:
            job, self._wanted = self._job, None
        if job is not None:
            job.stop()
            job.wait(30)

    # -- in the job's thread ------------------------------------------------------------------------

    def _follow(self, on_step: Callable[[Any], None], should_stop: Callable[[], bool]) -> None:
        """Draw the latest settings again and again, until the sliders stop."""
        while time.monotonic() - self._moved_at < _REST or self._wanted is not None:
            if should_stop():
                raise Cancelled("the full picture was asked for.")
            with self._lock:
                wanted, self._wanted, dropped = self._wanted, None, self._dropped
            if wanted is None:
                time.sleep(_LOOK)
                continue
            draft = draft_of(wanted)
            run = self._make(draft, should_stop=should_stop)
            shown = _html(run.image, draft) if run.image is not None else ""
            with self._lock:
                if shown and dropped == self._dropped:
                    self._picture.value = shown

    def _ended(self, job: Job) -> None:
        with self._lock:
            again = job.state == "done" and self._wanted is not None  # a movement in the very last moment
            self._job = Job(self._follow, on_end=self._ended) if again else None
        # after a failure too: the full picture says what is wrong
        if not again and (job.state == "cancelled" or self._runner.attempt(lambda: self._runner.start(resting=True)) is None):
            self._picture.value = ""  # none follows by itself, and a draft must not stand for it


def _html(image: Any, draft: Recipe) -> str:
    words = f"Draft: {draft.steps} steps of {draft.scheduler}. The full picture follows when the slider rests."
    look = "outline:3px dashed #b26a00;outline-offset:-3px;max-width:100%"
    return image_html(image, alt=words, caption=words, quality=85, style=look)
