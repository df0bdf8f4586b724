"""The facts of a report that are read from files, not from a run: scores and their agreement, answers, costs, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from tp2lib.errors import shown
from tp2lib.evaluation.experiments import CASES, check_cases
from tp2lib.evaluation.languages import Number
from tp2lib.evaluation.rater_agreement import Agreement, agreement, compare, consistency, correlation
from tp2lib.evaluation.ratings import FOLDER, Ratings
from tp2lib.evaluation.reflection import FILE as REFLECTION
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, total
from tp2lib.evaluation.running_costs import costs
from tp2lib.report.gather import Material
from tp2lib.report.pages import NOTHING, Cell, Trace

__all__ = ["CORRELATED", "REPORT", "Filed", "filed"]

REPORT = "rapport_tp2"
"""Stands for the seed report's own figures: they are data of the pack."""

CORRELATED = ("sharpness", "contrast", "saturation", "clipped_highlights", "background_whiteness")
PROGRESS, LEDGER = "progress.jsonl", "ledger.jsonl"

_FIGURE = re.compile(r"[\d\s.,/+%–…-]+s?")  # a number, a share, a sum of ten, an interval, seconds

Filed = dict[tuple[str, str], Cell]
_Facts = Iterator[tuple[str, str, Mapping[str, Any]]]  # file, what the facts are about, and the facts


def filed(material: Material, language: str, words: Mapping[str, str]) -> Filed:
    """List every fact that is read from a file, under the file's name and its own."""
    say = _Writer(language, words)
    found: Filed = {}
    for part in (_answers, _predictions, _progress, _claims, _scores, _agreements, _contradictions, _costs, _failures):
        for file, about, facts in part(material, say):
            for name, value in facts.items():
                what, text = f"{about} {name}".strip(), value if isinstance(value, str) else say.number(value)
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

    def verdict(self, separable: bool) -> str:
        return self.words["separable" if separable else "not separable"]

    def estimate(self, one: Agreement, form: str = "{:.2f}") -> dict[str, Any]:
        """Return the facts of an agreement or a correlation."""
        if one.n == 0:
            verdict = self.words["no shared"]
        elif one.value is None:
            verdict = self.words["no spread"]
        elif one.low is None or one.high is None:
            verdict = self.words["too few"]
        else:
            verdict = self.verdict(one.low > 0 or one.high < 0 if one.equal is None else one.separable)
        numbers = {"value": self.number(one.value, form), "interval": self.interval(one.low, one.high, form), "n": one.n}
        return {**numbers, "raters": one.raters, "equal": self.number(one.equal, "{:.0%}"), "verdict": verdict}


def _answers(material: Material, say: _Writer) -> _Facts:
    yield REFLECTION, "answer", material.answers
    for number, (title, text) in material.open_answers.items():
        yield PROGRESS, f"open {number}", {"title": title, "text": text}


def _predictions(material: Material, say: _Writer) -> _Facts:
    for number, one in enumerate(material.judged):
        answers = {"answer": _short(one.answer, say), "measured": _short(one.measured, say), "score": say.number(one.score, "{:.2f}")}
        yield PROGRESS, f"prediction {number}", {"notebook": one.notebook, "question": one.question[:200], **answers}
    if material.judged:
        yield PROGRESS, "predictions", {"": len(material.judged), "score": say.number(fmean(one.score for one in material.judged), "{:.2f}")}


def _progress(material: Material, say: _Writer) -> _Facts:
    for one in material.progress:
        counts = {"done": one.done, "hints": one.hints, "predictions": one.predictions, "minutes": say.number(one.minutes, "{:.0f}")}
        yield PROGRESS, f"notebook {one.notebook}", {"": one.notebook, **counts}


def _claims(material: Material, say: _Writer) -> _Facts:
    for name, case in CASES.items():
        yield REPORT, f"points {name}", case.scores
        yield REPORT, "total", {name: f"{case.total}/10"}


