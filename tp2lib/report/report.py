"""The report that writes itself: the seed report's sections, filled from records alone.

What is there is told with its run's number; what is missing is a gap that names the notebook which makes it.
:func:`write_report` writes it as Markdown and as one HTML file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tp2lib.engine.runs import Run
from tp2lib.errors import OutputError, RecordError, shown
from tp2lib.evaluation.experiments import EXPERIMENTS, choose_experiments
from tp2lib.evaluation.languages import language as known_language
from tp2lib.evaluation.languages import words
from tp2lib.plots.labels import varying
from tp2lib.report.document import Block, Cell, Document, Gap, Section, Table, Text, Trace, audit
from tp2lib.report.facts import value_of
from tp2lib.report.filed import Filed, filed
from tp2lib.report.gather import NOTEBOOK_OF, Material
from tp2lib.report.judgement import judgement
from tp2lib.report.reporthtml import to_html
from tp2lib.report.reportmarkdown import to_markdown
from tp2lib.report.writer import Writer
from tp2lib.storage.atomic import write_atomically

__all__ = ["audit_report", "make_report", "write_report"]

_CONFIGURATION = ("model", "scheduler", "seed", "steps", "guidance", "size", "prompt", "negative_prompt", "weights")


def make_report(outputs: str | os.PathLike[str], language: str = "en") -> Document:
    """Make the report of an outputs folder, as a tree of blocks.

    Raises
    ------
    OutputError
        There is no such folder.
    RecordError
        No such language.
    """
    return _build(_material(outputs), known_language(language))


def write_report(outputs: str | os.PathLike[str], language: str = "en", *, to: str | os.PathLike[str] | None = None) -> tuple[Path, Path]:
    """Write the report as Markdown and as one HTML file that holds its pictures, and return both paths.

    Parameters
    ----------
    outputs : path
        The folder of the ledger.
    language : {"en", "fr"}
    to : path, optional
        The folder to write to; by default `outputs`, where the Markdown finds its pictures.

    Raises
    ------
    OutputError
        There is no such folder, or it cannot be written.
    RecordError
        No such language, or a figure that cannot be traced: it would be a fault of the pack.
    """
    code = known_language(language)
    material = _material(outputs)
    document = _build(material, code)
    if wrong := _audit(document, material):
        raise RecordError(f"{len(wrong)} figures of the report cannot be traced: {'; '.join(wrong[:3])}. Report this.")
    folder = Path(to or outputs)
    markdown, page = to_markdown(document, folder), to_html(document)
    paths = (folder / f"{words(code)['file']}.md", folder / f"{words(code)['file']}.html")
    for path, text in zip(paths, (markdown, page), strict=True):
        write_atomically(path, lambda file, text=text: file.write(text.encode()))
    return paths


def audit_report(document: Document, outputs: str | os.PathLike[str]) -> list[str]:
    """Read everything anew, and list the figures of a report that lead nowhere, or to another value."""
    return _audit(document, _material(outputs))


def _audit(document: Document, material: Material) -> list[str]:
    facts = _filed(material, document.language)

    def value(trace: Trace) -> str | None:
        if trace.file:
            kept = facts.get((trace.file, trace.what))
            return None if kept is None else kept.text
        return value_of(material, trace, document.language)

    return audit(document, value, material.known)


def _filed(material: Material, code: str) -> Filed:
    """The facts of the files, found out once: their intervals take seconds."""
    place = ("filed", code)
    if place not in material.found:
        material.found[place] = filed(material, code, words(code)["report"])
    return material.found[place]


def _material(outputs: str | os.PathLike[str]) -> Material:
    if not Path(outputs).is_dir():
        raise OutputError(f"there is no folder {shown(str(outputs), 200)}. Give the outputs folder, or make the pictures first.")
    return Material(outputs)


def _build(material: Material, code: str) -> Document:
    facts = _filed(material, code)
    say = Writer(material, code, facts)
    sections = [
        _smoke(say), _baseline(say), *_text2img(say), _img2img(say), _product(say), *judgement(say), _problems(say),
    ]  # fmt: skip
    body = Document(language=code, words=words(code)["report"], sections=sections)
    runs = _runs(say, body.runs)
    head = _head(say, len(body.gaps))
    return Document(language=code, words=words(code)["report"], sections=[head, *sections, runs])


def _head(say: Writer, gaps: int) -> Section:
    blocks: list[Block] = [Text(key="made", filled={"folder": Cell(text=say.material.outputs.name, kind="label")})]
    count = Cell(text=str(gaps), kind="label")
    blocks += [Text(key="gaps", filled={"count": count}, style="warning") if gaps else Text(key="all there")]
    for name, why in say.material.troubles:
        cells = {"name": Cell(text=name, kind="label"), "why": Cell(text=why, kind="label")}
        blocks.append(Text(key="trouble", filled=cells, style="warning"))
    for name in say.material.named:
        for what in say.material.swapped(name):
            filled = {"name": say.name(name), "what": Cell(text=what, kind="label")}
            blocks.append(Text(key="swapped", filled=filled, style="warning"))
    return Section(title="title", blocks=blocks, level=1)


def _smoke(say: Writer) -> Section:
    run = say.run("smoke")
    if run is None:
        return Section(title="smoke", blocks=[_missing(say, "smoke")])
    told = say.text("smoke ran", run, device="device", dtype="dtype", model="model", size="size", seconds="seconds", step="seconds a step")
    names = ("system", "cpu", "gpu", "python", "torch", "diffusers", "threads")
    return Section(title="smoke", blocks=[told, say.picture(run, "smoke"), say.settings(run, names)])


def _baseline(say: Writer) -> Section:
    run = say.run("baseline")
    if run is None:
        return Section(title="baseline", blocks=[_missing(say, "baseline")])
    told = say.text("baseline made", run, seconds="seconds", calls="calls")
    return Section(title="baseline", blocks=[told, say.picture(run, "baseline"), say.settings(run, _CONFIGURATION)])


def _text2img(say: Writer) -> list[Section]:
    names = [one.name for one in choose_experiments(["text2img"])]
    runs = {name: run for name in names if (run := say.run(name)) is not None}
    blocks: list[Block] = [_missing(say, name) for name in names if name not in runs]
    if not runs:
        return [Section(title="text2img", blocks=blocks)]
    first = next(iter(runs.values()))
    blocks.append(say.text("same prompt", first, prompt="prompt", seed="seed"))
    blocks += [say.picture(run, name) for name, run in runs.items()]
    heads = ("name", "scheduler", "steps", "guidance", "seconds", "calls", "sharpness", "contrast", "saturation", "clipped highlights")
    judge = ["seen"] if any(say.material.seen(run) is not None for run in runs.values()) else []
    rows = [[*(say.fact(head, run) for head in heads), say.fact("distance", run, first), *(say.fact(name, run) for name in judge)] for run in runs.values()]
    blocks += [Table(heads=(*heads, "distance", *judge), rows=rows), *_control(say, runs)]
    sections = [Section(title="text2img", blocks=blocks)]
    for title, about in (
        ("what steps change", ("t2i_run02_steps15", "t2i_run03_steps50")),
        ("what guidance changes", ("t2i_run04_guid4", "t2i_run05_guid12")),
        ("what scheduler changes", ("t2i_run06_ddim",)),
    ):
        there = [runs[name] for name in about if name in runs and names[0] in runs]
        if there:
            told: list[Block] = [_against(say, run, runs[names[0]]) for run in there]
            sections.append(Section(title=title, blocks=[*told, Text(key="one seed", style="note")], level=3))
    return sections


def _against(say: Writer, run: Run, first: Run) -> Text:
    changes = {name: say.fact(f"{name} change", run, first) for name in ("sharpness", "contrast", "saturation", "seconds")}
    return Text(key="against", filled={"name": say.fact("name", run), **changes, "distance": say.fact("distance", run, first)})


def _control(say: Writer, runs: dict[str, Run]) -> list[Block]:
    """Check that each run differs from the first in its own setting, and in nothing else."""
    first_name, *others = runs
    first, told = runs[first_name], []
    for name in others:
        declared = {
            setting for setting, value in EXPERIMENTS[name].recipe.to_dict().items()
            if value != EXPERIMENTS[first_name].recipe.to_dict()[setting]
        }  # fmt: skip
        also = [setting for setting in varying([first, runs[name]]) if setting not in declared]
        also += ["noise"] if first.effective.get("noise_sha256") != runs[name].effective.get("noise_sha256") else []
        if also:
            filled = {"name": say.fact("name", runs[name]), "what": Cell(text=", ".join(also), kind="label")}
            told.append(Text(key="not controlled", filled=filled, style="warning"))
    return told or ([Text(key="controlled")] if others else [])


def _img2img(say: Writer) -> Section:
    names = [one.name for one in choose_experiments(["img2img"])]
    runs = {name: run for name in names if (run := say.run(name)) is not None}
    blocks: list[Block] = [_missing(say, name) for name in names if name not in runs]
    if runs:
        first = next(iter(runs.values()))
        blocks.append(say.text("from photo", first, photo="photo"))
        blocks += say.photo(first)
        blocks += [say.picture(run, name) for name, run in runs.items()]
        heads = ("name", "strength", "steps run", "seconds", "ssim to photo", "distance to photo", "product colour", "product outline", "verdict")
        blocks.append(Table(heads=heads, rows=[[say.fact(head, run) for head in heads] for run in runs.values()]))
        told = {
            "strength": "strength", "ran": "steps run", "asked": "steps asked", "distance": "distance to photo", "ssim": "ssim to photo",
            "colour": "product colour", "outline": "product outline", "verdict": "verdict",
        }  # fmt: skip
        blocks += [say.text("at strength", run, **told) for run in runs.values()]
    return Section(title="img2img", blocks=blocks)


def _product(say: Writer) -> Section:
    blocks: list[Block] = []
    for mode in ("text2img", "img2img"):
        found = [run for run in say.material.favourites if run.effective.get("mode") == mode]
        if not found:
            blocks.append(Gap(what=f"a favourite, {mode}", notebook="05_mini_product"))
            continue
        names = (*_CONFIGURATION[:5], *(("strength",) if mode == "img2img" else ()), *_CONFIGURATION[5:])
        blocks += [say.text("marked", found[0], mode="mode"), say.picture(found[0], mode), say.settings(found[0], names)]
    return Section(title="mini-product", blocks=blocks)


def _problems(say: Writer) -> Section:
    rows = say.rows("ledger.jsonl", "failure", ("key", "at", "reason"))
    blocks: list[Block] = [Table(heads=("key", "at", "reason"), rows=rows)] if rows else []
    for run in say.material.named.values():
        if run.effective.get("rungs"):
            blocks.append(say.text("saved memory", run, name="name", rungs="rungs"))
    return Section(title="problems", blocks=blocks or [Text(key="no problem")])


def _runs(say: Writer, keys: Sequence[str]) -> Section:
    heads = ("run", "name", "key", "recipe", "model")
    rows = []
    for key in keys:
        if (run := say.material.runs.get(key)) is not None:
            rows.append([Cell(text=key[:8], kind="label"), *(say.fact(what, run) for what in ("name", "key", "recipe", "model"))])
    return Section(title="runs", blocks=[Text(key="replay how"), Table(heads=heads, rows=rows)])


def _missing(say: Writer, name: str) -> Gap:
    return Gap(what=EXPERIMENTS[name].file, notebook=NOTEBOOK_OF[EXPERIMENTS[name].part])
