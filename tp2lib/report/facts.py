"""The facts of a run that a report may state, each under its name: read from the record, or measured on the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

from tp2lib.engine.runs import Run
from tp2lib.errors import RecordError, TP2Error, did_you_mean, shown
from tp2lib.evaluation.languages import Number, words
from tp2lib.evaluation.product import fidelity_to
from tp2lib.metrics.measures import perceptual_distance, take
from tp2lib.report.gather import Material
from tp2lib.report.pages import NOTHING, Cell, Trace

__all__ = ["FACTS", "fact", "value_of"]

_MOST = 400  # characters of a text in one place


class _Of(NamedTuple):
    """What a fact is asked of: a run, and the one that it is compared with, if there is one."""

    material: Material
    language: str
    run: Run
    other: Any = None


_Read = Callable[[_Of], Any]


def _effective(name: str) -> _Read:
    return lambda of: of.run.effective.get(name)


def _environment(name: str) -> _Read:
    return lambda of: of.run.environment.get(name)


def _measured(name: str) -> _Read:
    return lambda of: of.material.measured(name, of.run)


def _change(name: str) -> _Read:
    """How much larger a fact of the first run is than that of the second, as a share."""

    def read(of: _Of) -> float | None:
        now, then = (FACTS[name][1](of._replace(run=run)) for run in (of.run, of.other))
        return now / then - 1 if then else None

    return read


def _to_photo(name: str) -> _Read:
    def read(of: _Of) -> float | None:
        photo = of.material.photo(of.run)
        return None if photo is None else take(name, of.run.picture, photo)

    return read


def _fidelity(part: str) -> _Read:
    def read(of: _Of) -> Any:
        photo = of.material.photo(of.run)
        found = of.material.once("fidelity", of.run.key, find=lambda: None if photo is None else fidelity_to(of.run.picture, photo))
        return getattr(found, part, None)

    return read


def _per_step(of: _Of) -> float | None:
    spent, calls = of.run.timings.get("denoise"), of.run.effective.get("model_calls")
    return spent / calls if spent and calls else None


def _grade(of: _Of) -> str | None:
    proof = of.material.proof(of.run)
    return None if proof is None else words(of.language)["grades"][proof.grade]


def _reasons(of: _Of) -> str:
    """What was checked and stands against it; what could not be checked is a fact of its own."""
    inspection = of.material.inspection(of.run)
    checked = replace(inspection, findings=tuple(one for one in inspection.findings if one.verdict != "unknown"))
    return "; ".join(checked.why(of.language))


def _unchecked(of: _Of) -> str:
    return ", ".join(words(of.language)["risks"][risk] for risk in of.material.inspection(of.run).unchecked)


# name: how it is written ("text" is anybody's words, "number" a number as it stands, else a format), and how it is found out;
# those that compare need the other run
FACTS: dict[str, tuple[str, _Read]] = {
    **{name: ("text", attrgetter(f"run.recipe.{name}")) for name in ("prompt", "negative_prompt", "scheduler", "schedule")},
    **{name: ("number", attrgetter(f"run.recipe.{name}")) for name in ("seed", "steps")},
    "guidance": ("{:.1f}", attrgetter("run.recipe.guidance")),
    "strength": ("{:.2f}", attrgetter("run.recipe.strength")),
    "recipe": ("text", attrgetter("run.recipe.hash")),
    "key": ("text", attrgetter("run.key")),
    "name": ("text", lambda of: of.material.names.get(of.run.key, of.run.key[:8])),
    **{name: ("text", _effective(name)) for name in ("model", "device", "dtype", "mode")},
    "weights": ("text", lambda of: str(of.run.effective.get("weights_sha256"))[:16]),
    "threads": ("number", _effective("threads")),
    "calls": ("number", _effective("model_calls")),
    "steps run": ("number", _effective("steps")),
    "steps asked": ("number", _effective("nominal_steps")),
    "rungs": ("text", lambda of: ", ".join(map(str, of.run.effective.get("rungs") or ()))),
    "size": ("text", lambda of: f"{of.run.picture.width} × {of.run.picture.height}"),
    "photo": ("text", lambda of: "; ".join(map(str, (of.run.source or {}).get("chain") or ()))),
    "seconds": ("{:.1f} s", lambda of: of.run.timings.get("total")),
    "seconds a step": ("{:.2f} s", _per_step),
    **{name: ("text", _environment(name)) for name in ("torch", "diffusers", "transformers", "python", "system", "cpu", "gpu")},
    "sharpness": ("{:.0f}", _measured("sharpness")),
    "contrast": ("{:.3f}", _measured("contrast")),
    "saturation": ("{:.1f}", _measured("saturation")),
    "clipped highlights": ("{:.1%}", _measured("clipped_highlights")),
    "background whiteness": ("{:.2f}", _measured("background_whiteness")),
    **{f"{name} change": ("{:+.0%}", _change(name)) for name in ("sharpness", "saturation", "contrast", "seconds")},
    "distance": ("{:.1f} ΔE", lambda of: perceptual_distance(of.run.picture, of.other.picture)),
    "distance to photo": ("{:.1f} ΔE", _to_photo("perceptual_distance")),
    "ssim to photo": ("{:.2f}", _to_photo("ssim")),
    "product colour": ("{:.1f} ΔE", _fidelity("colour")),
    "product outline": ("{:.0%}", _fidelity("shape")),
    "seen": ("{:.2f}", lambda of: of.material.seen(of.run)),
    "grade": ("text", _grade),
    "points": ("number", lambda of: getattr(of.material.proof(of.run), "points", None)),
    "verdict": ("text", lambda of: words(of.language)["verdicts"][of.material.inspection(of.run).verdict]),
    "reasons": ("text", _reasons),
    "unchecked": ("text", _unchecked),
}


def fact(material: Material, what: str, *runs: Run, language: str = "en") -> Cell:
    """Return a fact of a run as a cell with its trace."""
    if what not in FACTS:
        raise RecordError(f"there is no fact {shown(what)}; there are {', '.join(FACTS)}.{did_you_mean(what, FACTS)}")
    trace = Trace(what=what, runs=tuple(run.key for run in runs))
    return Cell(text=_written(material, what, runs, language), trace=trace, kind="text" if FACTS[what][0] == "text" else "number")


def value_of(material: Material, trace: Trace, language: str) -> str | None:
    """Find a fact out again, as it would be written; None where its runs are not there."""
    runs = [material.runs[key] for key in trace.runs if key in material.runs]
    if trace.what not in FACTS or not runs or len(runs) < len(trace.runs):
        return None
    return _written(material, trace.what, runs, language)


def _written(material: Material, what: str, runs: Sequence[Run], language: str) -> str:
    """Write a fact in a language; what cannot be found out is a dash."""

    def find() -> str:
        form, read = FACTS[what]
        try:
            value = read(_Of(material, language, *runs))
        except (TP2Error, TypeError, ValueError, AttributeError, ZeroDivisionError):  # a record may be anybody's
            value = None
        if value is None or value == "":
            return NOTHING
        if isinstance(value, (int, float)) and not isinstance(value, bool) and "{" in form:
            return form.format(Number(value, language))
        text = " ".join(str(value).split())
        return text if len(text) <= _MOST else text[: _MOST - 1] + "…"

    return material.once("written", what, language, *(run.key for run in runs), find=find)
