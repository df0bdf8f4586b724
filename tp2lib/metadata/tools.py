"""Read the settings that other tools write into a picture: one function for each tool.

All of it is foreign text: nothing is evaluated, and every value goes through `settle`. sd-parsers takes apart what it knows. To add a
tool, add a function that returns a Reading, or None where the text is not its own, and a line in `TOOLS`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from tp2lib.errors import RecordError, shown
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.readings import Reading, json_object, settle, settle_parsed, taken_apart
from tp2lib.metadata.record import exif_tags, user_comment, xmp_of

# -- ComfyUI's graph: sd-parsers walks it; here it is made ready, and the sampler that began is chosen -----

_MAX_NODES, _MAX_SAMPLERS, _MAX_INPUTS = 1000, 8, 40  # the largest workflows that people share have some hundreds of nodes
_PARTS = ("guider", "sampler", "sigmas", "noise")  # of the samplers that are put together from several nodes
_CONSTANTS = ("value", "text", "string", "int", "float", "seed", "number", "noise_seed")
_NOT_LATENTS = ("model", "positive", "negative", "clip", "vae", "control_net", "mask", *_PARTS)

Graph = dict[str, dict[str, Any]]


def read_comfyui(texts: Mapping[str, str]) -> Reading | None:
    """Read ComfyUI's graph, with samplers behind reroutes, in a row, or made of parts; LoRA loaders are passed by and named."""
    if not texts.get("prompt", "").lstrip().startswith("{"):
        if "workflow" in texts:
            raise RecordError("the picture holds ComfyUI's drawing of the workflow, but not the graph that was executed. Type the settings yourself.")
        return None
    graph = _graph(json_object("ComfyUI", texts["prompt"]))
    info = taken_apart("ComfyUI", "ComfyUIParser", {"prompt": graph, "workflow": {"links": _links(graph)}})
    origins = {sampler.sampler_id: _origin(graph, sampler.sampler_id) for sampler in info.samplers}
    first = next((one for one in info.samplers if "width" in graph.get(origins[one.sampler_id] or "", {}).get("inputs", {})), info.samplers[0])
    start = graph.get(origins[first.sampler_id] or "", {"inputs": {}})
    more: dict[str, Any] = {name: start["inputs"].get(name) for name in ("width", "height")}
    denoise = first.parameters.pop("denoise", None)
    if "image" in start["inputs"]:
        more["strength"] = denoise
    loaders = [node["inputs"]["ckpt_name"] for node in graph.values() if isinstance(node["inputs"].get("ckpt_name"), str)]
    more["model"] = loaders[0] if loaders else None
    rest = {f"{kind} {number}": values for kind, found in info.metadata.items() for number, values in enumerate(found, 1) if values != {**start["inputs"]}}
    rest |= {f"{node['class_type']} {name}": node["inputs"] for name, node in graph.items() if "lora_name" in node["inputs"]}
    others = [one for one in info.samplers if one is not first]
    rest |= {f"sampler {one.sampler_id}": {"sampler": one.name, **one.parameters} for one in others}
    notes = (f"The graph has {len(info.samplers)} samplers; number {first.sampler_id}, which began, is read.",) if others else ()
    return settle_parsed("ComfyUI", first, more, rest, notes)


def _graph(content: Mapping[str, Any]) -> Graph:
    """Return the graph's nodes, with constants in the place of links to nodes that only hold one, and the parts of a sampler in it."""
    graph: Graph = {str(name): {"class_type": str(node.get("class_type")), "inputs": dict(list(node["inputs"].items())[:_MAX_INPUTS])}
             for name, node in content.items() if isinstance(node, dict) and isinstance(node.get("inputs"), dict)}  # fmt: skip
    if len(graph) > _MAX_NODES:
        raise RecordError(f"the ComfyUI graph has {len(graph)} nodes; at most {_MAX_NODES} are read. Type the settings yourself.")
    parts = {name: [target["inputs"] for part in _PARTS if (target := _target(graph, node["inputs"].get(part))) is not None] for name, node in graph.items()}
    for name, found in parts.items():
        graph[name]["inputs"] = {key: value for inputs in (*found, graph[name]["inputs"]) for key, value in inputs.items()}
    for node in graph.values():
        inputs = node["inputs"]
        for name, value in inputs.items():
            if (target := _target(graph, value)) is None:
                continue
            if "positive" in target["inputs"] and "negative" in target["inputs"] and name in ("positive", "negative"):
                inputs[name] = _through(graph, value)
            constants = [target["inputs"][key] for key in (name, *_CONSTANTS) if isinstance(target["inputs"].get(key), (str, int, float))]
            if constants and name in (*_CONSTANTS, "steps", "cfg", "width", "height", "denoise", "sampler_name", "scheduler", "text_g"):
                inputs[name] = constants[0]
    if (count := sum("sampler_name" in node["inputs"] and "steps" in node["inputs"] for node in graph.values())) > _MAX_SAMPLERS:
        raise RecordError(f"the ComfyUI graph has {count} samplers; at most {_MAX_SAMPLERS} are read. Type the settings yourself.")
    return graph


