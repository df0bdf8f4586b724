"""The facts that a report can state, by name: of a run, read from its record or measured on its picture, and of files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from statistics import fmean
from typing import Any, NamedTuple

from tp2lib.engine.runs import Run
from tp2lib.errors import TP2Error, shown, without_folders
from tp2lib.evaluation.experiments import CASES, check_cases
from tp2lib.evaluation.languages import Number, words
from tp2lib.evaluation.rater_agreement import Agreement, compare, consistency, correlation, paired
from tp2lib.evaluation.ratings import FOLDER, Ratings
from tp2lib.evaluation.reflection import FILE as REFLECTION
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, total
from tp2lib.evaluation.run_measures import costs
from tp2lib.metadata.pixels import pixels_sha256
from tp2lib.metrics.measures import Measures, perceptual_distance, take
from tp2lib.report.gather import Material, kept_runs
from tp2lib.report.pages import NOTHING, Cell, Trace
from tp2lib.storage.pictures import known_as

REPORT = "rapport_tp2"  # stands for the seed report's own figures: they are data of the pack

CORRELATED = ("sharpness", "contrast", "saturation", "clipped_highlights", "background_whiteness")
PROGRESS, LEDGER = "progress.jsonl", "ledger.jsonl"

_FIGURE = re.compile(r"[\d\s.,/+%–…-]+s?")  # a number, a share, a sum of ten, an interval, seconds

Filed = dict[tuple[str, str], Cell]
_Facts = Iterator[tuple[str, str, Mapping[str, Any]]]  # file, what the facts are about, and the facts


class _Of(NamedTuple):
    """What a fact is asked of: a run, and the one that it is compared with, if there is one."""

    material: Material
    language: str
    run: Run
    other: Any = None


_Read = Callable[[_Of], Any]


def _from(part: str, name: str) -> _Read:
    """A value of a run's dictionary: `effective`, `environment` or `timings`."""
    return lambda of: getattr(of.run, part).get(name)


def _measured(name: str) -> _Read:
    return lambda of: of.material.measured(name, of.run)


def _change(name: str) -> _Read:
    """How much larger a fact of the first run is than that of the second, as a share."""
    return lambda of: FACTS[name][1](of) / FACTS[name][1](of._replace(run=of.other)) - 1


def _to_photo(name: str) -> _Read:
    return lambda of: take(name, of.run.picture, of.material.photo(of.run))


def _fidelity(part: str) -> _Read:
    return lambda of: getattr(of.material.fidelity(of.run), part)


def _reasons(of: _Of) -> str:
    """The reasons against publishing; what could not be checked is another fact."""
    inspection = of.material.inspection(of.run)
    checked = replace(inspection, findings=tuple(one for one in inspection.findings if one.verdict != "unknown"))
    return " · ".join(checked.why(of.language))


# name: how it is written ("text" is anybody's words, "number" a number as it stands, else a format), and how it is found out;
# those that compare need the other run. What a record lacks, or holds of another kind, may raise: the fact is not known then
FACTS: dict[str, tuple[str, _Read]] = {
    **{name: ("text", attrgetter(f"run.recipe.{name}")) for name in ("prompt", "negative_prompt", "scheduler", "schedule")},
    **{name: ("number", attrgetter(f"run.recipe.{name}")) for name in ("seed", "steps")},
    "guidance": ("{:.1f}", attrgetter("run.recipe.guidance")),
    "strength": ("{:.2f}", attrgetter("run.recipe.strength")),
    "mask": ("text", lambda of: of.run.recipe.mask and known_as(of.run.recipe.mask)),
    **{name: ("number", attrgetter(f"run.recipe.{name}")) for name in ("grow", "feather")},
    "recipe": ("text", attrgetter("run.recipe.hash")),
    "key": ("text", attrgetter("run.key")),
    "name": ("text", lambda of: of.material.names.get(of.run.key, of.run.key[:8])),
    **{name: ("text", _from("effective", name)) for name in ("device", "dtype", "mode", "source_sha256")},
    "model": ("text", lambda of: known_as(of.run.effective["model"])),
    "weights": ("text", lambda of: str(of.run.effective.get("weights_sha256"))[:16]),
    "threads": ("number", _from("effective", "threads")),
    "calls": ("number", _from("effective", "model_calls")),
    "steps run": ("number", _from("effective", "steps")),
    "steps asked": ("number", _from("effective", "nominal_steps")),
    "rungs": ("text", lambda of: ", ".join(map(str, of.run.effective.get("rungs") or ()))),
    "size": ("text", lambda of: f"{of.run.picture.width} × {of.run.picture.height}"),
    "photo": ("text", lambda of: "; ".join(map(str, (of.run.source or {}).get("chain") or ()))),
    "seconds": ("{:.1f} s", _from("timings", "total")),
    "seconds a step": ("{:.2f} s", lambda of: of.run.timings["denoise"] / of.run.effective["steps"]),
    **{name: ("text", _from("environment", name)) for name in ("torch", "diffusers", "transformers", "python", "system", "cpu", "gpu")},
    **{one.metadata["label"]: (one.metadata["form"], _measured(one.name)) for one in fields(Measures) if one.name in CORRELATED},
    **{f"{name} change": ("{:+.0%}", _change(name)) for name in ("sharpness", "saturation", "contrast", "seconds")},
    "distance": ("{:.1f} ΔE", lambda of: perceptual_distance(of.run.picture, of.other.picture)),
    "distance to photo": ("{:.1f} ΔE", _to_photo("perceptual_distance")),
    "ssim to photo": ("{:.2f}", _to_photo("ssim")),
    "product colour": ("{:.1f} ΔE", _fidelity("colour")),
    "product outline": ("{:.0%}", _fidelity("shape")),
    "seen": ("{:.2f}", lambda of: of.material.seen(of.run)),
    "grade": ("text", lambda of: words(of.language)["grades"][getattr(of.material.proof(of.run), "grade", None)]),
    "points": ("number", lambda of: getattr(of.material.proof(of.run), "points", None)),
    "suspects": ("text", lambda of: ", ".join(words(of.language)["report"].get(one, one) for one in getattr(of.material.proof(of.run), "suspects", ()))),
    "verdict": ("text", lambda of: words(of.language)["verdicts"][of.material.inspection(of.run).verdict]),
    "reasons": ("text", _reasons),
    "unchecked": ("text", lambda of: ", ".join(words(of.language)["risks"][risk] for risk in of.material.inspection(of.run).unchecked)),
}


