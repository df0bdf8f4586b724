"""Draw curves over a sweep: from how many steps a picture hardly changes, and how much of a photo each strength keeps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tp2lib.errors import ControlError, shown
from tp2lib.metrics.measures import axis_title, take
from tp2lib.plots.labels import changes, fixed, label, problem, value, values, varying
from tp2lib.plots.layout import COLOURS, SOFT, add_legend, new_plot, text_style

_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", "-.", ":")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured point of a curve: at `x`, for one seed, of the curve called `group`."""

    x: float
    y: float
    seed: int
    group: str = ""


def convergence(runs: Sequence[Any], *, measure: str = "perceptual_distance", by: str | None = None) -> list[Point]:
    """Measure how far each picture is from the one with the next larger number of steps, seed by seed.

    Parameters
    ----------
    runs : sequence of Run
        Over several step counts, and as many seeds as you like.
    measure : str
        One that compares; see `tp2lib.metrics.measures.MEASURES`.
    by : str, optional
        A setting with a curve for each of its values, such as ``"scheduler"``.

    Returns
    -------
    list of Point
        x is the smaller of the two step counts.

    Raises
    ------
    ControlError
        Something else varies too, or there is nothing to compare.
    """
    points = []
    for (group, seed), row in _rows(runs, "steps", by).items():
        once = {run.recipe.steps: run for run in row}
        pairs = itertools.pairwise(once[steps] for steps in sorted(once))
        points += [Point(x=a.recipe.steps, y=take(measure, a.image, b.image), seed=seed, group=group) for a, b in pairs]
    return _some(points, "steps")


def fidelity(runs: Sequence[Any], source: Image.Image) -> list[Point]:
    """Measure the SSIM of each picture to the photo that it started from, over strength.

    Parameters
    ----------
    runs : sequence of Run
        Over several strengths, and as many seeds as you like.
    source : PIL.Image.Image
        The prepared photo, of the pictures' size.

    Returns
    -------
    list of Point
        x is the strength that was asked for.

    Raises
    ------
    ControlError
        As in :func:`convergence`.
    """
    points = [
        Point(x=run.recipe.strength, y=take("ssim", run.image, source), seed=seed)
        for (_, seed), row in _rows(runs, "strength", None).items()
        for run in sorted(row, key=lambda run: run.recipe.strength)
    ]
    return _some(points, "strength")


def make_convergence(runs: Sequence[Any], *, measure: str = "perceptual_distance", by: str | None = None) -> Figure:
    """Draw :func:`convergence`: where the curve reaches 0, more steps change nothing."""
    points = convergence(runs, measure=measure, by=by)
    counts = ", ".join(map(str, values(runs, "steps")))
    said = [f"Each point: from that number of steps to the next of {counts}.", *_said(points, runs, "steps", by)]
    figure, axes = _draw(points, said, x="steps", y=f"{axis_title(measure)} to the next step count")
    if measure == "perceptual_distance":
        axes.axhline(1, color=SOFT, lw=0.8, ls=":")
        axes.annotate("just noticeable", (1, 1), (-2, 2), ("axes fraction", "data"), "offset points", **text_style(7, color=SOFT, ha="right"))
    return figure


def make_fidelity(runs: Sequence[Any], source: Image.Image) -> Figure:
    """Draw :func:`fidelity`: what each strength keeps of the photo, in numbers."""
    points = fidelity(runs, source)
    figure, axes = _draw(points, _said(points, runs, "strength", None), x="strength", y=f"{axis_title('ssim')} to the source photo")
    effects: dict[float, set[str]] = {}
    for run in runs:
        effects.setdefault(run.recipe.strength, set()).add(label(run, "strength")[1].removesuffix(" run"))
    places = sorted({point.x for point in points})
    axes.set_xticks(places, [f"{x:g}\n{effects[x].pop() if len(effects[x]) == 1 else ''}" for x in places])
    return figure


