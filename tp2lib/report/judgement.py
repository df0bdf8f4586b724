"""The report's evaluation: the three cases judged again, agreement, proofs, risks, predictions and the closing questions."""

from __future__ import annotations

from tp2lib.evaluation.cases import CASES
from tp2lib.evaluation.languages import words
from tp2lib.evaluation.ratings import FOLDER
from tp2lib.evaluation.reflection import ASKED
from tp2lib.evaluation.reflection import FILE as REFLECTION
from tp2lib.evaluation.rubric import CRITERIA, JUDGED, LEVELS
from tp2lib.report.document import Block, Cell, Gap, Section, Table, Text
from tp2lib.report.filed import CORRELATED, LEDGER, PROGRESS, REPORT
from tp2lib.report.writer import Writer

__all__ = ["judgement"]

HERE = "06_evaluation"


def judgement(say: Writer) -> list[Section]:
    """Write the sections of the evaluation, reflection included."""
    return [
        _rubric(say), _cases(say), _contradictions(say), _agreement(say), _beside(say), _proofs(say), _risks(say),
        _predictions(say), _exercises(say), _reflection(say),
    ]  # fmt: skip


def _label(text: str) -> Cell:
    return Cell(text=text, kind="label")


def _rubric(say: Writer) -> Section:
    rows = [[_label(one.label[say.language]), *map(_label, one.levels[say.language])] for one in CRITERIA.values()]
    return Section(title="evaluation", blocks=[Text(key="rubric is"), Table(heads=("criterion", *map(str, LEVELS)), rows=rows)])


def _cases(say: Writer) -> Section:
    """One table a case: the report's points, each rater's, and what was measured."""
    raters = [one.rater for one in say.material.ratings if one.locked and not one.altered]
    blocks: list[Block] = [Text(key="sums")]
    blocks += [] if raters else [Gap(what="a locked log of scores", notebook=HERE)]
    for name, case in CASES.items():
        run = say.run(name)
        if run is None:
            continue
        prompt = {"name": _label(f"{name}, {case.about[say.language]}"), "prompt": say.fact("prompt", run)}
        blocks += [Text(key="case is", filled=prompt), say.picture(run, name)]
        files = [f"{FOLDER}/{rater}.jsonl" for rater in raters]
        rows = []
        for criterion, one in CRITERIA.items():
            given = [say.of(file, f"points {name} {criterion}") if one.judged else say.fact("points", run) for file in files or [""]]
            rows.append([_label(one.label[say.language]), say.of(REPORT, f"points {name} {criterion}"), *given])
        totals = [say.of(file, f"total {name}") for file in files or [""]]
        rows.append([_label("total"), say.of(REPORT, f"total {name}"), *totals])
        blocks.append(Table(heads=("criterion", "seed report", *(raters or ["measured"])), rows=rows))
    for name in list(CASES)[1:]:
        if say.has(FOLDER, f"difference {name} mean"):
            places = {part: say.of(FOLDER, f"difference {name} {part}") for part in ("mean", "interval", "raters", "verdict")}
            blocks.append(Text(key="apart", filled={"name": _label(name), **places}))
    return Section(title="cases", blocks=blocks, level=3)


def _contradictions(say: Writer) -> Section:
    rows = say.rows(REPORT, "contradiction", ("case", "what", "claimed", "found"))
    keys = {"points": "contradiction in points", "setting": "contradiction"}
    told: list[Block] = [
        Text(
            key=keys[say.of(REPORT, f"contradiction {number} kind").text],
            filled=dict(zip(("case", "what", "claimed", "found"), row, strict=True)), style="warning",
        )
        for number, row in enumerate(rows)
    ]  # fmt: skip
    if say.run("i2i_run09_strength085") is not None:
        told.append(Text(key="third prompt", style="note"))
    return Section(title="contradictions", blocks=told if rows else [Text(key="no contradiction"), *told], level=3)


def _agreement(say: Writer) -> Section:
    blocks: list[Block] = []
    for one in say.material.ratings:
        file = f"{FOLDER}/{one.rater}.jsonl"
        places = {"rater": "rater", "state": "state", "pictures": "pictures", "n": "repeats", "equal": "own equal", "kappa": "own kappa"}
        places |= {"interval": "own interval", "verdict": "own verdict"}
        blocks.append(Text(key="own", filled={place: say.of(file, what) for place, what in places.items()}))
        if one.altered or not one.locked:
            blocks.append(Text(key="not counted", filled={"rater": say.of(file, "rater"), "state": say.of(file, "state")}, style="warning"))
    rows = []
    for criterion in JUDGED:
        if say.has(FOLDER, f"kappa {criterion} value"):
            parts = [say.of(FOLDER, f"kappa {criterion} {part}") for part in ("value", "interval", "n", "raters", "equal", "verdict")]
            rows.append([_label(CRITERIA[criterion].label[say.language]), *parts])
    if rows:
        heads = ("criterion", "kappa", "interval", "n", "raters", "equal", "verdict")
        blocks += [Text(key="agree"), Table(heads=heads, rows=rows)]
    elif blocks:
        blocks.append(Text(key="one rater", style="note"))
    return Section(title="agreement", blocks=blocks or [Gap(what="a locked log of scores", notebook=HERE)], level=3)


