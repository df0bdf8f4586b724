"""ComfyUI's `prompt`: the graph that was executed. sd-parsers walks it; here it is made ready, and the sampler that began is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tp2lib.errors import RecordError
from tp2lib.metadata.readings import Reading, json_object, settle_parsed, taken_apart

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
        if name != sampler and ("sampler_name" in inputs or ("width" in inputs and "height" in inputs and not _linked(graph, inputs)) or "image" in inputs):
            return None if "sampler_name" in inputs else name
        for key, value in inputs.items():
            if key not in _NOT_LATENTS and _target(graph, value) is not None and str(value[0]) not in seen:
                seen.add(str(value[0]))
                waiting.append(str(value[0]))
    return None


def _linked(graph: Graph, inputs: Mapping[str, Any]) -> bool:
    return any(_target(graph, value) is not None for value in inputs.values())
