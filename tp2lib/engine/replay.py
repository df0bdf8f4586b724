"""Replay: render a picture again in a new process, and grade how equal the two are.

``python -m tp2lib.engine.replay FOLDER`` is that process: it reads ``jobs.json`` there and leaves a picture
for each job beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tp2lib.engine.fallbacks import FALLBACKS, SMALLER, treatments
from tp2lib.engine.runs import MAX_WIDTH, Run
from tp2lib.errors import ModelError, RecordError, SourceError, TP2Error, counted, shown
from tp2lib.metadata.source import Source, reopen_source
from tp2lib.models.catalogue import CATALOGUE
from tp2lib.recipe import Recipe
from tp2lib.storage.ledger import Ledger

GRADES = ("identical", "within 1 level", "close", "different")
CLOSE_DB = 30.0  # PSNR, in decibels, from which two pictures count as close
_NO_MATCH = (GRADES[3], 255, 0.0, 1.0)  # what `grade` returns of pictures that cannot be compared
_TIMEOUT_S = 3600
_MAX_THREADS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The verdict on one picture."""

    grade: str  # one of GRADES
    max_difference: int  # largest difference of a colour value, of 255
    psnr_db: float | None  # peak signal-to-noise ratio, in decibels; None where the pictures are identical
    changed: float  # share of the colour values that differ, 0 to 1
    suspects: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # what differs from when the picture was made: name to (then, now)
    original: Run = field(repr=False)  # the picture that was replayed
    run: Run | None = field(repr=False)  # its replay; None if it gave no picture

    def __str__(self) -> str:
        figures = "" if self.psnr_db is None else f" ({self.psnr_db:.1f} dB, at most {counted(self.max_difference, 'level')})"
        then_now = "; ".join(f"{name} was {shown(a)}, is {shown(b)}" for name, (a, b) in self.suspects.items())
        return f"{self.grade}{figures}" + (f"; suspects: {then_now}" if then_now else "")


Task = tuple[Run, dict[str, Any], Source | None]


def replay(
    picture: str | os.PathLike[str] | Run, *, model: str | None = None, source: Source | None = None, vae: str | os.PathLike[str] | None = None
) -> Replay:
    """Render a picture again in a fresh process, executed as it was, and compare the pixels.

    Parameters
    ----------
    picture : path or Run
        A picture of ours. What its record says is checked, and opens no file or model by itself.
    model : str, optional
        The model to use, needed for pictures made with one that neither the catalogue nor the environment variable TP2_MODEL names.
    source : Source, optional
        The prepared photo; by default, looked for by its hash among those kept beside the picture.
    vae : path, optional
        The VAE, needed for pictures made with another one than the model's.

    Returns
    -------
    Replay

    Raises
    ------
    RecordError
        If the picture carries no record that can be replayed, or was read from a file and does not say enough: give its model or VAE.
    SourceError
        If the photo it started from cannot be found.
    ModelError
        If the model is not on this machine, or the process fails.
    """
    return replay_all([picture], model=model, source=source, vae=vae)[0]


def replay_all(
    pictures: Sequence[str | os.PathLike[str] | Run], *, model: str | None = None, source: Source | None = None, vae: str | os.PathLike[str] | None = None
) -> list[Replay]:
    """Render several pictures again in one fresh process, and grade each; everything else is as in :func:`replay`.

    Parameters
    ----------
    pictures : sequence of path or Run
    model, source, vae : optional
        For all of them.

    Returns
    -------
    list of Replay
        In the order of the pictures.

    Raises
    ------
    RecordError, SourceError, ModelError
        As in :func:`replay`; nothing is rendered then.
    OutputError
        If a run has no picture to compare with.
    """
    return replay_tasks([replayable(picture, model=model, source=source, vae=vae) for picture in pictures])


