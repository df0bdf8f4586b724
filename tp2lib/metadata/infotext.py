"""The `parameters` text of AUTOMATIC1111's WebUI, which nearly every tool reads.

It is written for the others and is lossy by its grammar (each line is stripped, a prompt line that
begins with ``Negative prompt:`` changes sides, no photo is named), so our own JSON chunk is what
counts. It is read as untrusted text: its length is limited, nothing in it is evaluated, and it never names a path or a model.
"""

from __future__ import annotations

import json
import re

from tp2lib.errors import RecipeError, RecordError, shown
from tp2lib.metadata.readings import Reading, settle
from tp2lib.recipe import Recipe
from tp2lib.settings import SCHEDULER_FACTS, split_scheduler

MAX_INFOTEXT = 64 * 1024  # characters

_SCHEDULES = {"karras": "Karras", "exponential": "Exponential", "beta": "Beta", "trailing": "SGM Uniform"}
# Their name -> ours, of those settings that a recipe has.
_KEYS = {"Steps": "steps", "Seed": "seed", "CFG scale": "guidance", "Sampler": "sampler", "Schedule type": "schedule", "Model": "model"}

# The WebUI's own expression for a key, bounded, so that any text takes linear time.
_KEY = re.compile(r"\w[\w \-/]{1,60}")
_PAIR = re.compile(r"\s*(?:(" + _KEY.pattern + r"):\s*)?")  # where no key is, it takes the blanks, so that they are read once
_QUOTED = re.compile(r'"(?:\\.|[^\\"])+"')
_SETTINGS = re.compile(r"\s*Steps:\s*[^\s,]")
_TEMPLATE = re.compile(r"^(?:Negative )?Template:", re.MULTILINE)
_END = re.compile(r"[,\n]")
_JSON = json.JSONDecoder()
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*[x×]\s*([0-9]{1,5})\s*")


def to_infotext(recipe: Recipe, **extra: object) -> str:
    """Return the recipe as the WebUI's `parameters` text; the source photo of an image-to-image recipe is not named in it.

    `extra` are more pairs for the last line, under the WebUI's own names (``**{"Model hash": "abc", "Size": "512x512"}``); None is left out, and they win over
    the recipe's own pairs. RecordError is raised for a name that the grammar cannot hold.
    """
    facts = SCHEDULER_FACTS[recipe.scheduler]
    both_sizes = recipe.width is not None and recipe.height is not None
    pairs: dict[str, object] = {
        "Steps": recipe.steps,
        "Sampler": facts.get("webui", recipe.scheduler),
        "Schedule type": _SCHEDULES.get(recipe.schedule, "Uniform" if "webui_schedule" in facts else None),
        "CFG scale": _number(recipe.guidance),
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}" if both_sizes else None,
        "Model": None if recipe.model == "auto" else recipe.model,
        "Denoising strength": None if recipe.strength is None else _number(recipe.strength),
        "Strength mode": recipe.strength_mode if recipe.strength is not None else None,
        **(_inpainting(recipe) if recipe.mask else {}),
    }
    for key in extra:
        if not _KEY.fullmatch(key):
            raise RecordError(f"{shown(key)} cannot be a key of the parameters text; a key has 2 to 61 letters, digits, blanks, '-', '/' or '_'. Rename it.")
    pairs |= extra
    last = ", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None)
    negative = f"Negative prompt: {recipe.negative_prompt}\n" if recipe.negative_prompt else ""
    return f"{recipe.prompt}\n{negative}{last}"