def _beside(say: Writer) -> Section:
    rows = []
    for name in (*CORRELATED, "seen"):
        if say.has(FOLDER, f"rho {name} value"):
            parts = [say.of(FOLDER, f"rho {name} {part}") for part in ("value", "interval", "n", "verdict")]
            rows.append([_label(name), *parts])
    if not rows:
        return Section(title="beside", blocks=[Gap(what="a locked log of scores", notebook=HERE)], level=3)
    table = Table(heads=("measure", "correlation", "interval", "n", "verdict"), rows=rows)
    return Section(title="beside", blocks=[Text(key="rank"), table], level=3)


def _proofs(say: Writer) -> Section:
    runs = [run for run in say.material.named.values() if say.material.proof(run) is not None]
    if not runs:
        return Section(title="proofs", blocks=[Gap(what="a replay", notebook=HERE)], level=3)
    rows = [[say.fact(what, run) for what in ("name", "grade", "points")] for run in runs]
    return Section(title="proofs", blocks=[Text(key="replayed"), Table(heads=("name", "grade", "points"), rows=rows)], level=3)


def _risks(say: Writer) -> Section:
    runs = list(say.material.named.values())
    if not runs:
        return Section(title="risks", blocks=[Gap(what="the pictures", notebook="01_smoke")], level=3)
    heads = ("name", "verdict", "reasons", "unchecked")
    rows = [[say.fact(what, run) for what in heads] for run in runs]
    blocks: list[Block] = [Text(key="desk"), Table(heads=heads, rows=rows)]
    if all("text" in say.material.inspection(run).unchecked for run in runs):
        blocks.append(Gap(what="text in pictures", notebook=HERE))
    return Section(title="risks", blocks=blocks, level=3)


def _predictions(say: Writer) -> Section:
    rows = say.rows(PROGRESS, "prediction", ("notebook", "question", "answer", "measured", "score"))
    if not rows:
        return Section(title="predictions", blocks=[Gap(what="your predictions", notebook="03_text2img")], level=2)
    places = {"count": say.of(PROGRESS, "predictions"), "score": say.of(PROGRESS, "predictions score")}
    table = Table(heads=("notebook", "question", "expected answer", "came", "score"), rows=rows)
    return Section(title="predictions", blocks=[Text(key="expected", filled=places), table], level=2)


def _exercises(say: Writer) -> Section:
    heads = ("done", "hints", "predictions", "minutes")
    rows = [
        [say.of(PROGRESS, f"notebook {one.notebook}"), *(say.of(PROGRESS, f"notebook {one.notebook} {part}") for part in heads)]
        for one in say.material.progress
    ]
    blocks: list[Block] = [Table(heads=("notebook", *heads), rows=rows)] if rows else [Gap(what="exercises done", notebook="01_smoke")]
    for number in say.material.open_answers:
        title = Cell(text=f"{number} · {say.of(PROGRESS, f'open {number} title').text}", kind="label")
        blocks.append(Table(heads=("question", "your answer"), rows=[[title, say.of(PROGRESS, f"open {number} text")]]))
    return Section(title="exercises", blocks=blocks)


def _reflection(say: Writer) -> Section:
    blocks: list[Block] = []
    for name, asked in ASKED.items():
        title = _label(f"{asked.title[say.language]}{words(say.language)['colon']}{asked.question[say.language]}")
        blocks.append(Text(key="answered", filled={"text": title}, style="question"))
        if name == "latency":
            blocks += _costs(say)
        given = Text(key="answered", filled={"text": say.of(REFLECTION, f"answer {name}")}, style="quote")
        blocks.append(given if say.has(REFLECTION, f"answer {name}") else Gap(what="your answer", notebook=HERE))
    return Section(title="reflection", blocks=blocks)


def _costs(say: Writer) -> list[Block]:
    rows = say.rows(LEDGER, "cost", ("model", "device", "threads", "runs", "step", "image", "hour"))
    if not rows:
        return [Gap(what="timed runs", notebook="01_smoke")]
    heads = ("model", "device", "threads", "n", "per step", "per picture", "per hour")
    return [Text(key="costs"), Table(heads=heads, rows=rows)]