def _target(graph: Graph, value: Any) -> dict[str, Any] | None:
    """The node that a link leads to: a link is a node's name and the number of its output."""
    return graph.get(str(value[0])) if isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)) else None


def _through(graph: Graph, link: Any) -> Any:
    """Follow a link through nodes that pass on two prompts side by side, such as a ControlNet's, to the side it came in by."""
    for _ in range(50):
        target = _target(graph, link)
        if target is None or not {"positive", "negative"} <= target["inputs"].keys():
            break
        link = target["inputs"]["negative" if link[1] == 1 else "positive"]
    return link


def _links(graph: Graph) -> list[list[Any]]:
    """The links as the drawing lists them, which sd-parsers follows, without those that lead from a prompt to models."""
    return [
        [None, str(value[0]), None, name, None, "CLIP" if key in ("clip", "model", "vae", "control_net") else key]
        for name, node in graph.items() for key, value in node["inputs"].items() if _target(graph, value) is not None
    ]  # fmt: skip


def _origin(graph: Graph, sampler: str) -> str | None:
    """Find the node whose latents a sampler starts from, unless another sampler stands between."""
    seen, waiting = {sampler}, [sampler]
    while waiting:
        name = waiting.pop()
        inputs = graph[name]["inputs"]
        links = {key: str(value[0]) for key, value in inputs.items() if _target(graph, value) is not None}
        if name != sampler and ("sampler_name" in inputs or ("width" in inputs and "height" in inputs and not links) or "image" in inputs):
            return None if "sampler_name" in inputs else name
        for key, other in links.items():
            if key not in _NOT_LATENTS and other not in seen:
                seen.add(other)
                waiting.append(other)
    return None


# -- the other tools -----------------------------------------------------------------------------------

_SIZE = re.compile(r"\D*([0-9]{1,5})\D{1,4}([0-9]{1,5})\D*")
_LIMIT = 4000  # characters, of texts that sd-parsers searches with expressions of quadratic cost


def _size(text: Any) -> dict[str, Any]:
    found = _SIZE.fullmatch(text) if isinstance(text, str) and len(text) < 40 else None
    return {"width": found[1], "height": found[2]} if found else {}


def read_swarmui(texts: Mapping[str, str]) -> Reading | None:
    """Read SwarmUI's `parameters`: JSON with the settings under ``sui_image_params``."""
    if '"sui_image_params"' not in texts.get("parameters", ""):
        return None
    content = json_object("SwarmUI", texts["parameters"])
    settings = content.pop("sui_image_params", None)
    if not isinstance(settings, dict):
        raise RecordError(f"the SwarmUI settings are {shown(settings)}; they must be a JSON object. Take the file as SwarmUI wrote it.")
    names = {
        "seed": ("seed",), "steps": ("steps",), "guidance": ("cfgscale",), "width": ("width",), "height": ("height",), "model": ("model",),
        "sampler": ("sampler", "comfyuisampler", "autowebuisampler"), "schedule": ("scheduler", "comfyuischeduler"),
    }  # fmt: skip
    given = {name: next((settings.pop(key) for key in keys if key in settings), None) for name, keys in names.items()}
    if "initimage" in settings:
        given["strength"] = settings.pop("initimagecreativity", "unknown")
    return settle("SwarmUI", settings.pop("prompt", None), settings.pop("negativeprompt", ""), given, {**settings, **content})


def read_fooocus(texts: Mapping[str, str]) -> Reading | None:
    """Read Fooocus' `parameters`: JSON; with the scheme ``a1111`` it is the WebUI's text, and left to its reader."""
    text = texts.get("parameters", "")
    if not text.lstrip().startswith("{") or ("fooocus_scheme" not in texts and '"Fooocus' not in text):
        return None
    content = json_object("Fooocus", text)
    info = taken_apart("Fooocus", "FooocusParser", {"parameters": json.dumps({"base_model": "not named", "base_model_hash": "", **content})})
    rest = dict(info.metadata)
    return settle_parsed("Fooocus", info.samplers[0], _size(rest.pop("resolution", None)), rest)


def read_invokeai(texts: Mapping[str, str]) -> Reading | None:
    """Read InvokeAI's three generations of metadata: ``invokeai_metadata``, ``sd-metadata``, and the command in ``Dream``."""
    if len(texts.get("Dream", "")) > _LIMIT:
        raise RecordError(f"InvokeAI's command has {len(texts['Dream'])} characters; at most {_LIMIT} are read. Type the settings yourself.")
    newest = json_object("InvokeAI", texts["invokeai_metadata"]) if "invokeai_metadata" in texts else {}
    info = taken_apart("InvokeAI", "InvokeAIParser", {"invokeai_metadata": texts["invokeai_metadata"]} if newest else texts)
    rest = dict(info.metadata)
    more = {name: rest.pop(name) for name in ("width", "height", "strength") if name in rest}
    if isinstance(model := newest.get("model"), dict):
        more["model"] = model.get("name") or model.get("model_name")
    return settle_parsed("InvokeAI", info.samplers[0], more, rest)


