"""The facts of a report that are read from files, not from a run: scores and their agreement, answers, costs, failures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from tp2lib.errors import shown
from tp2lib.evaluation.cases import CASES, check_cases
from tp2lib.evaluation.languages import Number
from tp2lib.evaluation.rater_agreement import Agreement, agreement, compare, consistency, correlation
from tp2lib.evaluation.ratings import FOLDER, Ratings
from tp2lib.evaluation.reflection import FILE as REFLECTION
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, total
from tp2lib.evaluation.running_costs import costs
from tp2lib.metrics.measures import take
from tp2lib.report.gather import Material
from tp2lib.report.pages import Cell, Trace

__all__ = ["CORRELATED", "NOTHING", "REPORT", "Filed", "filed"]

REPORT = "rapport_tp2"
"""Stands for the seed report's own figures: they are data of the pack."""

NOTHING = "–"
CORRELATED = ("sharpness", "contrast", "saturation", "clipped_highlights", "background_whiteness")
PROGRESS, LEDGER = "progress.jsonl", "ledger.jsonl"

_FIGURE = re.compile(r"[\d\s.,/+%–…-]+s?")  # a number, a share, a sum of ten, an interval, seconds

Filed = dict[tuple[str, str], Cell]


def filed(material: Material, language: str, words: Mapping[str, str]) -> Filed:
    """List every fact that is read from a file, under the file's name and its own."""
    say = _Writer(language, words)
    found: Filed = {}
    for part in (_answers, _predictions, _progress, _claims, _scores, _agreements, _contradictions, _costs, _failures):
        for file, what, value in part(material, say):
            text = value if isinstance(value, str) else say.number(value)
            kind = "number" if _FIGURE.fullmatch(text) else "text"
            found[file, what] = Cell(text=text, trace=Trace(what=what, file=file), kind=kind)
    return found


class _Writer:
    """Writes numbers and verdicts in one language."""

    def __init__(self, language: str, words: Mapping[str, str]) -> None:
        self.language, self.words = language, words

    def number(self, value: Any, form: str = "{}") -> str:
        if value is None:
            return NOTHING
        if isinstance(value, float) and form == "{}":
            form = "{:g}"
        return form.format(Number(value, self.language) if isinstance(value, float) else value)

    def interval(self, low: float | None, high: float | None, form: str = "{:.2f}") -> str:
        return NOTHING if low is None else f"{self.number(low, form)} … {self.number(high, form)}"

    def agreed(self, one: Agreement) -> str:
        if one.n == 0:
            return self.words["no shared"]
        if one.value is None:
            return self.words["no spread"]
        if one.low is None:
            return self.words["too few"]
        return self.words["separable" if one.separable else "not separable"]


_Row = tuple[str, str, Any]


def _answers(material: Material, say: _Writer) -> Iterator[_Row]:
    for name, text in material.answers.items():
        yield REFLECTION, f"answer {name}", text
    for number, (title, text) in material.open_answers.items():
        yield PROGRESS, f"open {number} title", title
        yield PROGRESS, f"open {number} text", text


def _predictions(material: Material, say: _Writer) -> Iterator[_Row]:
    for number, one in enumerate(material.judged):
        yield PROGRESS, f"prediction {number} notebook", one.notebook
        yield PROGRESS, f"prediction {number} question", one.question[:200]
        yield PROGRESS, f"prediction {number} answer", _short(one.answer, say)
        yield PROGRESS, f"prediction {number} measured", _short(one.measured, say)
        yield PROGRESS, f"prediction {number} score", say.number(one.score, "{:.2f}")
    if material.judged:
        yield PROGRESS, "predictions", len(material.judged)
        yield PROGRESS, "predictions score", say.number(fmean(one.score for one in material.judged), "{:.2f}")


def _progress(material: Material, say: _Writer) -> Iterator[_Row]:
    for one in material.progress:
        yield PROGRESS, f"notebook {one.notebook}", one.notebook
        yield PROGRESS, f"notebook {one.notebook} done", one.done
        yield PROGRESS, f"notebook {one.notebook} hints", one.hints
        yield PROGRESS, f"notebook {one.notebook} predictions", one.predictions
        yield PROGRESS, f"notebook {one.notebook} minutes", say.number(one.minutes, "{:.0f}")


def _claims(material: Material, say: _Writer) -> Iterator[_Row]:
    for name, case in CASES.items():
        for criterion, points in case.scores.items():
            yield REPORT, f"points {name} {criterion}", points
        yield REPORT, f"total {name}", f"{case.total}/10"


def _scores(material: Material, say: _Writer) -> Iterator[_Row]:
    for one in material.ratings:
        file = f"{FOLDER}/{one.rater}.jsonl"
        yield file, "rater", one.rater
        yield file, "state", say.words["altered" if one.altered else "locked" if one.locked else "open"]
        yield file, "pictures", sum(item.repeat_of is None for item in one.items)
        own = consistency(one)
        yield file, "repeats", own.n
        yield file, "own equal", say.number(own.equal, "{:.0%}")
        yield file, "own kappa", say.number(own.value, "{:.2f}")
        yield file, "own interval", say.interval(own.low, own.high)
        yield file, "own verdict", say.agreed(own)
        for name, run in material.named.items():
            points = counted(one).get(run.key, {})
            for criterion in JUDGED:
                yield file, f"points {name} {criterion}", points.get(criterion)
            proof = material.proof(run)
            whole = total({**points, "reproducibility": None if proof is None else proof.points})
            yield file, f"total {name}", NOTHING if whole is None else f"{whole:g}/10"


