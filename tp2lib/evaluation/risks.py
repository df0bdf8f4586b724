"""The publication check: publish a picture, retouch it or reject it, and why.

Each risk of the report is a check with a number and a limit. A shop decides on its own limits: change `LIMITS` and
say so. What cannot be checked here is named, and a person must check it. Text in a picture (a price, a brand, part of
a logo) is read by an optional reader whose wheel contains its weights (extra ``ocr``); it finds letters only.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from tp2lib.engine.inpainting import differing
from tp2lib.engine.runs import Run
from tp2lib.errors import RecordError, SourceError, shown
from tp2lib.evaluation.languages import Number, words
from tp2lib.evaluation.product import Product, fidelity_to, find_product
from tp2lib.evaluation.run_measures import Evidence
from tp2lib.metadata.mask import Mask
from tp2lib.metadata.pixels import open_image, pixels_sha256
from tp2lib.metadata.record import COMPOSITE, GENERATED, digital_source_type
from tp2lib.metadata.source import reopen_source
from tp2lib.metrics.measures import as_pixels, background_whiteness, perceptual_map
from tp2lib.storage.ledger import Ledger

VERDICTS = ("publish", "retouch", "reject")
USES = ("product", "illustration")
TEXT = "text read"

READER = "rapidocr"
_SURE = 0.8  # the reader's own confidence, 0 to 1
_LEAST = 2  # letters or digits: rims and reflections are often taken for a single one
_SIDE = 512  # pixels, to which smaller pictures are enlarged: the reader was trained on larger letters

LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "colour": (4.0, 10.0),  # ΔE00 over the product: beyond the first, retouch; beyond the second, reject
        "shape": (0.95, 0.85),  # overlap of the outlines: below the first, retouch; below the second, reject
        "clipped": (0.05, 0.25),  # share of the product's pixels with a channel at its end, beyond the photo's
        "crop": (0.01, 0.10),  # share of the frame's outermost pixels that belong to the product
        "background": (0.95, 0.0),  # whiteness of the frame's outer band: below the first, retouch; nothing to reject
    }
)
"""The limits for retouching and for rejecting."""

_AT_LEAST = ("shape", "background")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    risk: str  # a key of [risks] in words/en.toml
    verdict: str  # "publish", "retouch", "reject" or "unknown"
    reason: str  # which sentence of [reasons] in words/en.toml says it
    figures: dict[str, Any] = field(default_factory=dict)  # the numbers and words in that sentence

    def say(self, language: str = "en") -> str:
        """Return the finding as a sentence."""
        figures = {name: Number(one, language) if isinstance(one, float) else one for name, one in self.figures.items()}
        return words(language)["reasons"][self.reason].format(**figures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """All findings about one picture."""

    key: str
    use: str
    findings: tuple[Finding, ...] = field(repr=False)

    @property
    def verdict(self) -> str:
        """The worst of the findings: "publish", "retouch" or "reject"."""
        return max((one.verdict for one in self.findings if one.verdict in VERDICTS), key=VERDICTS.index, default="publish")

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Risks that could not be checked here; a person must check them."""
        return tuple(one.risk for one in self.findings if one.verdict == "unknown")

    def why(self, language: str = "en") -> list[str]:
        """List the reasons against publishing, the worst first."""
        against = sorted((one for one in self.findings if one.verdict != "publish"), key=lambda one: one.verdict != "reject")
        own = words(language)
        return [f"{own['risks'][one.risk]}{own['colon']}{one.say(language)}" for one in against]

    def __str__(self) -> str:
        return "\n  ".join([self.verdict, *self.why()])