def written(material: Material, what: str, runs: Sequence[Run], language: str) -> str:
    """Write a fact in a language; what cannot be found out is a dash."""

    def find() -> str:
        form, read = FACTS[what]
        try:
            value = read(_Of(material, language, *runs))
            if isinstance(value, (int, float)) and not isinstance(value, bool) and "{" in form:
                rounds = what in ("guidance", "strength") and float(form.format(value)) != value  # a setting is told as it was typed
                return ("{}" if rounds else form).format(Number(value, language))
        except (TP2Error, TypeError, ValueError, AttributeError, LookupError, ArithmeticError):  # the record is untrusted
            value = None
        if value is None or value == "":
            return NOTHING
        text = " ".join(str(value).split())
        return text if len(text) <= 400 else text[:399] + "…"

    return material.once("written", what, language, *(run.key for run in runs), find=find)


# -- the facts of files ------------------------------------------------------------------------------


def filed(material: Material, language: str, words: Mapping[str, str]) -> Filed:
    """List every fact that is read from a file, under the file's name and its own."""
    say = _Writer(language, words)
    found: Filed = {}
    for part in (_course, _claims, _scores, _agreements, _ledger):
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

    def short(self, value: Any) -> str:
        """Write a value from a file, of any type."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return value[:200] if isinstance(value, str) else shown(value)
        return self.number(value, "{:.4g}") if isinstance(value, float) else str(value)

    def interval(self, low: float | None, high: float | None, form: str = "{:.2f}") -> str:
        return NOTHING if low is None else f"{self.number(low, form)} … {self.number(high, form)}"

    def estimate(self, one: Agreement, form: str = "{:.2f}") -> dict[str, Any]:
        """Return the facts of an agreement or a correlation."""
        if one.n == 0:
            verdict = self.words["no shared"]
        elif one.value is None and one.n > 2 and one.equal in (None, 1):
            verdict = self.words["no spread"]
        elif one.low is None:
            verdict = self.words["too few"]
        else:
            verdict = self.words["separable" if one.separable else "not separable"]
        numbers = {"value": self.number(one.value, form), "interval": self.interval(one.low, one.high, form), "n": one.n}
        return {**numbers, "raters": one.raters, "equal": self.number(one.equal, "{:.0%}"), "verdict": verdict}


def _course(material: Material, say: _Writer) -> _Facts:
    yield REFLECTION, "answer", material.answers
    for question, (title, text) in material.open_answers.items():
        yield PROGRESS, f"open {question}", {"title": title, "text": text}
    for number, one in enumerate(material.judged):
        answers = {"answer": say.short(one.answer), "measured": say.short(one.measured), "score": say.number(one.score, "{:.2f}")}
        yield PROGRESS, f"prediction {number}", {"notebook": one.notebook, "question": one.question[:200], **answers}
    if material.judged:
        yield PROGRESS, "predictions", {"": len(material.judged), "score": say.number(fmean(one.score for one in material.judged), "{:.2f}")}
    for mine in material.progress:
        counts = {"done": mine.done, "hints": mine.hints, "predictions": mine.predictions, "minutes": say.number(mine.minutes, "{:.0f}")}
        yield PROGRESS, f"notebook {mine.notebook}", {"": mine.notebook, **counts}


def _claims(material: Material, say: _Writer) -> _Facts:
    """What the seed report claims of its cases, and what contradicts it here."""
    for name, case in CASES.items():
        yield REPORT, f"points {name}", case.scores
        yield REPORT, "total", {name: f"{case.total}/10"}
    points = {name: proof.points for name, proof in material.proofs.items()}
    recipes = {name: run.recipe for name, run in material.named.items()}
    for number, one in enumerate(check_cases(recipes, points)):
        named = CRITERIA[one.what].label[say.language] if one.what in CRITERIA else say.words.get(one.what, one.what)
        kind = "points" if one.what in (*CRITERIA, "total") else "setting"
        sides = {"claimed": say.short(one.claimed), "found": say.short(one.found)}
        yield REPORT, f"contradiction {number}", {"case": one.case, "what": named, "kind": kind, **sides}


def _scores(material: Material, say: _Writer) -> _Facts:
    by = _paired(material)[0]
    for one in material.ratings:
        file = f"{FOLDER}/{one.rater}.jsonl"
        state = say.words["altered" if one.altered else "locked" if one.locked else "open"]
        own = say.estimate(consistency(one))
        own["verdict"] = own["verdict"] if own["n"] else say.words["no repeats"]
        pictures = sum(item.repeat_of is None and bool(one.whole(item)) for item in one.items)
        yield file, "", {"rater": one.rater, "state": state, "pictures": pictures, "repeats": own["n"]}
        counted = one.counted(by=by)
        yield file, "own", {"kappa": own["value"], **{name: own[name] for name in ("equal", "interval", "verdict")}}
        for name, run in material.named.items():
            points = counted.get(_known_by(run, by), {})
            whole = total({**points, "reproducibility": getattr(material.proofs.get(name), "points", None)})
            yield file, f"points {name}", {criterion: points.get(criterion) for criterion in JUDGED}
            yield file, "total", {name: NOTHING if whole is None else f"{whole:g}/10"}


def _paired(material: Material) -> tuple[str, list[Agreement]]:
    """By what the raters' pictures are told apart, and how far they agree."""
    return material.once("paired", find=lambda: paired([one for one in material.ratings if one.valid]))


