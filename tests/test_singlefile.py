"""tp2lib.models.weights: a model in one file gives the pixels of its folder; files of other kinds are refused by name, unopened."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tp2lib.engine.generate import generate
from tp2lib.errors import ModelError, ModelNotFound
from tp2lib.models import hub, loading
from tp2lib.models.loading import load
from tp2lib.models.weights import check_file, hash_files, kind_of
from tp2lib.recipe import Recipe

APPLE = Recipe(prompt="a red apple", steps=2, width=64, height=64)
PARTS = ("unet", "vae", "text_encoder")


def as_single_file(folder: Path) -> dict[str, torch.Tensor]:
    """Rename a diffusers model's tensors as the WebUI's files call them: the inverse of what from_single_file does."""
    unet, vae, text = (load_file(next((folder / part).glob("*.safetensors"))) for part in PARTS)
    config = json.loads((folder / "unet" / "config.json").read_text())
    depth = config["layers_per_block"] + 1
    inside = {
        "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
        "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
    }  # fmt: skip
    heads = {
        "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    }  # fmt: skip

    def renamed(name: str, table: dict[str, str]) -> str:
        return next((theirs + name[len(ours) :] for ours, theirs in table.items() if name.startswith(ours + ".")), name)

    found = {}
    for key, tensor in unet.items():
        name = renamed(key, heads)
        if place := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", key):
            way, block, what, number, rest = place[1], int(place[2]), place[3], int(place[4]), place[5]
            if what in ("downsamplers", "upsamplers"):
                after = any(other.startswith(f"up_blocks.{block}.attentions") for other in unet)
                name = (
                    f"input_blocks.{depth * (block + 1)}.0.op.{rest[5:]}"
                    if way == "down"
                    else f"output_blocks.{(depth) * block + depth - 1}.{2 if after else 1}.{rest}"
                )
            else:
                rest = renamed(rest, inside) if what == "resnets" else rest
                at = depth * block + number + 1 if way == "down" else depth * block + number
                name = f"{'input' if way == 'down' else 'output'}_blocks.{at}.{int(what == 'attentions')}.{rest}"
        elif place := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", key):
            rest = renamed(place[3], inside) if place[1] == "resnets" else place[3]
            name = f"middle_block.{1 if place[1] == 'attentions' else 2 * int(place[2])}.{rest}"
        found[f"model.diffusion_model.{name}"] = tensor
    found |= {f"first_stage_model.{name}": tensor for name, tensor in as_single_vae(vae).items()}
    return found | {f"cond_stage_model.transformer.{key if key.startswith('text_model.') else 'text_model.' + key}": tensor for key, tensor in text.items()}


def as_single_vae(vae: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {}
    last = max(int(re.search(r"up_blocks\.(\d+)", key)[1]) for key in vae if "up_blocks" in key)
    for key, tensor in vae.items():
        name = key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        name = re.sub(r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2", name)
        name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d+)\.resnets\.(\d+)", lambda m: f"up.{last - int(m[1])}.block.{m[2]}", name)
        name = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", name)
        name = re.sub(r"mid_block\.resnets\.(\d+)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
        if "mid_block.attentions.0" in name:
            name = name.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm").replace("to_out.0", "proj_out")
            name = re.sub(r"to_([qkv])", r"\1", name)
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        found[name] = tensor
    return found


@pytest.fixture
def beside(tiny_folder: Path, tmp_path: Path) -> Path:
    """A folder with the tiny model's configurations and tokenizer, without its weights."""
    shutil.copytree(tiny_folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    return tmp_path / "model"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fp32", "full", "fp16"])
def test_a_single_file_gives_the_very_pixels_of_its_folder(model, tiny_folder: Path, beside: Path, way: str, capfd) -> None:
    tensors = as_single_file(tiny_folder)
    if way == "full":  # with EMA weights and the sampler's tables, as training leaves them
        tensors |= {
            f"model_ema.{key.removeprefix('model.').replace('.', '')}": torch.zeros_like(tensor) for key, tensor in tensors.items() if key.startswith("model.")
        }
        tensors |= {"betas": torch.zeros(1000), "model_ema.decay": torch.zeros(1)}
    if way == "fp16":
        tensors = {key: tensor.half() for key, tensor in tensors.items()}
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, beside / "apple.safetensors")
    single = load(beside / "apple.safetensors", device="cpu")
    run, known = generate(APPLE, single), generate(APPLE, model)
    apart = np.abs(np.asarray(run.image, int) - np.asarray(known.image, int)).max()
    assert apart <= (2 if way == "fp16" else 0)  # half the digits are gone
    assert single.name == str(beside / "apple.safetensors") and single.native_size == model.native_size
    assert single.weights_sha256 != model.weights_sha256 and run.effective["weights_sha256"] == single.weights_sha256
    assert capfd.readouterr() == ("", "")  # no chatter


