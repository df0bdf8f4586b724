"""The instructor's view: many learners' outputs folders in one table, with agreement, outliers, and runs that do not replay.

Folders are untrusted: what cannot be read becomes a remark about its learner and does not stop the table.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

from tp2lib.course.exercises import questions
from tp2lib.course.progress import STATES
from tp2lib.errors import OutputError, TP2Error, shown, without_folders
from tp2lib.evaluation.experiments import EXPERIMENTS
from tp2lib.evaluation.rater_agreement import paired
from tp2lib.evaluation.ratings import Ratings
from tp2lib.evaluation.reflection import ASKED
from tp2lib.evaluation.rubric import CRITERIA
from tp2lib.evaluation.run_measures import MOST
from tp2lib.report.gather import Material
from tp2lib.report.pages import Page
from tp2lib.storage.ledger import LEDGER

FILE = "class"
_MOST = 200  # folders
_COUNTS = {"CRITERIA": CRITERIA, "pictures": len(EXPERIMENTS), "questions": len(ASKED), "exercises": len(questions())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """What one folder holds."""

    name: str  # the folder's
    outputs: Path  # what was read: the folder itself, or the outputs folder in it; where it is still packed, the archive
    pictures: int = 0  # of the report's eleven
    swapped: tuple[str, ...] = ()  # pictures that are not the experiment that their name says
    untraced: tuple[str, ...] = ()  # pictures whose run is not in the ledger, with these pixels
    not_replayed: tuple[str, ...] = ()  # pictures whose replay came out different
    proofs: int = 0  # pictures that have a grade
    image_s: float | None = None  # median seconds of a picture
    predictions: int = 0
    text_and_photo: int = 0  # predictions of notebooks 03 and 04
    exercises: int = 0  # done, in all notebooks
    late: int = 0  # of them right after the solution
    answers: int = 0  # of the closing questions
    ratings: tuple[Ratings, ...] = field(default=(), repr=False)  # this learner's own logs; their raters are called folder/rater
    remarks: tuple[tuple[str, str], ...] = ()  # file; and why, or its key in the file of words

    @property
    def locked(self) -> list[str]:
        """Raters whose log is locked, and not edited since."""
        return [one.rater.rpartition("/")[2] for one in self.ratings if one.valid]

    @property
    def edited(self) -> list[str]:
        """Raters whose log is not what was locked."""
        return [one.rater.rpartition("/")[2] for one in self.ratings if one.altered]

    @property
    def judged(self) -> float | None:
        """Mean judged points (0 to 8) that this learner gave."""
        sums = [sum(points.values()) for rating in self.ratings for points in rating.counted().values()]
        return fmean(sums) if sums else None


def learners(folder: str | os.PathLike[str]) -> list[Learner]:
    """Read the outputs folder of every learner: it is the folder under the learner's name, or lies in it, at most two folders down.

    Raises
    ------
    OutputError
        There is no such folder, or no learner in it.
    """
    found = []
    for name, outputs in _places(folder).items():
        try:
            found.append(_learner(name, Material(outputs)))
        except (TP2Error, OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
            why = (outputs.name, "packed") if outputs.is_file() else (type(error).__name__, without_folders(shown(str(error), 200)))
            found.append(Learner(name=name, outputs=outputs, remarks=(why,)))
    return [replace(one, ratings=_own_logs(one, found)) for one in found]


def replay_sample(folder: str | os.PathLike[str], names: Sequence[str] = ("baseline",)) -> dict[str, str]:
    """Replay pictures of some experiments of every learner here, and return what came of it: nothing is written into their folders."""
    from tp2lib.engine.replay import replay

    found = {}
    for learner, outputs in _places(folder).items():
        for name in names:
            path = outputs / EXPERIMENTS[name].file
            if path.is_file():
                try:
                    found[f"{learner}/{name}"] = str(replay(path))
                except TP2Error as error:
                    found[f"{learner}/{name}"] = without_folders(f"not replayed: {error}")
    return found


def outliers(values: Sequence[float | None]) -> list[bool]:
    """Find the values that lie far from the others; with fewer than five, none.

    0.6745·|x - median| / MAD above 3.5 (Iglewicz and Hoaglin, "How to detect and handle outliers", 1993): unlike mean and
    standard deviation, it is not moved by the very values that it looks for. Where half of the values are equal, MAD is 0, and
    1.2533 times the mean of the distances takes the place of MAD / 0.6745.
    """
    known = [value for value in values if value is not None]
    if len(known) < 5:
        return [False] * len(values)
    middle = median(known)
    away = [abs(value - middle) for value in known]
    spread = median(away) / 0.6745 or 1.253314 * fmean(away)
    return [value is not None and abs(value - middle) > 3.5 * spread for value in values]


def make_class(folder: str | os.PathLike[str], language: str = "en", replayed: dict[str, str] | None = None) -> Page:
    """Make the instructor's view of a folder of learners."""
    found = learners(folder)
    sound = [rating for one in found for rating in one.ratings if rating.valid]
    by, kappas = paired(sound)
    seen = {log.rater: {getattr(item, by) for item in log.items} for log in sound}
    times = Counter(picture for pictures in seen.values() for picture in pictures)
    alone = {rater for rater, pictures in seen.items() if kappas and all(times[picture] == 1 for picture in pictures)}
    far = [
        (key, one)
        for key, values in (("slow", [one.image_s for one in found]), ("scores", [one.judged for one in found]))
        for one, is_far in zip(found, outliers(values), strict=True)
        if is_far
    ]
    remarks = [
        (key, one, what)
        for one in found
        for key, names in (
            ("swapped", one.swapped), ("untraced", one.untraced), ("not replayed", one.not_replayed), ("edited log", one.edited),
            ("nothing shared", [log.rater.rpartition("/")[2] for log in one.ratings if log.rater in alone]), ("remark", one.remarks),
        )
        for what in names
    ]  # fmt: skip
    page = Page("class.j2", language, "class", found=found, by=by, kappas=kappas, far=far, remarks=remarks, replayed=replayed, **_COUNTS)
    page.render("markdown", Path(folder))
    return page