def inspect(run: Run, *, outputs: str | os.PathLike[str], use: str | None = None, photo: Image.Image | None = None, read: bool = True) -> Inspection:
    """Check a run's picture against the report's risks.

    Parameters
    ----------
    run : Run
        With a picture; the mark of origin is looked for in its file.
    outputs : path
        The folder of the ledger: the source photo is found there, and texts read are kept there.
    use : {"product", "illustration"}, optional
        Whether it is to show goods for sale, or an idea, which is not compared with a photo. By default "product" if a photo went in.
    photo : PIL.Image.Image, optional
        The prepared photo; by default, the one that the ledger keeps, unless a model made it.
    read : bool, default True
        Read the picture's text now, if that was not done before: takes seconds.

    Raises
    ------
    RecordError
        There is no picture, or no such use.
    """
    if run.image is None:
        raise RecordError(f"run {run.key} has no picture: it ended as {run.outcome!r}. Inspect a run that has a picture.")
    use = use or ("product" if run.composite else "illustration")
    if use not in USES:
        raise RecordError(f"the use is {shown(use)}; it must be one of {', '.join(USES)}.")
    mask = None
    if photo is None and (kept := Ledger(outputs).find_source(run.effective.get("source_sha256"))):
        source = reopen_source(kept)
        if source.digital_source_type is None:
            photo, mask = source.image, source.mask and source.mask.grown(run.recipe.grow)
    product, white = find_product(run.image), background_whiteness(run.image)
    checks = [
        *_product(run, use, photo, mask),
        _text(run, Evidence(outputs), photo, read),
        _clipped(run.image, product, photo),
        _crop(product),
        Finding(risk="background", verdict=_judged("background", white), reason="background", figures={"white": white}),
        _mark(run),
    ]
    return Inspection(key=run.key, use=use, findings=tuple(checks))


def read_text(image: Image.Image) -> tuple[str, ...] | None:
    """Return the words found in a picture, or None where no reader is installed; takes seconds, and fetches nothing.

    PP-OCR (Du et al., arXiv:2009.09941) as packed by rapidocr, on the CPU.
    """
    reader = _reader()
    if reader is None:
        return None
    pixels = as_pixels(image)
    scale = _SIDE / min(pixels.shape[:2])
    if scale > 1:
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        pixels = np.asarray(image)
    found = reader(np.ascontiguousarray(pixels[:, :, ::-1]))  # it takes blue first
    pairs = zip(found.txts or (), found.scores or (), strict=True)
    return tuple(text[:80] for text, sure in pairs if sure >= _SURE and sum(one.isalnum() for one in text) >= _LEAST)


@functools.cache
def _reader() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError:
        return None
    return RapidOCR(params={"Global.log_level": "critical"})


# -- the checks --------------------------------------------------------------------------------------


def _product(run: Run, use: str, photo: Image.Image | None, mask: Mask | None) -> list[Finding]:
    if use == "illustration" or not run.composite:
        return [Finding(risk="product", verdict="reject" if use == "product" else "publish", reason=f"no photo, {use}")]
    if photo is None:
        return [Finding(risk="product", verdict="unknown", reason="photo lost")]
    if mask is not None and photo.size == run.picture.size == mask.size:
        figures = {"share": mask.share, "differing": differing(run.picture, photo, mask)}
        kept = Finding(risk="product", verdict="reject" if figures["differing"] else "publish", reason="kept", figures=figures)
        return [kept, Finding(risk="background", verdict="unknown", reason="invented")]
    try:
        found = fidelity_to(run.picture, photo)
        if found is None:  # the background is not plain: use the middle of the frame
            middle = float(_middle(perceptual_map(run.picture, photo)).mean())
            return [Finding(risk="product", verdict=_judged("colour", middle), reason="colour in the middle", figures={"colour": middle})]
    except SourceError as error:
        return [Finding(risk="product", verdict="unknown", reason="photo differs", figures={"error": str(error)})]
    colour = Finding(risk="product", verdict=_judged("colour", found.colour), reason="colour", figures={"colour": found.colour})
    if found.shape is None and find_product(run.picture, doubted=True):
        return [colour, Finding(risk="product", verdict="unknown", reason="not told apart")]
    if found.shape is None:
        return [colour, Finding(risk="product", verdict="reject", reason="no product")]
    return [colour, Finding(risk="product", verdict=_judged("shape", found.shape), reason="shape", figures={"shape": found.shape})]


