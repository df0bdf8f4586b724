"""The rubric: five criteria of 0 to 2 points, each level in words, and what the points add up to.

The criteria are the report's. Four are judged by people, blind; the fifth, reproducibility, is never
judged: its points follow from the grade of a replay in a fresh process.

A level is a sentence that can be true or false of a picture, after the practice that Otani et al. ("Toward
verifiable and reproducible human evaluation for text-to-image generation", CVPR 2023) found missing in most studies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tp2lib.errors import RecordError, did_you_mean, shown
from tp2lib.evaluation.languages import LANGUAGES

__all__ = ["CRITERIA", "JUDGED", "LEVELS", "MEASURED", "POINTS", "Criterion", "check_scores", "total"]

LEVELS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One line of the rubric.

    Attributes
    ----------
    name : str
        Its name in files and in code.
    label, question : mapping of str to str
        What it is called and what it asks, by language.
    levels : mapping of str to tuple of str
        What 0, 1 and 2 points mean, by language.
    judged : bool
        Whether a person gives the points; else they are measured.
    """

    name: str
    label: Mapping[str, str]
    question: Mapping[str, str]
    levels: Mapping[str, tuple[str, str, str]]
    judged: bool = True


def _criterion(name: str, *, judged: bool = True, **words: tuple[str, str, tuple[str, str, str]]) -> Criterion:
    parts = [MappingProxyType({code: words[code][number] for code in LANGUAGES}) for number in range(3)]
    return Criterion(name=name, label=parts[0], question=parts[1], levels=parts[2], judged=judged)


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        one.name: one
        for one in (
            _criterion(
                "adherence",
                en=("prompt adherence", "Does the picture show what the prompt names?", (
                    "Another product, or none.",
                    "The product is right; something named of it (colour, material, background, light) is missing or wrong.",
                    "The product and everything that the prompt names of it can be pointed at.",
                )),
                fr=("fidélité au prompt", "L'image montre-t-elle ce que le prompt nomme ?", (
                    "Un autre produit, ou aucun.",
                    "Le bon produit, mais un élément nommé (couleur, matière, fond, lumière) manque ou est faux.",
                    "On peut montrer du doigt le produit et tout ce que le prompt en nomme.",
                )),
            ),
            _criterion(
                "realism",
                en=("visual realism", "Could it be a photo of a thing that exists?", (
                    "At once seen to be no photo.",
                    "Passes at a glance; light, shadow, material or focus betray it at a second look.",
                    "Would pass for a photo, looked at for ten seconds.",
                )),
                fr=("réalisme visuel", "Serait-ce la photo d'un objet qui existe ?", (
                    "On voit tout de suite que ce n'est pas une photo.",
                    "Crédible au premier coup d'œil ; lumière, ombre, matière ou netteté la trahissent au second.",
                    "Passerait pour une photo, regardée dix secondes.",
                )),
            ),
            _criterion(
                "artifacts",
                en=("artifacts", "Is there anything in it that should not be there?", (
                    "The product is deformed, doubled or torn, or noise lies over all of it.",
                    "Small faults: a smear, a stray shape, a broken edge; a few minutes of retouching.",
                    "Nothing found, looking along the outline and into the shadow.",
                )),
                fr=("artefacts", "Y a-t-il quelque chose qui ne devrait pas y être ?", (
                    "Le produit est déformé, dédoublé ou déchiré, ou du bruit couvre toute l'image.",
                    "Petits défauts : une bavure, une forme parasite, un bord cassé ; quelques minutes de retouche.",
                    "Rien trouvé, le long du contour et dans l'ombre.",
                )),
            ),
            _criterion(
                "usability",
                en=("e-commerce usability", "Could a shop show it as a picture of this product?", (
                    "No: it misrepresents the product, or no retouching would save it.",
                    "After retouching: background, framing, light or colour.",
                    "As it is, or after a crop.",
                )),
                fr=("utilisabilité e-commerce", "Une boutique pourrait-elle la montrer comme image de ce produit ?", (
                    "Non : elle dénature le produit, ou aucune retouche ne la sauverait.",
                    "Après retouche : fond, cadrage, lumière ou couleur.",
                    "Telle quelle, ou après recadrage.",
                )),
            ),
            _criterion(
                "reproducibility",
                judged=False,
                en=("reproducibility", "Does a fresh process make the same picture from its file?", (
                    "Another picture, or none.",
                    "Within one level of each colour value, or within 30 dB.",
                    "The same pixels.",
                )),
                fr=("reproductibilité", "Un processus neuf refait-il la même image à partir du fichier ?", (
                    "Une autre image, ou aucune.",
                    "À un niveau près par valeur de couleur, ou à 30 dB près.",
                    "Les mêmes pixels.",
                )),
            ),
        )
    }
)  # fmt: skip
"""Every criterion under its name, in the report's order."""

JUDGED = tuple(name for name, one in CRITERIA.items() if one.judged)
MEASURED = tuple(name for name, one in CRITERIA.items() if not one.judged)

POINTS: Mapping[str, int] = MappingProxyType({"identical": 2, "within 1 level": 1, "close": 1, "different": 0})
"""Points for reproducibility, by the grade of a replay."""


def check_scores(scores: Mapping[str, int], names: tuple[str, ...] = JUDGED) -> dict[str, int]:
    """Return the scores of one picture, once each is of a known criterion and is 0, 1 or 2.

    Parameters
    ----------
    scores : mapping of str to int
        Criterion to points.
    names : tuple of str
        The criteria that may be scored; by default, those that people judge.

    Raises
    ------
    RecordError
        A criterion that may not be scored here, or points other than 0, 1 and 2.
    """
    if not isinstance(scores, Mapping):
        raise RecordError(f"the scores are {shown(scores)}; they must be a dictionary such as {{'realism': 1}}.")
    for name, points in scores.items():
        if name not in names:
            measured = " It is measured by a replay, not judged." if name in MEASURED else did_you_mean(name, names)
            raise RecordError(f"{shown(name)} cannot be scored; these can: {', '.join(names)}.{measured}")
        if type(points) is not int or points not in LEVELS:
            raise RecordError(f"{name} is {shown(points)}; it must be 0, 1 or 2. Read the three sentences and choose one.")
    return dict(scores)


def total(scores: Mapping[str, float | None]) -> float | None:
    """Add up the five criteria, of 10; None while one of them is missing: a gap is no zero."""
    found = [scores.get(name) for name in CRITERIA]
    return None if any(points is None for points in found) else sum(found)
