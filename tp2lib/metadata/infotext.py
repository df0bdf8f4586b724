"""The `parameters` text of AUTOMATIC1111's WebUI, which nearly every tool reads.

It is written for the others and is lossy by its grammar (each line is stripped, a prompt line that
begins with ``Negative prompt:`` changes sides, no photo is named), so our own JSON chunk keeps the
truth. It is read as hostile text: capped, never evaluated, and no path or model comes out of it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tp2lib.errors import RecipeError, RecordError, did_you_mean, shown
from tp2lib.recipe import Recipe, setting

__all__ = ["KNOWN_MODELS", "MAX_INFOTEXT", "from_infotext", "to_infotext"]

KNOWN_MODELS = ("auto", "vitrine", "sd15")  # names a foreign text may ask for: each is a pinned model
MAX_INFOTEXT = 64 * 1024  # characters
MAX_PARAMETERS = 16 * 1024  # characters of the last line

# Our name -> their "Sampler", and the "Schedule type" where theirs would otherwise be another one.
_SAMPLERS: dict[str, tuple[str, str | None]] = {
    "EulerA": ("Euler a", None),
    "Euler": ("Euler", None),
    "DDIM": ("DDIM", None),
    "DDPM": ("DDPM", None),
    "PNDM": ("PLMS", None),
    "LMS": ("LMS", None),
    "Heun": ("Heun", None),
    "DPM++ 2M": ("DPM++ 2M", "Uniform"),
    "DPM++ 2M Karras": ("DPM++ 2M", "Karras"),
    "DPM++ SDE": ("DPM++ 2M SDE", "Uniform"),  # ours is the multistep solver, which they call 2M SDE
    "DPM++ 2S": ("DPM++ 2S", None),
    "KDPM2": ("DPM2", "Uniform"),
    "KDPM2A": ("DPM2 a", "Uniform"),
    "DEIS": ("DEIS", None),
    "UniPC": ("UniPC", None),
    "LCM": ("LCM", None),
}
_READ = {(theirs.casefold(), kind == "Karras"): ours for ours, (theirs, kind) in _SAMPLERS.items()}
_READ |= {("pndm", False): "PNDM"}

# The WebUI's own expression, less a leading \s* and with bounded keys: hostile text costs linear time.
_PAIR = re.compile(r'(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_KEY = re.compile(r"\w[\w \-/]{1,60}")
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_WHOLE = re.compile(r"[0-9]{1,12}")
_REAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,20})?(e-?[0-9]{1,3})?", re.IGNORECASE)


def to_infotext(recipe: Recipe, **extra: object) -> str:
    """Return the recipe as the WebUI's `parameters` text.

    Parameters
    ----------
    recipe : Recipe
        The source photo of an image-to-image recipe is not named in the text.
    **extra : object
        More pairs for the last line, under the WebUI's own names
        (``**{"Model hash": "abc", "Size": "512x512"}``); None is left out. They win over the
        recipe's own pairs.

    Raises
    ------
    RecordError
        A name in `extra` that the grammar cannot hold.
    """
    sampler, schedule = _SAMPLERS[recipe.scheduler]
    both_sizes = recipe.width is not None and recipe.height is not None
    pairs: dict[str, object] = {
        "Steps": recipe.steps,
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": _number(recipe.guidance),
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}" if both_sizes else None,
        "Model": None if recipe.model == "auto" else recipe.model,
        "Denoising strength": None if recipe.strength is None else _number(recipe.strength),
        "Strength mode": recipe.strength_mode if recipe.strength is not None else None,
    }
    for key in extra:
        if not _KEY.fullmatch(key):
            raise RecordError(f"{shown(key)} cannot be a key of the parameters text; a key has 2 to 61 letters, digits, blanks, '-', '/' or '_'. Rename it.")
    pairs |= extra
    last = ", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None)
    negative = f"Negative prompt: {recipe.negative_prompt}\n" if recipe.negative_prompt else ""
    return f"{recipe.prompt}\n{negative}{last}"


def from_infotext(text: str) -> tuple[Recipe, dict[str, Any]]:
    """Read the WebUI's `parameters` text, as the WebUI itself would.

    Parameters
    ----------
    text : str
        At most `MAX_INFOTEXT` characters.

    Returns
    -------
    recipe : Recipe
        Always text to image, for the text names no photo; `model` is kept only when it is one of
        `KNOWN_MODELS`.
    extra : dict
        Every pair that the recipe does not hold, as text, and under ``"notes"`` a tuple of
        sentences: what was assumed because the text does not say it.

    Raises
    ------
    RecordError
        Too long, empty, a malformed value, or a setting that tp2lib does not have.
    """
    if not isinstance(text, str) or not text.strip():
        raise RecordError(f"the parameters text is {shown(text)}; it must be text like 'an apple\\nSteps: 30, …'.")
    if len(text) > MAX_INFOTEXT:
        raise RecordError(f"the parameters text has {len(text)} characters; at most {MAX_INFOTEXT} are read.")
    prompt, negative, pairs = _split(text)
    notes: list[str] = []
    settings: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative}
    for key, name in (("Steps", "steps"), ("Seed", "seed"), ("CFG scale", "guidance")):
        if key in pairs:
            settings[name] = _parsed(key, pairs.pop(key), whole=name != "guidance")
        else:
            notes.append(f"{key} is not in the text: {name}={setting(name).default} was assumed.")
    if size := pairs.pop("Size", None):
        if not (match := _SIZE.fullmatch(size)):
            raise RecordError(f"Size is {shown(size)}; it must look like 512x512. The text is damaged.")
        settings["width"], settings["height"] = int(match[1]), int(match[2])
    if "Sampler" in pairs:
        settings["scheduler"] = _sampler(pairs.pop("Sampler"), pairs.pop("Schedule type", "Automatic"))
    else:
        notes.append(f"Sampler is not in the text: scheduler={setting('scheduler').default} was assumed.")
    if pairs.get("Model") in KNOWN_MODELS:
        settings["model"] = pairs.pop("Model")
    elif "Model" in pairs:
        notes.append(f"Model {shown(pairs['Model'])} is not loaded on a file's word: model=auto was assumed.")
    if "Denoising strength" in pairs:
        notes.append("Made from a photo that the text does not hold: use recipe.vary(strength=…, source=…).")
    try:
        return Recipe(**settings), {**pairs, "notes": tuple(notes)}
    except RecipeError as error:
        raise RecordError(f"the parameters text asks for what tp2lib does not do: {error}") from None


def _split(text: str) -> tuple[str, str, dict[str, str]]:
    """Split as ``parse_generation_parameters`` of the WebUI does: the last line needs 3 pairs to count."""
    *lines, last = text.strip().split("\n")
    found = _PAIR.findall(last) if len(last) <= MAX_PARAMETERS else []
    if len(found) < 3:
        lines, found = [*lines, last], []
    parts: dict[bool, list[str]] = {False: [], True: []}
    in_negative = False
    for line in map(str.strip, lines):
        if line.startswith("Negative prompt:"):
            in_negative, line = True, line.removeprefix("Negative prompt:").strip()
        if parts[in_negative] or line:  # leading empty lines vanish
            parts[in_negative].append(line)
    return "\n".join(parts[False]), "\n".join(parts[True]), {key: _unquoted(value) for key, value in found}


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,\n:]|^"|^\s|\s$', text) else text


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if isinstance(value, str) else text
    return text


def _parsed(key: str, text: str, whole: bool) -> int | float:
    if not (_WHOLE if whole else _REAL).fullmatch(text):
        kind = "a whole number" if whole else "a number"
        raise RecordError(f"{key} is {shown(text)}; it must be {kind}. The text is damaged or is not a WebUI's.")
    return int(text) if whole else float(text)


def _sampler(sampler: str, schedule: str) -> str:
    name, kind = sampler.casefold(), schedule.casefold()
    if kind == "automatic" and name.endswith(" karras"):  # how the WebUI wrote it before 1.9
        name, kind = name.removesuffix(" karras"), "karras"
    known = _READ.get((name, kind == "karras"))
    if known is None or kind not in ("automatic", "uniform", "karras"):
        theirs = dict.fromkeys(their_name for their_name, _ in _SAMPLERS.values())
        raise RecordError(
            f"Sampler {shown(sampler)} with Schedule type {shown(schedule)} has no counterpart here; known are "
            f"{', '.join(theirs)}, with Karras only for DPM++ 2M.{did_you_mean(sampler, theirs)} "
            "Choose a scheduler yourself: another one makes another picture."
        )
    return known