def _scores(material: Material, say: _Writer) -> _Facts:
    for one in material.ratings:
        file = f"{FOLDER}/{one.rater}.jsonl"
        state = say.words["altered" if one.altered else "locked" if one.locked else "open"]
        own = say.estimate(consistency(one))
        yield file, "", {"rater": one.rater, "state": state, "pictures": sum(item.repeat_of is None for item in one.items), "repeats": own["n"]}
        yield file, "own", {"kappa": own["value"], **{name: own[name] for name in ("equal", "interval", "verdict")}}
        for name, run in material.named.items():
            points = counted(one).get(run.key, {})
            proof = material.proof(run)
            whole = total({**points, "reproducibility": None if proof is None else proof.points})
            yield file, f"points {name}", {criterion: points.get(criterion) for criterion in JUDGED}
            yield file, "total", {name: NOTHING if whole is None else f"{whole:g}/10"}


def counted(ratings: Ratings) -> dict[str, dict[str, int]]:
    """Points by run and criterion that count: those of a log that was locked and not edited since."""
    if not ratings.locked or ratings.altered:
        return {}
    return {item.key: ratings.of(item.key) for item in ratings.items}


def _agreements(material: Material, say: _Writer) -> _Facts:
    sound = [one for one in material.ratings if one.locked and not one.altered]
    if len(sound) > 1:
        for one in agreement(sound):
            yield FOLDER, f"kappa {one.criterion}", say.estimate(one)
    if sound:
        yield from _correlations(material, sound, say)
        yield from _differences(material, sound, say)


def _correlations(material: Material, sound: Sequence[Ratings], say: _Writer) -> _Facts:
    """Mean judged points of each picture, against the measures."""
    sums: dict[str, list[int]] = {}
    for one in sound:
        for key, points in counted(one).items():
            if len(points) == len(JUDGED) and key in material.runs:
                sums.setdefault(key, []).append(sum(points.values()))
    means = {key: fmean(values) for key, values in sums.items()}
    runs = {key: material.runs[key] for key in means}
    for name in (*CORRELATED, "seen"):
        found = {key: material.seen(run) if name == "seen" else material.measured(name, run) for key, run in runs.items()}
        values = {key: value for key, value in found.items() if value is not None}
        yield FOLDER, f"rho {name}", say.estimate(correlation(means, values, name=name), "{:+.2f}")


def _differences(material: Material, sound: Sequence[Ratings], say: _Writer) -> _Facts:
    first, *others = (material.named.get(name) for name in CASES)
    for name, other in zip(list(CASES)[1:], others, strict=True):
        found = compare(sound, first.key, other.key, by="key") if first and other else None
        if found is not None:
            numbers = {"mean": say.number(found.mean, "{:+.1f}"), "interval": say.interval(found.low, found.high, "{:+.1f}")}
            yield FOLDER, f"difference {name}", {**numbers, "raters": found.raters, "verdict": say.verdict(found.separable)}


def _contradictions(material: Material, say: _Writer) -> _Facts:
    points = {name: proof.points for name, run in material.named.items() if (proof := material.proof(run)) is not None}
    recipes = {name: run.recipe for name, run in material.named.items()}
    for number, one in enumerate(check_cases(recipes, points)):
        named = CRITERIA[one.what].label[say.language] if one.what in CRITERIA else say.words.get(one.what, one.what)
        kind = "points" if one.what in (*CRITERIA, "total") else "setting"
        sides = {"claimed": _short(one.claimed, say), "found": _short(one.found, say)}
        yield REPORT, f"contradiction {number}", {"case": one.case, "what": named, "kind": kind, **sides}


def _costs(material: Material, say: _Writer) -> _Facts:
    for number, one in enumerate(costs(material.timed)[:6]):
        kind = {"model": f"{one.model}, {one.size}", "device": one.device, "threads": _short(one.threads, say), "runs": len(one.runs)}
        seconds = {"step": say.number(one.step_s, "{:.2f} s"), "image": say.number(one.image_s, "{:.1f} s"), "hour": say.number(one.per_hour, "{:.0f}")}
        yield LEDGER, f"cost {number}", {**kind, **seconds}


def _failures(material: Material, say: _Writer) -> _Facts:
    for number, event in enumerate(material.failures):
        facts = {"key": str(event.get("key"))[:8], "at": str(event.get("at"))[:19], "reason": str(event.get("reason"))[:300]}
        yield LEDGER, f"failure {number}", facts


def _short(value: Any, say: _Writer) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value[:200] if isinstance(value, str) else shown(value)
    return say.number(value, "{:.4g}") if isinstance(value, float) else str(value)