def from_infotext(text: str) -> Reading:
    """Read the WebUI's `parameters` text, as the WebUI itself would, and say what it does not say.

    Parameters
    ----------
    text : str
        At most `MAX_INFOTEXT` characters.

    Returns
    -------
    Reading
        Its recipe is always text to image, for the text names no photo; `ignored` holds every pair that a recipe does not,
        under the WebUI's own names.

    Raises
    ------
    RecordError
        Too long, empty, or a prompt that no recipe can have.
    """
    if not isinstance(text, str) or not text.strip():
        raise RecordError(f"the parameters text is {shown(text)}; it must be text like 'an apple\\nSteps: 30, …'.")
    if len(text) > MAX_INFOTEXT:
        raise RecordError(f"the parameters text has {len(text)} characters; at most {MAX_INFOTEXT} are read. Type the settings yourself.")
    prompt, negative, pairs = _split(text.replace("\r\n", "\n").strip())
    tool = "tp2lib" if pairs.get("Version") == "tp2lib" else "A1111"
    given: dict[str, object] = {name: pairs.pop(key) for key, name in _KEYS.items() if key in pairs}
    if size := _SIZE.fullmatch(pairs.get("Size", "")):
        given["width"], given["height"] = size.groups()
        del pairs["Size"]
    if str(given.get("schedule")).casefold() == "automatic":
        given["schedule"] = _automatic(given.get("sampler"))
    notes: tuple[str, ...] = () if given else ("The text has no settings line: every setting but the prompt was assumed.",)
    if "Denoising strength" in pairs:
        second = any(key.startswith("Hires") for key in pairs)
        settings = "source=…, mask=…" if {"Mask mode", "Mask blur", "Masked content", "Inpaint area"} & pairs.keys() else "strength=…, source=…"
        what = "A second pass (Hires) is not done here" if second else f"Made from a photo that the text does not hold: use recipe.vary({settings})"
        notes += (f"{what}.",)
    return settle(tool, prompt, negative, given, pairs, notes)


def _inpainting(recipe: Recipe) -> dict[str, object]:
    """What the WebUI writes of a mask that is white where the photo stays (its processing.py, from 1.6 on)."""
    return {"Mask mode": "Inpaint not masked", "Mask blur": recipe.feather or None, "Masked content": "latent noise" if recipe.strength == 1 else None}


def _automatic(sampler: object) -> str | None:
    """What the WebUI takes a sampler's "Automatic" schedule for (its sd_samplers_kdiffusion.py, from 1.9 on)."""
    try:
        name, ending = split_scheduler(sampler)
    except RecipeError:
        return None
    return ending or SCHEDULER_FACTS[name].get("webui_schedule", "default")


def _split(text: str) -> tuple[str, str, dict[str, str]]:
    """Find prompt, negative prompt and pairs: the settings begin at the last line that counts as theirs."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if _SETTINGS.match(line)] or [len(lines) - 1]  # ours may begin otherwise
    for start in reversed(starts[-8:]):
        pairs = _pairs("\n".join(lines[start:]))
        if len(pairs) >= 3:
            break
    else:
        start, pairs = len(lines), {}
    parts: dict[bool, list[str]] = {False: [], True: []}
    in_negative = False
    for line in map(str.strip, lines[:start]):
        if line.startswith("Negative prompt:"):
            in_negative, line = True, line.removeprefix("Negative prompt:").strip()
        if parts[in_negative] or line:  # leading empty lines vanish
            parts[in_negative].append(line)
    return "\n".join(parts[False]), "\n".join(parts[True]), pairs


def _pairs(text: str) -> dict[str, str]:
    """Take the settings' pairs apart: a value is quoted text, JSON, or what stands before the next comma or line."""
    template = _TEMPLATE.search(text)  # as the dynamic-prompts extension adds it, on lines of its own
    text, templates = (text[: template.start()], text[template.start() :]) if template else (text, "")
    pairs: dict[str, str] = {}
    at, other = 0, []
    while at < len(text) and (found := _PAIR.match(text, at)):
        if found[1] is None:
            end = _after(text, found.end())
            other.append(text[found.end() : end].strip())
        else:
            value, end = _value(text, found.end())
            pairs[found[1]] = value
        at = end + 1
    if lost := ", ".join(filter(None, other)):
        pairs["not understood"] = lost
    for one in re.split(r"\n(?=Negative Template:)", templates) if templates else ():
        name, _, value = one.partition(":")
        pairs[name] = value.strip()
    return pairs


def _value(text: str, start: int) -> tuple[str, int]:
    """Return the value that begins here, and where it ends."""
    if found := _QUOTED.match(text, start):
        end = found.end()
        if not text[end : end + 1].strip(" ,\n"):
            return _unquoted(found[0]), _after(text, end)
    if text[start : start + 1] in ("[", "{"):
        try:
            _, end = _JSON.raw_decode(text, start)
            if not text[end : end + 1].strip(" ,\n"):
                return text[start:end], _after(text, end)
        except (ValueError, RecursionError):
            pass
    end = _after(text, start)
    return text[start:end].strip(), end


def _after(text: str, start: int) -> int:
    found = _END.search(text, start)
    return found.start() if found else len(text)


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[,\n:]|^["\[{]|^\s|\s$', text) else text


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text