def write_class(
    folder: str | os.PathLike[str], language: str = "en", *, to: str | os.PathLike[str] | None = None,
    replayed: dict[str, str] | None = None,
) -> tuple[Path, Path]:  # fmt: skip
    """Write the instructor's view as Markdown and HTML; by default into the folder of the learners."""
    return make_class(folder, language, replayed).write(Path(to or folder), FILE)


def _places(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Every learner's outputs folder, by name; a learner may hand in the folder itself, the clone around it, or an archive that is still packed."""
    root = Path(folder)
    handed_in = [path for path in root.iterdir() if not path.name.startswith((".", "__"))] if root.is_dir() else []
    places = {path.stem: path for path in handed_in if path.suffix.lower() == ".zip" and path.is_file()} | {
        path.name: _outputs(path) for path in handed_in if path.is_dir()
    }
    if not places:
        raise OutputError(f"there are no folders in {shown(str(root), 200)}. Put each learner's outputs folder there, under a name.")
    return dict(sorted(places.items())[:_MOST])


def _outputs(handed_in: Path) -> Path:
    ledgers = (path for depth in ("", "outputs/", "*/", "*/*/") for path in sorted(handed_in.glob(f"{depth}{LEDGER}")))
    return next(ledgers, handed_in / LEDGER).parent


def _own_logs(one: Learner, found: Sequence[Learner]) -> tuple[Ratings, ...]:
    """Return the logs of a folder that are its learner's: a classmate's may lie beside them, and several raters may be called "me".

    A log belongs to the folders that have its rater's name in their own; where none has, to the first that holds it as its rater's, or alone.
    """

    def is_own(log: Ratings) -> bool:
        words = _words(log.rater)
        named = [other.name for other in found if words and words <= _words(other.name)]
        return one.name in (named or [other.name for other in found if log in other.ratings and (not log.renamed or len(other.ratings) == 1)][:1])

    return tuple(replace(log, rater=f"{one.name}/{log.rater}") for log in one.ratings if is_own(log))


def _words(name: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", name.casefold()))


def _learner(name: str, material: Material) -> Learner:
    seconds = [total for run in material.named.values() if isinstance(total := run.timings.get("total"), (int, float)) and 0 < total < MOST]
    problems = [*material.problems, *([] if (material.outputs / LEDGER).is_file() else [(LEDGER, "no ledger")])]
    return Learner(
        name=name,
        outputs=material.outputs,
        pictures=len(material.named) + len(material.strangers),
        swapped=tuple(experiment for experiment in material.named if material.swapped(experiment)),
        untraced=tuple(material.strangers),
        predictions=len(material.judged),
        text_and_photo=sum(one.notebook in ("03", "04") for one in material.judged),
        exercises=sum(notebook.done for notebook in material.progress),
        late=sum(state == STATES[1] for notebook in material.progress for state in notebook.questions.values()),
        answers=len(material.answers),
        ratings=tuple(material.ratings),
        proofs=len(material.proofs),
        not_replayed=tuple(experiment for experiment, proof in material.proofs.items() if proof.points == 0),
        image_s=median(seconds) if seconds else None,
        remarks=tuple(dict.fromkeys(problems)),
    )
