"""The facts of a run that a report may state, each under its name: read from the record, or measured on the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tp2lib.engine.runs import Run
from tp2lib.errors import RecordError, TP2Error, did_you_mean, shown
from tp2lib.evaluation.languages import Number, words
from tp2lib.evaluation.product import fidelity_to
from tp2lib.metrics.distances import perceptual_distance
from tp2lib.metrics.measures import take
from tp2lib.report.gather import Material
from tp2lib.report.pages import Cell, Trace

__all__ = ["FACTS", "fact", "value_of", "write"]

NOTHING = "–"
_MOST = 400  # characters of a text in one place

_Read = Callable[[Material, list[Run], str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """How a fact is found out, and written."""

    read: _Read
    form: str = ""
    text: bool = False


def _recipe(name: str, form: str = "", text: bool = False) -> _Fact:
    return _Fact(read=lambda material, runs, code: getattr(runs[0].recipe, name), form=form, text=text)


def _effective(name: str, form: str = "", text: bool = False) -> _Fact:
    return _Fact(read=lambda material, runs, code: runs[0].effective.get(name), form=form, text=text)


def _environment(name: str) -> _Fact:
    return _Fact(read=lambda material, runs, code: runs[0].environment.get(name), text=True)


def _measured(name: str, form: str) -> _Fact:
    return _Fact(read=lambda material, runs, code: take(name, runs[0].picture), form=form)


def _to_photo(name: str, form: str) -> _Fact:
    def read(material: Material, runs: list[Run], code: str) -> Any:
        photo = material.photo(runs[0])
        return None if photo is None else take(name, runs[0].picture, photo)

    return _Fact(read=read, form=form)


def _fidelity(part: str, form: str) -> _Fact:
    def read(material: Material, runs: list[Run], code: str) -> Any:
        place = ("fidelity", runs[0].key)
        if place not in material.found:
            photo = material.photo(runs[0])
            material.found[place] = None if photo is None else fidelity_to(runs[0].picture, photo)
        return getattr(material.found[place], part, None)

    return _Fact(read=read, form=form)


def _change(name: str, form: str) -> _Fact:
    """How much larger a fact of the first run is than that of the second, as a share."""

    def read(material: Material, runs: list[Run], code: str) -> Any:
        now, then = (_value(material, name, run, code) for run in runs)
        return None if not then else now / then - 1

    return _Fact(read=read, form=form)


def _value(material: Material, name: str, run: Run, code: str) -> Any:
    place = ("value", name, run.key)
    if place not in material.found:
        material.found[place] = FACTS[name].read(material, [run], code)
    return material.found[place]


def _per_step(material: Material, runs: list[Run], code: str) -> float | None:
    spent, calls = runs[0].timings.get("denoise"), runs[0].effective.get("model_calls")
    return spent / calls if spent and calls else None


def _proof(part: str) -> _Read:
    def read(material: Material, runs: list[Run], code: str) -> Any:
        found = material.proof(runs[0])
        if found is not None and part == "grade":
            return words(code)["grades"][found.grade]
        return getattr(found, part, None)

    return read


def _why(material: Material, runs: list[Run], code: str) -> str:
    """What was checked and stands against it; what could not be checked is a fact of its own."""
    checked = replace(material.inspection(runs[0]), findings=tuple(one for one in material.inspection(runs[0]).findings if one.verdict != "unknown"))
    return "; ".join(checked.why(code))


def _verdict(material: Material, runs: list[Run], code: str) -> str:
    return words(code)["verdicts"][material.inspection(runs[0]).verdict]


def _unchecked(material: Material, runs: list[Run], code: str) -> str:
    return ", ".join(words(code)["risks"][risk] for risk in material.inspection(runs[0]).unchecked)


FACTS: dict[str, _Fact] = {
    **{name: _recipe(name, text=True) for name in ("prompt", "negative_prompt", "scheduler", "schedule")},
    **{name: _recipe(name) for name in ("seed", "steps")},
    **{name: _recipe(name, "{:.1f}") for name in ("guidance",)},
    "strength": _recipe("strength", "{:.2f}"),
    "recipe": _Fact(read=lambda material, runs, code: runs[0].recipe.hash, text=True),
    "name": _Fact(read=lambda material, runs, code: material.names.get(runs[0].key, runs[0].key[:8]), text=True),
    "key": _Fact(read=lambda material, runs, code: runs[0].key, text=True),
    "model": _effective("model", text=True),
    "weights": _Fact(read=lambda material, runs, code: str(runs[0].effective.get("weights_sha256"))[:16], text=True),
    "device": _effective("device", text=True),
    "dtype": _effective("dtype", text=True),
    "threads": _effective("threads"),
    "mode": _effective("mode", text=True),
    "calls": _effective("model_calls"),
    "steps run": _effective("steps"),
    "steps asked": _effective("nominal_steps"),
    "rungs": _Fact(read=lambda material, runs, code: ", ".join(map(str, runs[0].effective.get("rungs") or ())), text=True),
    "size": _Fact(read=lambda material, runs, code: f"{runs[0].picture.width} × {runs[0].picture.height}", text=True),
    "photo": _Fact(read=lambda material, runs, code: "; ".join(map(str, (runs[0].source or {}).get("chain") or ())), text=True),
    "seconds": _Fact(read=lambda material, runs, code: runs[0].timings.get("total"), form="{:.1f} s"),
    "seconds a step": _Fact(read=_per_step, form="{:.2f} s"),
    **{name: _environment(name) for name in ("torch", "diffusers", "transformers", "python", "system", "cpu", "gpu")},
    "sharpness": _measured("sharpness", "{:.0f}"),
    "contrast": _measured("contrast", "{:.3f}"),
    "saturation": _measured("saturation", "{:.1f}"),
    "clipped highlights": _measured("clipped_highlights", "{:.1%}"),
    "background whiteness": _measured("background_whiteness", "{:.2f}"),
    "sharpness change": _change("sharpness", "{:+.0%}"),
    "saturation change": _change("saturation", "{:+.0%}"),
    "contrast change": _change("contrast", "{:+.0%}"),
    "seconds change": _change("seconds", "{:+.0%}"),
    "distance": _Fact(read=lambda m, runs, code: perceptual_distance(runs[0].picture, runs[1].picture), form="{:.1f} ΔE"),
    "distance to photo": _to_photo("perceptual_distance", "{:.1f} ΔE"),
    "ssim to photo": _to_photo("ssim", "{:.2f}"),
    "product colour": _fidelity("colour", "{:.1f} ΔE"),
    "product outline": _fidelity("shape", "{:.0%}"),
    "seen": _Fact(read=lambda material, runs, code: material.seen(runs[0]), form="{:.2f}"),
    "grade": _Fact(read=_proof("grade"), text=True),
    "points": _Fact(read=_proof("points")),
    "verdict": _Fact(read=_verdict, text=True),
    "reasons": _Fact(read=_why, text=True),
    "unchecked": _Fact(read=_unchecked, text=True),
}
"""Every fact under its name. Those that compare take a second run, the one compared with."""


def fact(material: Material, what: str, *runs: Run, language: str = "en") -> Cell:
    """Return a fact of a run as a cell with its trace.

    Raises
    ------
    RecordError
        There is no such fact.
    """
    if what not in FACTS:
        raise RecordError(f"there is no fact {shown(what)}; there are {', '.join(FACTS)}.{did_you_mean(what, FACTS)}")
    text = _written(material, what, list(runs), language)
    kind = "text" if FACTS[what].text else "number"
    return Cell(text=text, trace=Trace(what=what, runs=tuple(run.key for run in runs)), kind=kind)


def value_of(material: Material, trace: Trace, language: str) -> str | None:
    """Find a fact out again, as it would be written; None where its runs are not there."""
    runs = [material.runs[key] for key in trace.runs if key in material.runs]
    if trace.what not in FACTS or not runs or len(runs) < len(trace.runs):
        return None
    return _written(material, trace.what, runs, language)


def _written(material: Material, what: str, runs: list[Run], language: str) -> str:
    place = (what, language, *(run.key for run in runs))
    if place not in material.found:
        material.found[place] = write(FACTS[what], material, runs, language)
    return material.found[place]


def write(known: _Fact, material: Material, runs: list[Run], language: str) -> str:
    """Write a fact in a language; what cannot be found out is a dash."""
    try:
        value = known.read(material, runs, language)
    except (TP2Error, TypeError, ValueError, ZeroDivisionError):  # a record may be anybody's
        value = None
    if value is None or value == "":
        return NOTHING
    if isinstance(value, (int, float)) and not isinstance(value, bool) and known.form:
        return _localised(known.form, value, language)
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _localised(form: str, value: float, language: str) -> str:
    return form.format(Number(value, language))