def make_schedules(runs: Sequence[Any], model: Any) -> Figure:
    """Draw which noise levels each run's steps visit, as a curve over its model calls, and its picture beside them.

    Parameters
    ----------
    runs : sequence of Run
        Of one seed, each with a picture; what varies names the curves.
    model : Model
        The model that made them: its scheduler configuration says how much noise a timestep stands for.
    """
    from tp2lib.engine.schedulers import noise_levels  # brings torch

    names = changes(runs)
    figure, axes = new_plot([f"Each point is a model call. Fixed: {'; '.join(fixed(runs))}."], x="model call", y="noise level σ")
    for number, (run, name) in enumerate(zip(runs, names, strict=True)):
        levels, look = noise_levels(run.effective["timesteps"], model.base_scheduler_config), _look(number)
        colour = look["color"]
        axes.plot(range(1, len(levels) + 1), levels, label=name, markersize=3.5, linewidth=1.5, **look)
        beside = axes.inset_axes((1.05, 1 - (number + 0.97) / len(runs), 0.3, 0.8 / len(runs)))
        beside.imshow(run.image)
        beside.set(xticks=[], yticks=[])
        beside.set_title(name, pad=2, **text_style(7.5, color=colour, weight="bold"))
        for spine in beside.spines.values():
            spine.set(color=colour, linewidth=1.2)
    axes.set_yscale("log")
    add_legend(axes)
    return figure


def _rows(runs: Sequence[Any], axis: str, by: str | None) -> dict[tuple[str, int], list[Any]]:
    """Sort the runs that have a picture by curve and seed, if nothing but these and the axis varies."""
    more = [name for name in varying(runs) if name not in (axis, "seed", by)]
    if more:
        raise ControlError(
            f"the runs differ in {', '.join(more)} too; a curve over {axis} shows one thing at a time. "
            f"Choose the runs that agree in it, or give by={shown(more[0])}."
        )
    rows: dict[tuple[str, int], list[Any]] = {}
    for run in runs:
        if not problem(run):
            group = "" if by is None else str(value(run, by))
            rows.setdefault((group, run.recipe.seed), []).append(run)
    return rows


def _some(points: list[Point], axis: str) -> list[Point]:
    points = [point for point in points if math.isfinite(point.y)]  # equal pictures have no PSNR
    if not points:
        raise ControlError(f"there is nothing to draw; a curve needs runs with pictures at two or more values of {axis}. Add such runs.")
    return points


def _said(points: list[Point], runs: Sequence[Any], axis: str, by: str | None) -> list[str]:
    """Say how many seeds there are, what is left out, and what stayed fixed."""
    seeds, lost = sorted({point.seed for point in points}), sum(1 for run in runs if problem(run))
    said = [f"Thick: the median of {len(seeds)} seeds; thin: each seed." if len(seeds) > 1 else f"One seed, {seeds[0]}."]
    said += [f"{lost} of {len(runs)} runs have no picture and are left out."] if lost else []
    return [*said, f"Fixed: {'; '.join(fixed(runs, (axis, 'seed', by or '')))}."]


def _draw(points: list[Point], said: list[str], **names: str) -> tuple[Figure, Axes]:
    figure, axes = new_plot(said, **names)
    groups = list(dict.fromkeys(point.group for point in points))
    for number, group in enumerate(groups):
        _curve(axes, [point for point in points if point.group == group], number)
    axes.set_xticks(sorted({point.x for point in points}))
    axes.set_ylim(bottom=min(0, *(point.y for point in points)))
    if len(groups) > 1:
        add_legend(axes)
    return figure, axes


def _curve(axes: Axes, points: list[Point], number: int) -> None:
    """Draw a thick line through the medians, and a thin one for each seed if there are several."""
    look, seeds = _look(number), {point.seed for point in points}
    for seed in seeds if len(seeds) > 1 else ():
        row = [(point.x, point.y) for point in points if point.seed == seed]
        axes.plot(*zip(*row), alpha=0.35, linewidth=0.8, **look | {"marker": ""})
    places = sorted({point.x for point in points})
    medians = [float(np.median([point.y for point in points if point.x == x])) for x in places]
    axes.plot(places, medians, linewidth=2.0, label=points[0].group, markersize=4.5, **look)


def _look(number: int) -> dict[str, Any]:
    """Return the colour, line and mark of a curve: colour is never alone."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": _LINES[number % len(_LINES)], "marker": _MARKS[number % len(_MARKS)]}