def _known_by(run: Run, by: str) -> str:
    """What a log on any machine knows a picture by."""
    return run.recipe.hash if by == "recipe" else pixels_sha256(run.picture)


def _agreements(material: Material, say: _Writer) -> _Facts:
    sound = [one for one in material.ratings if one.valid]
    by, kappas = _paired(material)
    for one in kappas:
        yield FOLDER, f"kappa {one.criterion}", say.estimate(one)
        yield FOLDER, f"paired by {by}", {"n": one.n}
    if sound:
        yield from _correlations(material, sound, by, say)
    first, *others = (material.named.get(name) for name in CASES)
    for name, other in zip(list(CASES)[1:], others, strict=True):
        pair = [_known_by(one, by) for one in (first, other) if one]
        found = compare(sound, *pair, by=by) if len(pair) == 2 else None
        if found is not None:
            numbers = {"mean": say.number(found.mean, "{:+.1f}"), "interval": say.interval(found.low, found.high, "{:+.1f}")}
            yield FOLDER, f"difference {name}", {**numbers, "raters": found.raters, "verdict": say.words["separable" if found.separable else "not separable"]}


def _correlations(material: Material, sound: Sequence[Ratings], by: str, say: _Writer) -> _Facts:
    """Mean judged points of each picture, against the measures."""
    here = {_known_by(run, by): run for run in material.runs.values()}
    sums: dict[str, list[int]] = {}
    for one in sound:
        for picture, points in one.counted(by=by).items():
            if len(points) == len(JUDGED) and picture in here:
                sums.setdefault(picture, []).append(sum(points.values()))
    means = {picture: fmean(values) for picture, values in sums.items()}
    runs = {picture: here[picture] for picture in means}
    for name in (*CORRELATED, "seen"):
        found = {key: material.seen(run) if name == "seen" else material.measured(name, run) for key, run in runs.items()}
        values = {key: value for key, value in found.items() if value is not None}
        yield FOLDER, f"rho {name}", say.estimate(correlation(means, values, name=name), "{:+.2f}")


def _ledger(material: Material, say: _Writer) -> _Facts:
    """What pictures took, for each kind of machine and model, and which runs failed."""
    for number, one in enumerate(costs(kept_runs(material.ledger))[:6]):
        kind = {"model": f"{known_as(one.model)}, {one.size}", "device": one.device, "threads": say.short(one.threads), "runs": len(one.runs)}
        seconds = {"step": say.number(one.step_s, "{:.2f} s"), "image": say.number(one.image_s, "{:.1f} s"), "hour": say.number(one.per_hour, "{:.0f}")}
        yield LEDGER, f"cost {number}", {**kind, **seconds}
    for number, event in enumerate(material.failures):
        facts = {"key": str(event.get("key"))[:8], "at": str(event.get("at"))[:19], "reason": without_folders(str(event.get("reason")))[:300]}
        yield LEDGER, f"failure {number}", facts