def counted(ratings: Ratings) -> dict[str, dict[str, int]]:
    """Points by run and criterion that count: those of a log that was locked, and is as it was then."""
    if not ratings.locked or ratings.altered:
        return {}
    return {item.key: ratings.of(item.key) for item in ratings.items}


def _agreements(material: Material, say: _Writer) -> Iterator[_Row]:
    sound = [one for one in material.ratings if one.locked and not one.altered]
    if len(sound) > 1:
        for one in agreement(sound):
            yield FOLDER, f"kappa {one.criterion} value", say.number(one.value, "{:.2f}")
            yield FOLDER, f"kappa {one.criterion} interval", say.interval(one.low, one.high)
            yield FOLDER, f"kappa {one.criterion} n", one.n
            yield FOLDER, f"kappa {one.criterion} raters", one.raters
            yield FOLDER, f"kappa {one.criterion} equal", say.number(one.equal, "{:.0%}")
            yield FOLDER, f"kappa {one.criterion} verdict", say.agreed(one)
    if sound:
        yield from _correlations(material, sound, say)
        yield from _differences(material, sound, say)


def _correlations(material: Material, sound: Sequence[Ratings], say: _Writer) -> Iterator[_Row]:
    """Mean judged points of each picture, against the measures."""
    sums: dict[str, list[int]] = {}
    for one in sound:
        for key, points in counted(one).items():
            if len(points) == len(JUDGED) and key in material.runs:
                sums.setdefault(key, []).append(sum(points.values()))
    means = {key: fmean(values) for key, values in sums.items()}
    measured: dict[str, Callable[[Any], float | None]] = {name: lambda run, name=name: take(name, run.image) for name in CORRELATED}
    measured["seen"] = material.seen
    for name, read in measured.items():
        values = {key: value for key in means if (value := read(material.runs[key])) is not None}
        one = correlation(means, values, name=name)
        yield FOLDER, f"rho {name} value", say.number(one.value, "{:+.2f}")
        yield FOLDER, f"rho {name} interval", say.interval(one.low, one.high, "{:+.2f}")
        yield FOLDER, f"rho {name} n", one.n
        apart = one.low is not None and (one.low > 0 or one.high < 0)
        yield FOLDER, f"rho {name} verdict", say.words["separable"] if apart else say.agreed(one) if one.low is None else say.words["not separable"]


def _differences(material: Material, sound: Sequence[Ratings], say: _Writer) -> Iterator[_Row]:
    first, *others = CASES
    for other in others:
        pair = [material.named.get(name) for name in (first, other)]
        if None in pair:
            continue
        found = compare(sound, *(run.key for run in pair), by="key")
        if found is None:
            continue
        yield FOLDER, f"difference {other} mean", say.number(found.mean, "{:+.1f}")
        yield FOLDER, f"difference {other} interval", say.interval(found.low, found.high, "{:+.1f}")
        yield FOLDER, f"difference {other} raters", found.raters
        yield FOLDER, f"difference {other} verdict", say.words["separable" if found.separable else "not separable"]


def _contradictions(material: Material, say: _Writer) -> Iterator[_Row]:
    points = {name: proof.points for name, run in material.named.items() if (proof := material.proof(run)) is not None}
    recipes = {name: run.recipe for name, run in material.named.items()}
    for number, one in enumerate(check_cases(recipes, points)):
        yield REPORT, f"contradiction {number} case", one.case
        named = CRITERIA[one.what].label[say.language] if one.what in CRITERIA else say.words.get(one.what, one.what)
        yield REPORT, f"contradiction {number} what", named
        yield REPORT, f"contradiction {number} kind", "points" if one.what in (*CRITERIA, "total") else "setting"
        yield REPORT, f"contradiction {number} claimed", _short(one.claimed, say)
        yield REPORT, f"contradiction {number} found", _short(one.found, say)


def _costs(material: Material, say: _Writer) -> Iterator[_Row]:
    for number, one in enumerate(costs(material.timed)[:6]):
        yield LEDGER, f"cost {number} model", f"{one.model}, {one.size}"
        yield LEDGER, f"cost {number} device", one.device
        yield LEDGER, f"cost {number} threads", _short(one.threads, say)
        yield LEDGER, f"cost {number} runs", len(one.runs)
        yield LEDGER, f"cost {number} step", say.number(one.step_s, "{:.2f} s")
        yield LEDGER, f"cost {number} image", say.number(one.image_s, "{:.1f} s")
        yield LEDGER, f"cost {number} hour", say.number(one.per_hour, "{:.0f}")


def _failures(material: Material, say: _Writer) -> Iterator[_Row]:
    for number, event in enumerate(material.failures):
        yield LEDGER, f"failure {number} key", str(event.get("key"))[:8]
        yield LEDGER, f"failure {number} at", str(event.get("at"))[:19]
        yield LEDGER, f"failure {number} reason", str(event.get("reason"))[:300]


def _short(value: Any, say: _Writer) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value[:200] if isinstance(value, str) else shown(value)
    return say.number(value, "{:.4g}") if isinstance(value, float) else str(value)
