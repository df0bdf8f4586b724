"""Pictures as other tools write them, made here: the layouts are those of the tools' own source code, the settings are ours."""

from __future__ import annotations

import json
import struct
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from strategies import encoded

A1111 = (
    "a red apple\nNegative prompt: blurry\n"
    "Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 7, Size: 512x640, Model hash: 6ce0161689, Model: deliberate, Version: v1.10.1"
)


def png(image: Image.Image | None = None, **texts: str) -> bytes:
    """A PNG with these text chunks, of a red square or of an image."""
    chunks = PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    return encoded(image or Image.new("RGB", (8, 8), "red"), pnginfo=chunks)


def with_exif(
    kind: str = "JPEG", *, order: str = "utf-16-be", comment: str | None = None, tags: dict[int, str] | None = None, raw: bytes | None = None
) -> bytes:
    """A JPEG or WebP with an EXIF UserComment in one byte order, or with tags of the first directory."""
    if comment is not None or raw is not None:
        content = raw if raw is not None else b"UNICODE\0" + comment.encode(order)
        exif: Any = b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
        exif += struct.pack("<HHHIII", 1, 0x9286, 7, len(content), 44, 0) + content
    else:
        exif = Image.Exif()
        exif.update(tags or {})
    return encoded(Image.new("RGB", (8, 8), "red"), kind, exif=exif)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def comfy(**changes: dict[str, Any]) -> dict[str, Any]:
    """ComfyUI's default workflow, as its SaveImage node writes it; `changes` replace or add nodes by their number."""
    graph = {
        "3": node("KSampler", seed=2**63 + 1, steps=21, cfg=6.0, sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
                  model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
        "4": node("CheckpointLoaderSimple", ckpt_name="v1-5-pruned.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=640, batch_size=1),
        "6": node("CLIPTextEncode", text="a red apple", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }  # fmt: skip
    return graph | {name.removeprefix("n"): value for name, value in changes.items()}


def comfy_png(**changes: dict[str, Any]) -> bytes:
    graph = comfy(**changes)
    return png(prompt=json.dumps(graph), workflow=json.dumps({"nodes": [], "links": []}))


FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL", "base_model_hash": "aeb7e9e689", "full_prompt": ["a red apple, cinematic"],
    "full_negative_prompt": ["blurry"], "guidance_scale": 4.0, "loras": [], "metadata_scheme": "fooocus", "negative_prompt": "blurry", "performance": "Speed",
    "prompt": "a red apple", "prompt_expansion": "", "refiner_model": "None", "resolution": "(896, 512)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
    "seed": "7", "sharpness": 2.0, "steps": 30, "styles": "['Fooocus V2']", "vae": "Default (model)", "version": "Fooocus v2.5.0",
}  # fmt: skip
SWARM = {
    "sui_image_params": {"prompt": "a red apple", "negativeprompt": "blurry", "model": "sd15", "seed": 7, "steps": 20, "cfgscale": 7.0, "width": 512,
                         "height": 512, "sampler": "euler_ancestral", "scheduler": "normal", "swarm_version": "0.9.6"},
    "sui_extra_data": {"date": "2025-01-25"}, "sui_models": [],
}  # fmt: skip
INVOKE = {
    "generation_mode": "txt2img", "positive_prompt": "a red apple", "negative_prompt": "blurry", "width": 512, "height": 640, "seed": 7, "cfg_scale": 6.5,
    "steps": 25, "scheduler": "dpmpp_2m_k", "model": {"key": "k", "hash": "blake3:1", "name": "deliberate", "base": "sd-1", "type": "main"},
    "app_version": "5.6.0",
}  # fmt: skip
SD_METADATA = {
    "model": "stable diffusion", "model_weights": "stable-diffusion-1.5", "model_hash": "cc6cb27103417325", "app_version": "2.3.0",
    "image": {"prompt": [{"prompt": "a red apple [blurry]", "weight": 1.0}], "steps": 25, "cfg_scale": 6.5, "seed": 7, "width": 512, "height": 640,
              "sampler": "k_euler_a", "type": "txt2img"},
}  # fmt: skip
DREAM = '"a red apple [blurry]" -s 25 -S 7 -W 512 -H 640 -C 6.5 -A k_lms'
NOVEL = {
    "prompt": "a red apple", "steps": 28, "height": 640, "width": 512, "scale": 5.0, "uncond_scale": 1.0, "seed": 7, "n_samples": 1, "noise_schedule": "karras",
    "sampler": "k_euler", "uc": "blurry", "request_type": "PromptGenerateRequest",
}  # fmt: skip
DRAW_THINGS = {
    "c": "a red apple", "uc": "blurry", "model": "sd_v1.5_f16.ckpt", "sampler": "DPM++ 2M Karras", "scale": 6.5, "seed": 7, "size": "512x640", "steps": 25,
    "strength": 1, "lora": [], "seed_mode": "Scale Alike",
}  # fmt: skip


def draw_things_png(content: dict[str, Any] = DRAW_THINGS) -> bytes:
    text = json.dumps(content).replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/"><exif:UserComment>\n <rdf:Alt>\n  <rdf:li xml:lang="x-default">'
        f"{text}</rdf:li>\n </rdf:Alt>\n</exif:UserComment></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return png(**{"XML:com.adobe.xmp": xmp})
