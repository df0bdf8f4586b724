"""What the tests of plots and widgets share: runs that were never sampled, and the words of a figure."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from tp2lib.engine.runs import Run
from tp2lib.recipe import Recipe

APPLE = Recipe(prompt="a red apple on a white table", steps=30)


@functools.cache
def picture(number: int = 0, side: int = 64) -> Image.Image:
    """A coloured ball, another one for each number."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    pixels = np.full((side, side, 3), 250.0)
    ball = np.hypot(x - 0.02 * number, y) < 0.3
    pixels[ball] = np.array([190, 30 + 20 * number, 40]) + 40 * (x - y)[ball][:, None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def fake_run(number: int = 0, *, outcome: str = "ok", image: Image.Image | None = None, known: Any = (), **changes: Any) -> Run:
    """A run of APPLE, or of what `changes` make of it, with effective settings such as `resolve` finds."""
    recipe = APPLE.vary(**changes)
    calls = 2 * recipe.steps - 1 if recipe.scheduler == "Heun" else recipe.effective_steps
    guided = recipe.guidance > 1
    effective = {
        "model": "vitrine", "width": 64, "height": 64, "device": "cpu", "dtype": "float32", "threads": 2, "rungs": [],
        "steps": recipe.effective_steps, "nominal_steps": recipe.nominal_steps, "model_calls": calls, "tokens_cut": 0,
        "guidance_active": guided, "negative_used": bool(recipe.negative_prompt) and guided,
    }  # fmt: skip
    return Run(
        recipe=recipe,
        effective=effective | dict(known),
        timings={"total": 0.1 * calls},
        environment={},
        outcome=outcome,
        key=f"{number:032x}",
        path=Path(f"{number}.png"),
        image=image or (picture(number) if outcome == "ok" else None),
    )


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def words(figure: Figure) -> str:
    """Everything that is written on a figure, headings first, line breaks and hard blanks as blanks."""
    texts = [text.get_text() for text in figure.findobj(Text)]
    heads = [axes.get_title(where) for axes in figure.axes for where in ("center", "left")]
    for head in heads:
        texts.remove(head)
    return " | ".join(" ".join(text.split()) for text in heads + texts if text)


def drawn(figure: Figure) -> list[AxesImage]:
    """The pictures and maps of a figure, row by row."""
    return [image for axes in figure.axes for image in axes.images]


def inches(image: AxesImage) -> tuple[float, float, float]:
    """Left edge, width and height of a drawn picture."""
    image.get_figure().draw_without_rendering()
    box = image.get_window_extent()
    return tuple(value / image.get_figure().dpi for value in (box.x0, box.width, box.height))