def replay_tasks(tasks: Sequence[Task]) -> list[Replay]:
    """Render what :func:`replayable` returned again in one fresh process, and grade each."""
    if not tasks:
        return []
    with tempfile.TemporaryDirectory(prefix="tp2-replay-") as name:
        folder = Path(name)
        for number, (_, job, photo) in enumerate(tasks):
            if photo:
                job["source"] = f"{number}-source.png"
                photo.kept_as.save(folder / job["source"], pnginfo=photo.chunks())
        jobs = [job for _, job, _ in tasks]
        (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
        _run_process(folder, jobs)
        return [_judge(run, folder, number) for number, (run, _, _) in enumerate(tasks)]


def replayable(
    picture: str | os.PathLike[str] | Run, *, model: str | None = None, source: Source | None = None, vae: str | os.PathLike[str] | None = None
) -> Task:
    """Return a picture's run, what a process needs to make it again, and its photo; raise RecordError, SourceError or OutputError if it cannot be replayed."""
    run = picture if isinstance(picture, Run) else Run.from_picture(picture)
    job = _job(run, model, trusted=not run.reused, vae=vae)
    started = run.picture and run.effective.get("mode") in ("img2img", "inpaint")
    return run, job, _find_source(run, source) if started else None


def grade(original: Image.Image, again: Image.Image) -> tuple[str, int, float | None, float]:
    """Compare two pictures: the grade, the largest difference (of 255), PSNR in dB (None if identical), and the share of colour values that differ.

    PSNR is 10·log₁₀(255² / mean squared error).
    """
    if original.size != again.size:
        return _NO_MATCH
    difference = np.abs(np.asarray(original, dtype=np.int16) - np.asarray(again, dtype=np.int16))
    largest, changed = int(difference.max()), float((difference > 0).mean())
    if largest == 0:
        return GRADES[0], 0, None, 0.0
    psnr = float(10 * np.log10(255**2 / np.mean(difference.astype(np.float64) ** 2)))
    name = GRADES[1] if largest == 1 else GRADES[2] if psnr >= CLOSE_DB else GRADES[3]
    return name, largest, psnr, changed


def _job(run: Run, model: str | None, trusted: bool, vae: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Return the process's task, from an untrusted record."""
    effective = run.effective
    name, device, fast, threads = (effective.get(key) for key in ("model", "device", "fast", "threads"))
    for key, value in (("model", name), ("device", device), ("fast", fast)):
        if not isinstance(value, (str, type(None))):
            raise RecordError(f"the record's {key} is {shown(value)}; it must be text. It was damaged.")
    if model is None and name not in {*CATALOGUE, os.environ.get("TP2_MODEL") or "vitrine"} and not trusted:
        raise RecordError(
            f"the picture says it was made with model {shown(name)}, which is neither in the catalogue nor in TP2_MODEL; a record does not "
            "decide what is loaded. Give model='…' if you trust that model."
        )
    if effective.get("vae") and not vae:
        raise RecordError(
            f"the picture was made with the VAE {shown(effective['vae'])} in place of the model's own; a record holds its name alone, and does not decide what is "
            "loaded. Give vae='…', its folder or file (tp2 replay --vae)."
        )
    width = effective.get("batch_width", 1)
    for key, value, most in (("threads", threads, _MAX_THREADS), ("batch_width", width, MAX_WIDTH)):
        if type(value) is not int or not 1 <= value <= most:
            raise RecordError(f"the record's {key} is {shown(value)}; it must be 1 to {most}. It was damaged.")
    fallbacks = effective.get("rungs")
    if not isinstance(fallbacks, list) or not all(isinstance(one, str) and (one in FALLBACKS or one.startswith(SMALLER)) for one in fallbacks):
        raise RecordError(
            f"the record's rungs are {shown(fallbacks)}; each must be one of {', '.join(FALLBACKS)}. The record was damaged; use the original picture."
        )
    recipe = run.recipe.vary(
        model="auto",
        width=effective.get("width"),
        height=effective.get("height"),
        source=run.recipe.source and "the kept photo",
        mask=run.recipe.mask and "kept with it",
    )
    how = {"threads": threads, "device": device, "rungs": treatments(fallbacks), "batch_width": width, "fast": fast}
    return {"recipe": recipe.to_dict(), "model": model or name, "vae": os.fspath(vae) if vae and effective.get("vae") else None, **how}


def _find_source(run: Run, given: Source | None) -> Source:
    """Find the prepared photo by the hash of its pixels, in the ledgers around the picture."""
    digest = run.effective.get("source_sha256")
    if given is not None and given.pixels_sha256 == digest:
        return given
    for folder in run.path.resolve().parents[:2] if run.path else ():
        if (kept := Ledger(folder).find_source(digest)) is not None:
            return reopen_source(kept)
    raise SourceError(
        f"the photo that the picture started from (pixels {shown(digest)}) is not among those kept beside it. "
        "Give source=prepare_source(photo, width, height), or source=cut_out(photo, mask) if the recipe has a mask, with the same photo and values as before."
    )


def _run_process(folder: Path, jobs: Sequence[Mapping[str, Any]]) -> None:
    command = [sys.executable, "-m", "tp2lib.engine.replay", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(job["threads"] for job in jobs))}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="backslashreplace", timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(f"the replay took more than {_TIMEOUT_S} s and was ended. Replay fewer pictures.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"the replay process ended with status {done.returncode}: {last}. Replay fewer pictures, or close other programs.")


def _judge(original: Run, folder: Path, number: int) -> Replay:
    path = folder / f"{number}.png"
    again = replace(Run.from_picture(path), path=None) if path.is_file() else None
    if again:
        (name, largest, psnr, changed), suspects = grade(original.picture, again.picture), _differences(original, again)
    else:
        name, largest, psnr, changed = _NO_MATCH
        suspects = {"outcome": (original.outcome, (folder / f"{number}.txt").read_text(encoding="utf-8"))}
    return Replay(grade=name, max_difference=largest, psnr_db=psnr, changed=changed, suspects=suspects, original=original, run=again)


def _differences(then: Run, now: Run) -> dict[str, tuple[Any, Any]]:
    before, after = ({**run.environment, **run.effective, "rungs": treatments(run.effective["rungs"])} for run in (then, now))
    return {name: (before.get(name), after.get(name)) for name in before if before[name] != after.get(name)}


def main(arguments: Sequence[str]) -> None:
    """Do the jobs in a folder: this is the fresh process."""
    folder = Path(arguments[0])
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text(encoding="utf-8"))):
        run = _execute(job, folder)
        if run.outcome == "ok":
            run.save(folder / f"{number}.png")
        else:
            (folder / f"{number}.txt").write_text(run.outcome, encoding="utf-8")


def _execute(job: Mapping[str, Any], folder: Path) -> Run:
    import torch

    from tp2lib.engine.generate import generate
    from tp2lib.models.loading import load

    torch.set_num_threads(job["threads"])
    for way in ({"device": job["device"], "fast": job["fast"]}, {"device": job["device"]}, {}):  # the verdict names what is missing here
        try:
            model = load(job["model"], vae=job["vae"], download=False, **way)
            break
        except ModelError:
            if not way:
                raise
    recipe = Recipe.from_dict(job["recipe"])
    source = reopen_source(folder / job["source"]) if "source" in job else None
    return generate(recipe, model, source=source, fallbacks=job["rungs"], batch_width=job["batch_width"])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except TP2Error as error:
        sys.exit(f"{type(error).__name__}: {error}")