@pytest.mark.slow
def test_another_vae_is_in_the_record_and_the_hash(vitrine: Path, tiny_folder: Path, beside: Path) -> None:
    plain = load("vitrine", device="cpu")
    known = generate(APPLE, plain)
    vae = {key: tensor * 0.9 for key, tensor in as_single_vae(load_file(next((tiny_folder / "vae").glob("*.safetensors")))).items()}
    save_file({key: tensor.contiguous() for key, tensor in vae.items()}, beside / "other.safetensors")
    hashes = {plain.weights_sha256}
    for given in (beside / "other.safetensors", tiny_folder / "vae"):
        model = load("vitrine", vae=given, device="cpu")
        run = generate(APPLE, model)
        assert run.effective["vae"] == given.name == model.vae and "VAE" in model.notes[-1]
        assert (run.image.tobytes() == known.image.tobytes()) == (given.name == "vae")
        hashes.add(model.weights_sha256)
    assert len(hashes) == 3 and "vae" not in known.effective


UNET, CLIP, VAE = "model.diffusion_model.", "cond_stage_model.transformer.text_model.x", "first_stage_model.decoder.x"
FIRST, WORDS = UNET + "input_blocks.0.0.weight", UNET + "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"
KINDS = {
    "Stable Diffusion 1": {FIRST: (320, 4, 3, 3), WORDS: (320, 768), CLIP: (1,), VAE: (1,)},
    "Stable Diffusion XL": {FIRST: (320, 4, 3, 3), "conditioner.embedders.0.transformer.text_model.x": (1,), VAE: (1,)},
    "Stable Diffusion 3": {UNET + "joint_blocks.0.context_block.adaLN_modulation.1.bias": (9216,)},
    "Stable Diffusion 2": {FIRST: (320, 4, 3, 3), WORDS: (320, 1024), "cond_stage_model.model.x": (1,), VAE: (1,)},
    "Flux": {"double_blocks.0.img_attn.norm.key_norm.scale": (128,)},
    "LoRA": {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 320)},
    "VAE": {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (512, 4, 3, 3)},
    "ControlNet": {"control_model.time_embed.0.weight": (1,)},
    "textual inversion": {"emb_params": (4, 768)},
    "inpainting model, whose UNet reads 9 channels": {FIRST: (320, 9, 3, 3), CLIP: (1,), VAE: (1,)},
    "model whose UNet reads 8 channels": {FIRST: (320, 8, 3, 3), CLIP: (1,), VAE: (1,)},
    "Stable Diffusion without its text encoder": {FIRST: (320, 4, 3, 3), VAE: (1,)},
    "model of a kind that is not known here": {"a": (1,), FIRST: (320,), CLIP: ()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_told_apart_by_their_keys_before_anything_is_loaded(kind: str, tmp_path: Path, monkeypatch) -> None:
    assert kind_of(KINDS[kind]) == kind
    if kind == "Stable Diffusion 1":
        return
    save_file({key: torch.zeros(()).expand(shape).contiguous() for key, shape in KINDS[kind].items()}, tmp_path / "x.safetensors")
    monkeypatch.setattr(loading, "_open", None)  # nothing may come so far
    with pytest.raises(ModelError, match=f"x.safetensors is a {kind}"):
        load(tmp_path / "x.safetensors", device="cpu", download=False)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
def test_pickles_are_refused_with_how_to_convert_them(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"model{suffix}").write_bytes(b"anything")
    with pytest.raises(ModelError, match=r"is a pickle.*never done.*save_file\("):
        load(tmp_path / f"model{suffix}", device="cpu")


def test_a_file_that_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no file"):
        load(tmp_path / "nothing.safetensors", device="cpu")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0")
    with pytest.raises(ModelError, match="damaged or cut short"):
        check_file(tmp_path / "cut.safetensors")


def test_only_a_name_that_is_a_hash_promises_what_is_in_the_file(tmp_path: Path) -> None:
    name, digest = "a" * 52 + ".safetensors", hashlib.sha256(b"x").hexdigest()
    for path in (tmp_path / name, tmp_path / digest, tmp_path / ("a" * 64)):
        path.write_bytes(b"x")
    assert len(name) == 64 and hash_files(tmp_path / name) == hash_files(tmp_path / digest)
    with pytest.raises(ModelError, match="is damaged"):
        hash_files(tmp_path / ("a" * 64))


def test_what_is_missing_offline_is_said(tiny_folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(hub, "cached_configs", lambda *where: None)
    save_file({key: tensor.contiguous() for key, tensor in as_single_file(tiny_folder).items()}, tmp_path / "apple.safetensors")
    with pytest.raises(ModelNotFound, match="tokenizer and configurations.*Fetch them once"):
        load(tmp_path / "apple.safetensors", device="cpu", download=False)


@pytest.mark.slow
def test_no_librarys_remark_reaches_a_terminal(vitrine: Path, tmp_path: Path) -> None:
    code = (
        "from tp2lib import Recipe, generate, load\n"
        "from diffusers import StableDiffusionPipeline, StableDiffusionImg2ImgPipeline\n"
        "run = generate(Recipe(prompt='a red apple ' * 40, steps=1, width=64, height=64), load('vitrine', device='cpu'))\n"
        "assert run.effective['tokens_cut'] > 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "TP2_VITRINE": str(vitrine)}, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
