"""The sentences of the instructor's view, in the pack's languages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["CLASS_WORDS"]

_EN = {
    "title": "The class", "class": "The class", "contents": "Contents", "run": "run", "gap": "{what} {notebook}",
    "class is": "One line a folder. Replayed: pictures that came out the same or close, of those that were made again.",
    "learner": "learner", "pictures": "pictures", "replayed": "replayed", "predictions": "predictions", "exercises": "exercises",
    "answers": "answers", "locked logs": "locked logs", "per picture": "a picture", "judged": "mean points of 8",
    "agreement": "Agreement", "criterion": "criterion", "kappa": "kappa", "interval": "95 % interval", "n": "n", "raters": "raters",
    "few raters": "Fewer than two locked logs of scores: nothing can be said of agreement.",
    "same pixels_sha256": "Quadratic weighted kappa over the pictures that all have scored, with the same pixels.",
    "same recipe": "Quadratic weighted kappa. No picture is the same in all folders, pixel by pixel, so they are paired by recipe: some of the "
    "disagreement may be the machines'.",
    "outliers": "Outliers", "no outlier": "None, or too few folders to tell.",
    "outlier slow": "{name}: seconds a picture far from the others'.", "outlier scores": "{name}: points given far from the others'.",
    "remarks": "To be looked at", "no remark": "Nothing.",
    "swapped": "{name}: {what} was not made with the settings that its file name stands for.",
    "untraced": "{name}: {what} shows a picture that the ledger does not know.",
    "not replayed": "{name}: {what} came out different when it was made again.",
    "remark": "{name}: {what}", "replayed here": "Replayed on this computer", "picture": "picture", "grade": "grade",
}  # fmt: skip

_FR = {
    "title": "La classe", "class": "La classe", "contents": "Sommaire", "run": "run", "gap": "{what} {notebook}",
    "class is": "Une ligne par dossier. Refaites : images identiques ou proches, parmi celles qui ont été refaites.",
    "learner": "élève", "pictures": "images", "replayed": "refaites", "predictions": "prédictions", "exercises": "exercices",
    "answers": "réponses", "locked logs": "journaux verrouillés", "per picture": "par image", "judged": "points moyens sur 8",
    "agreement": "Accord", "criterion": "critère", "kappa": "kappa", "interval": "intervalle à 95 %", "n": "n", "raters": "juges",
    "few raters": "Moins de deux journaux de notes verrouillés : on ne peut rien dire de l'accord.",
    "same pixels_sha256": "Kappa pondéré quadratique sur les images que tous ont notées, aux mêmes pixels.",
    "same recipe": "Kappa pondéré quadratique. Aucune image n'est la même partout au pixel près : elles sont appariées par recette, et une part du "
    "désaccord peut venir des machines.",
    "outliers": "Valeurs à part", "no outlier": "Aucune, ou trop peu de dossiers pour le dire.",
    "outlier slow": "{name} : durée par image loin de celle des autres.", "outlier scores": "{name} : points donnés loin de ceux des autres.",
    "remarks": "À regarder", "no remark": "Rien.",
    "swapped": "{name} : {what} n'a pas été faite avec les réglages que dit son nom de fichier.",
    "untraced": "{name} : {what} montre une image que le journal ne connaît pas.",
    "not replayed": "{name} : {what} est sortie différente quand elle a été refaite.",
    "remark": "{name} : {what}", "replayed here": "Refaites sur cet ordinateur", "picture": "image", "grade": "note",
}  # fmt: skip

CLASS_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType({"en": MappingProxyType(_EN), "fr": MappingProxyType(_FR)})
