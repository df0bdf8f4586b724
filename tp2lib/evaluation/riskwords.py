"""What the risk desk says, in the pack's languages; figures stand in braces."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["REASONS", "RISKS", "VERDICT_WORDS"]

Words = Mapping[str, Mapping[str, str]]

RISKS: Words = MappingProxyType(
    {
        "product": {"en": "product altered", "fr": "produit altéré"},
        "text": {"en": "text or marks", "fr": "texte ou marques"},
        "clipped": {"en": "clipped colours", "fr": "couleurs écrêtées"},
        "crop": {"en": "crop", "fr": "cadrage"},
        "background": {"en": "background", "fr": "fond"},
        "mark": {"en": "mark of origin", "fr": "marque d'origine"},
    }
)

REASONS: Words = MappingProxyType(
    {
        "colour": {
            "en": "the product's colours are {colour:.1f} ΔE from those of its photo",
            "fr": "les couleurs du produit sont à {colour:.1f} ΔE de celles de sa photo",
        },
        "colour in the middle": {
            "en": "the middle of the frame is {colour:.1f} ΔE from the photo; the product is not told from its ground",
            "fr": "le milieu de l'image est à {colour:.1f} ΔE de la photo ; le produit ne se détache pas du fond",
        },
        "shape": {
            "en": "its outline overlaps that of the photo by {shape:.0%}",
            "fr": "son contour recouvre celui de la photo à {shape:.0%}",
        },
        "no product": {
            "en": "the photo shows a product apart from its background, the picture does not",
            "fr": "la photo montre un produit détaché du fond, l'image non",
        },
        "no photo, product": {
            "en": "no photo went in, so it shows no product that exists",
            "fr": "aucune photo au départ : elle ne montre aucun produit existant",
        },
        "no photo, illustration": {
            "en": "no photo went in: an illustration, never to be shown as goods for sale",
            "fr": "aucune photo au départ : une illustration, à ne jamais montrer comme un article en vente",
        },
        "photo lost": {
            "en": "the photo that it was made from is not kept, so nobody can tell what was altered",
            "fr": "la photo de départ n'est pas conservée : nul ne peut dire ce qui a été altéré",
        },
        "photo differs": {
            "en": "it cannot be compared with its photo ({error})",
            "fr": "elle ne peut être comparée à sa photo ({error})",
        },
        "no text": {"en": "no letters were read in it", "fr": "aucune lettre n'y a été lue"},
        "text": {
            "en": "letters that nobody asked for: “{words}”",
            "fr": "des lettres que personne n'a demandées : « {words} »",
        },
        "no reader": {
            "en": "letters were not looked for; a person must, or install tp2lib[ocr]",
            "fr": "les lettres n'ont pas été cherchées ; à vérifier à l'œil, ou installer tp2lib[ocr]",
        },
        "clipped": {
            "en": "{share:.1%} of the product's pixels have a colour at its end, without detail",
            "fr": "{share:.1%} des pixels du produit ont une couleur à sa limite, sans détail",
        },
        "clipped beyond the photo": {
            "en": "{share:.1%} of the pixels looked at have a colour at its end, without detail; {photo:.1%} in the photo",
            "fr": "{share:.1%} des pixels examinés ont une couleur à sa limite, sans détail ; {photo:.1%} sur la photo",
        },
        "clipped in the middle": {
            "en": "{share:.1%} of the pixels in the middle have a colour at its end, without detail",
            "fr": "{share:.1%} des pixels du milieu ont une couleur à sa limite, sans détail",
        },
        "crop": {
            "en": "the product takes {share:.1%} of the frame's edge",
            "fr": "le produit occupe {share:.1%} du bord de l'image",
        },
        "not told apart": {
            "en": "the product is not told from its ground, so a person must look at its edges",
            "fr": "le produit ne se détache pas du fond ; regarder ses bords à l'œil",
        },
        "background": {
            "en": "whiteness of the frame's edge {white:.2f}; marketplaces ask for 1.00 in the main picture",
            "fr": "blancheur du bord {white:.2f} ; les places de marché demandent 1,00 pour l'image principale",
        },
        "marked": {
            "en": "the file says that a model made it (IPTC DigitalSourceType)",
            "fr": "le fichier dit qu'un modèle l'a faite (IPTC DigitalSourceType)",
        },
        "no mark": {
            "en": "the file does not say that a model made it; export it from the original",
            "fr": "le fichier ne dit pas qu'un modèle l'a faite ; l'exporter depuis l'original",
        },
        "other pixels": {
            "en": "the file holds other pixels than the run made; use the original",
            "fr": "le fichier contient d'autres pixels que ceux du run ; utiliser l'original",
        },
        "no file": {
            "en": "there is no file to look into",
            "fr": "il n'y a pas de fichier à examiner",
        },
    }
)

VERDICT_WORDS: Words = MappingProxyType(
    {
        "publish": {"en": "publish", "fr": "publier"},
        "retouch": {"en": "retouch", "fr": "retoucher"},
        "reject": {"en": "reject", "fr": "rejeter"},
        "unknown": {"en": "not checked", "fr": "non vérifié"},
    }
)
