"""A panel for a notebook: sliders for some settings of a recipe, a button, and the picture.

It holds no logic of its own: ranges and words come from the recipe's settings, the work is a `Job`,
and what a click does, a call does too (``panel.run()``), so that a notebook runs without anybody there.
"""

from __future__ import annotations

import functools
import html
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
from PIL import Image

from tp2lib.controls import control
from tp2lib.errors import ModelError, TP2Error
from tp2lib.jobs import Job
from tp2lib.labels import AXES, label, trouble
from tp2lib.recipe import Recipe
from tp2lib.show import image_html, to_png

__all__ = ["Panel"]

_EVERY = 0.5  # seconds between previews, at least


class Panel:
    """Controls, Generate and Stop, progress, live preview, the picture; errors as one sentence.

    Parameters
    ----------
    recipe : Recipe
        Where the controls start, and what stays as it is.
    settings : sequence of str
        Which settings get a control, in order; see `tp2lib.controls.SETTINGS`.
    model, source, ledger : optional
        Passed on to `generate`.
    generate : callable, optional
        What makes the run; by default :func:`tp2lib.generate.generate`.

    Attributes
    ----------
    controls : dict of str to Widget
    job : Job or None
        The last one.
    runs : list of Run
        What was made, oldest first: ready for `show_grid`.

    Raises
    ------
    RecipeError
        A setting that cannot have a control, or is left open in the recipe.

    Examples
    --------
    >>> panel = Panel(Recipe(prompt="a red apple"), ["steps", "guidance"])
    >>> panel.controls["steps"].value = 20
    >>> panel.recipe().steps
    20
    """

    def __init__(
        self,
        recipe: Recipe,
        settings: Sequence[str] = ("steps", "guidance", "scheduler"),
        *,
        model: Any = None,
        source: Any = None,
        ledger: Any = None,
        generate: Callable[..., Any] | None = None,
    ) -> None:
        self.base = recipe
        self.controls = {name: control(name, getattr(recipe, name, None)) for name in settings}
        self.job: Job | None = None
        self.runs: list[Any] = []
        self._given = {"model": model, "source": source, "ledger": ledger}
        self._generate = generate
        self._previewed = 0.0
        self._build()

    @property
    def result(self) -> Any:
        """The last run that was made, or None."""
        return self.runs[-1] if self.runs else None

    def recipe(self) -> Recipe:
        """Return the recipe that the controls stand for.

        Raises
        ------
        RecipeError
            The settings are at odds, such as a strength so low that no step would run.
        """
        values = {name: one.value for name, one in self.controls.items()}
        # a slider in steps of 0.01 counts 0.35000000000000003; that would be another recipe
        rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
        return self.base.vary(**rounded)

    def start(self) -> Job:
        """Start making the picture, as the button does; returns at once.

        Raises
        ------
        RecipeError
            The controls stand for no recipe.
        ModelError
            The panel is at work already.
        """
        if self.job is not None and self.job.active:
            raise ModelError("this panel is at work; it makes one picture at a time. Wait for it, or stop it.")
        work = functools.partial(self._make, self.recipe())
        self._previewed = 0.0
        self._show_running()
        self.job = Job(work, on_step=self._on_step, on_end=self._on_end)
        return self.job

    def stop(self) -> None:
        """Stop at the next step, as the button does."""
        if self.job is not None:
            self.job.stop()

    def run(self, timeout: float | None = None) -> Any:
        """Make the picture and wait for it: the call that does what a click does.

        Returns
        -------
        Run

        Raises
        ------
        TP2Error
            Whatever stood in the way.
        """
        try:
            return self.start().result(timeout)
        except KeyboardInterrupt:  # the kernel's Interrupt reaches this thread only
            self.stop()
            raise

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    # -- the widgets ----------------------------------------------------------------------------------

    def _build(self) -> None:
        self.generate_button = widgets.Button(
            description="Generate", button_style="primary", tooltip="make the picture"
        )
        self.stop_button = widgets.Button(description="Stop", disabled=True, tooltip="stop at the next step")
        self.bar = widgets.IntProgress(value=0, max=1, layout={"width": "14em"})
        self.status, self.picture = widgets.HTML(_status("Ready.")), widgets.HTML()
        self.traceback = widgets.HTML()
        self.details = widgets.Accordion([self.traceback], titles=["Details of the error"], layout={"display": "none"})
        self.details.selected_index = None
        self.generate_button.on_click(self._clicked)
        self.stop_button.on_click(lambda button: self.stop())
        buttons = widgets.HBox([self.generate_button, self.stop_button, self.bar])
        parts = [*self.controls.values(), buttons, self.status, self.details, self.picture]
        self.widget = widgets.VBox(parts)

    def _clicked(self, button: Any) -> None:
        try:
            self.start()
        except TP2Error as error:  # an error in a callback would be seen by nobody
            self.status.value = _status(str(error), error=True)

    def _show_running(self) -> None:
        self.generate_button.disabled, self.stop_button.disabled = True, False
        self.bar.value, self.bar.max, self.bar.bar_style = 0, 1, "info"
        self.details.layout.display, self.traceback.value = "none", ""
        self.status.value = _status("Starting; the first picture loads the model.")

    # -- in the job's thread: only traits are assigned, nothing is displayed --------------------------

    def _make(self, recipe: Recipe, **how: Any) -> Any:
        make = self._generate
        if make is None:
            from tp2lib.generate import generate as make
        return make(recipe, **self._given, **how)

    def _on_step(self, job: Job, info: Any) -> None:
        self.bar.max, self.bar.value = info.total, info.index + 1
        self.status.value = _status(job.sentence())
        if time.monotonic() - self._previewed >= _EVERY:
            preview, self._previewed = info.preview(), time.monotonic()
            self.picture.value = _preview(preview, f"Preview, step {info.index + 1} of {info.total}")

    def _on_end(self, job: Job) -> None:
        said, failed = job.sentence(), job.state == "failed"
        if job.state == "done":
            run = job.value
            self.runs.append(run)
            said, failed = _told(run, said), bool(trouble(run))
            self.picture.value = "" if failed else image_html(to_png(run.image, alt=_alt(run)), alt=_alt(run))
        elif job.state == "cancelled":
            self.picture.value = ""  # a half-made picture must not pass for a whole one
        self.status.value = _status(said, error=failed)
        self.traceback.value = f"<pre>{html.escape(job.traceback())}</pre>"
        self.details.layout.display = "" if job.state == "failed" else "none"
        self.bar.bar_style = {"done": "danger" if failed else "success", "failed": "danger"}.get(job.state, "warning")
        self.generate_button.disabled, self.stop_button.disabled = False, True


def _status(words: str, error: bool = False) -> str:
    """Return a line that screen readers speak when it changes; `words` may be anybody's."""
    sign, role = ("✗ ", "alert") if error else ("", "status")
    return f'<div role="{role}" aria-live="polite">{sign}{html.escape(words)}</div>'


def _told(run: Any, said: str) -> str:
    """Add to the seconds what the settings came down to, or what happened instead of a picture."""
    if trouble(run):
        return f"No picture: {trouble(run)}."
    effects = [": ".join(label(run, axis)) for axis in AXES if axis != "steps" and label(run, axis)[1]]
    return f"{said} {'; '.join(effects)}." if effects else said


def _alt(run: Any) -> str:
    words = [label(run, axis)[0] for axis in ("scheduler", "steps", "guidance", "seed")]
    return f"Generated picture. {label(run, 'prompt')[0]}; {', '.join(words)}."


def _preview(image: Image.Image, alt: str) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    width = image.width * (8 if image.width <= 128 else 1)  # one pixel for each of the latents
    return image_html(buffer.getvalue(), alt=alt, kind="jpeg", style=f"width:{width}px;max-width:100%")