def _text(run: Run, evidence: Evidence, photo: Image.Image | None, read: bool) -> Finding:
    """Text that is in a picture and neither on its photo nor in its prompt; what was read before, of either, is not read again."""
    known = evidence.latest(TEXT, run) or {}
    if "words" in known:  # before version 0.2: the photo's own are left out already
        known = {"seen": known["words"], "on_photo": []}
    listed = (known.get(part) for part in ("seen", "on_photo"))
    seen, on_photo = (tuple(str(word)[:80] for word in one) if isinstance(one, list) else None for one in listed)  # the line is untrusted
    before = seen, on_photo
    if read and seen is None:
        seen = read_text(run.picture)
    if read and seen and on_photo is None and photo is not None:
        on_photo = read_text(photo)
    if (seen, on_photo) != before:
        evidence.note(TEXT, run, seen=seen, on_photo=on_photo, reader=READER)
    if seen is None:
        return Finding(risk="text", verdict="unknown", reason="no reader")
    asked, own = _words_of(run.recipe.prompt), {word.casefold() for word in on_photo or ()}
    if not (odd := [text for text in seen if text.casefold() not in own and not _words_of(text) <= asked]):
        return Finding(risk="text", verdict="publish", reason="no text")
    reason = "text, not compared" if run.composite and on_photo is None else "text"
    return Finding(risk="text", verdict="retouch", reason=reason, figures={"words": ", ".join(odd)[:200]})


def _words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _clipped(image: Image.Image, product: Product | None, photo: Image.Image | None) -> Finding:
    """Pixels that are already clipped in the photo, such as bright reds, do not count."""
    if photo is None:
        figures, reason = {"share": _clipped_share(image, product)}, "clipped" if product else "clipped in the middle"
    else:
        before = find_product(photo) if product else None
        figures = {"share": _clipped_share(image, product if before else None), "photo": _clipped_share(photo, before)}
        reason = "clipped beyond the photo"
    verdict = _judged("clipped", figures["share"] - figures.get("photo", 0))
    return Finding(risk="clipped", verdict=verdict, reason=reason, figures=figures)


def _clipped_share(image: Image.Image, product: Product | None) -> float:
    pixels = as_pixels(image)
    part = _middle(pixels).reshape(-1, 3) if product is None else pixels[product.mask]
    return float(max((part >= 254).any(1).mean(), (part <= 1).any(1).mean()))


def _crop(product: Product | None) -> Finding:
    if product is None:
        return Finding(risk="crop", verdict="unknown", reason="not told apart")
    return Finding(risk="crop", verdict=_judged("crop", product.touching), reason="crop", figures={"share": product.touching})


def _mark(run: Run) -> Finding:
    if run.path is None or not Path(run.path).is_file():
        return Finding(risk="mark", verdict="unknown", reason="no file")
    try:
        image = open_image(run.path)[0]
    except SourceError:
        return Finding(risk="mark", verdict="unknown", reason="no file")
    if pixels_sha256(image.convert("RGB")) != pixels_sha256(run.picture):
        return Finding(risk="mark", verdict="reject", reason="other pixels")
    marked = digital_source_type(image) in (GENERATED, COMPOSITE)
    return Finding(risk="mark", verdict="publish" if marked else "reject", reason="marked" if marked else "no mark")


def _judged(limit: str, value: float) -> str:
    """Return the verdict on a value: those of _AT_LEAST must not fall below their limits, the others not rise above."""
    retouch, reject = (value < edge if limit in _AT_LEAST else value > edge for edge in LIMITS[limit])
    return VERDICTS[retouch + reject]


def _middle(array: np.ndarray) -> np.ndarray:
    height, width = array.shape[:2]
    return array[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4]