def read_novelai(texts: Mapping[str, str]) -> Reading | None:
    """Read NovelAI's `Comment` (JSON) and `Description` (the prompt)."""
    if not texts.get("Comment", "").lstrip().startswith("{"):
        return None  # other programs write comments too
    comment = json_object("NovelAI", texts["Comment"])
    known = {"Comment": texts["Comment"], "Description": texts.get("Description") or comment.get("prompt"), "Source": texts.get("Source", "")[:200]}
    info = taken_apart("NovelAI", "NovelAIParser", known)
    rest = dict(info.metadata)
    schedule = rest.pop("noise_schedule", None)
    more = {"schedule": None if schedule == "native" else schedule, **{name: rest.pop(name, None) for name in ("steps", "width", "height")}}
    return settle_parsed("NovelAI", info.samplers[0], more, rest)


def read_draw_things(texts: Mapping[str, str]) -> Reading | None:
    """Read Draw Things' JSON in XMP, whose prompts are ``c`` and ``uc``."""
    content = json_object("Draw Things", texts["draw things"])
    given = {
        name: content.pop(key, None) for name, key in (("seed", "seed"), ("steps", "steps"), ("guidance", "scale"), ("sampler", "sampler"), ("model", "model"))
    }
    strength = content.pop("strength", None)
    given |= {**_size(content.pop("size", None)), "strength": None if strength == 1 else strength}
    return settle("Draw Things", content.pop("c", None), content.pop("uc", ""), given, content)


TOOLS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, str]], Reading | None]]] = {
    "SwarmUI": (("parameters",), read_swarmui),
    "Fooocus": (("parameters", "fooocus_scheme"), read_fooocus),
    "ComfyUI": (("prompt", "workflow"), read_comfyui),
    "InvokeAI": (("invokeai_metadata", "sd-metadata", "Dream"), read_invokeai),
    "NovelAI": (("Comment", "Description", "Source"), read_novelai),
    "Draw Things": (("draw things",), read_draw_things),
}
"""For each tool, the keywords of its texts, and what reads them."""


MAX_TEXT = 2**21  # characters: ComfyUI's graphs are the largest normal ones, of some 100,000
_MAKE, _MODEL, _DESCRIPTION = 0x010F, 0x0110, 0x010E
_PREFIX = re.compile(r"(prompt|workflow):(?=\s*\{)", re.IGNORECASE)
_XMP_COMMENT = re.compile(r"<exif:UserComment>.{0,400}?<rdf:li[^>]{0,200}>([^<]{0,200000})</rdf:li>", re.DOTALL)


def carried_texts(image: Image.Image) -> dict[str, str]:
    """Return the texts of an open image by their PNG keywords; those in EXIF and XMP under the keyword that PNG would have.

    ``parameters`` also from EXIF's UserComment, ``prompt`` and ``workflow`` also from its Make, Model or ImageDescription (ComfyUI's WebP), ``draw things``
    from XMP.
    """
    texts = {str(key): text for key, text in image.info.items() if isinstance(text, str)}
    if (comment := user_comment(image)) is not None:
        texts.setdefault("parameters", comment)
    tags = exif_tags(image)
    for tag in (_MODEL, _MAKE, _DESCRIPTION):
        if isinstance(text := tags.get(tag), str) and (found := _PREFIX.match(text)):
            texts.setdefault(found[1].lower(), text[found.end() :].strip("\0"))
    if found := _XMP_COMMENT.search(xmp_of(image)[:MAX_TEXT]):  # searched, not parsed, so that an untrusted packet cannot expand entities
        texts["draw things"] = html.unescape(found[1])
    return texts


def read_texts(texts: dict[str, str]) -> Reading:
    """Read the settings in a picture's texts, whichever tool wrote them; raise RecordError if none did, or it is too large, damaged, or no possible prompt."""
    faults = []
    for keywords, read in TOOLS.values():
        there = {keyword: texts[keyword] for keyword in keywords if keyword in texts}
        try:
            if long := [keyword for keyword, text in there.items() if len(text) > MAX_TEXT]:
                raise RecordError(f"the text {long[0]!r} has {len(there[long[0]])} characters; at most {MAX_TEXT} are read. Type the settings yourself.")
            if there and (reading := read(there)) is not None:
                return reading
        except RecordError as error:
            if "parameters" in there:
                raise
            faults.append(error)  # the parameters beside it may be readable
    text = texts.get("parameters", "").strip()
    if text and not (text.startswith("{") and text.endswith("}")):
        return from_infotext(text)
    if faults:
        raise faults[0]
    if text:
        raise RecordError(f"its parameters are JSON of an unknown tool; known tools are {', '.join(TOOLS)}. Type the settings yourself.")
    raise RecordError(f"it carries no recipe: neither a tp2 record nor the settings of {', '.join(['A1111', *TOOLS])}. Take the file as its tool wrote it.")
