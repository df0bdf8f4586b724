"""Models: what "auto" means, folders checked before they are loaded, nothing run that came with them."""

from __future__ import annotations

import json
import logging
import pickle
import re
import shutil
import threading
import weakref

import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from tp2lib.engine.generate import generate
from tp2lib.errors import ModelError, ModelNotFound
from tp2lib.models import catalogue, hub, loading
from tp2lib.models.catalogue import CATALOGUE, choose_model, find_card
from tp2lib.models.devices import Placement
from tp2lib.models.judge import WEIGHTS, JudgeNet
from tp2lib.models.loading import load, unknown_words
from tp2lib.models.weights import check_folder, hash_folder
from tp2lib.recipe import Recipe

CPU = Placement(device="cpu", dtype=torch.float32, why="no CUDA GPU was found")


def gpu(free_gb):
    return Placement(device="cuda", dtype=torch.float16, why="Pretend GPU", free_gb=free_gb)


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of the tiny model, to damage."""
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_a_model_leaves_memory_before_the_next_one_is_loaded(vitrine, folder, monkeypatch):
    first = weakref.ref(load("vitrine", device="cpu").pipe.unet)
    assert first() is not None  # kept, for whoever asks again
    alive = []
    check = loading.check_folder
    monkeypatch.setattr(loading, "check_folder", lambda *where: alive.append(first() is not None) or check(*where))
    load(folder, device="cpu")
    assert alive == [False]


def test_vitrine_loads_without_network(model):
    assert model.card == CATALOGUE["vitrine"]
    assert model.native_size == 128
    assert model.placement.dtype is torch.float32 and model.pipe.unet.dtype is torch.float32
    assert len(model.weights_sha256) == 64
    assert any("device cpu" in note for note in model.notes)


def test_the_same_model_is_loaded_once(model):
    assert load("vitrine", device="cpu").pipe is model.pipe


def test_threads_that_load_at_once_get_whole_networks(vitrine, monkeypatch):
    monkeypatch.setattr(loading, "_loaded", {})
    found, together = [], threading.Barrier(3)

    def do(work):
        together.wait()
        found.append(work())

    works = [lambda: load("vitrine", device="cpu").pipe.unet, lambda: load("vitrine", device="cpu").pipe.unet, lambda: JudgeNet.load(WEIGHTS, "judge")]
    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and len({*map(id, found)}) == 2 and not any(one.is_meta for network in found for one in network.parameters())


def test_the_tokenizer_has_a_real_vocabulary(model):
    tokenizer = model.pipe.tokenizer
    assert len(tokenizer) > 100
    assert tokenizer("red").input_ids != tokenizer("green").input_ids


def test_the_base_scheduler_config_is_the_file_and_cannot_be_changed(model):
    assert "timestep_spacing" not in model.base_scheduler_config
    with pytest.raises(TypeError):
        model.base_scheduler_config["steps_offset"] = 0


def test_unknown_words_are_those_out_of_vocabulary(model):
    assert unknown_words(model, "a RED apple, and a red dragon") == ["and", "dragon"]


def test_words_of_other_models_are_not_judged(tiny_folder):
    assert unknown_words(load(tiny_folder, device="cpu"), "a dragon") == []


@pytest.mark.parametrize(
    ("placement", "cached", "consent", "name", "why"),
    [
        (CPU, True, True, "vitrine", "wants a CUDA GPU"),
        (gpu(2.0), True, True, "vitrine", "2.0 GB are free"),
        (gpu(8.0), False, False, "vitrine", r"load\('sd15'\) fetches it \(2743 MB\)"),
        (gpu(8.0), False, True, "sd15", "agreed to fetch 2743 MB"),
        (gpu(8.0), True, False, "sd15", "is on this machine"),
    ],
)
def test_auto_takes_sd15_only_where_it_fits_and_says_why(monkeypatch, placement, cached, consent, name, why):
    monkeypatch.delenv("TP2_MODEL", raising=False)
    monkeypatch.setattr(hub, "cached", lambda repo, revision=None: "somewhere" if cached else None)
    chosen, reason = choose_model(placement, consent)
    assert chosen == name
    assert re.search(why, reason)


def test_auto_is_what_the_environment_says(vitrine, monkeypatch):
    monkeypatch.setenv("TP2_MODEL", str(vitrine))
    model = load()
    assert model.name == str(vitrine) and "TP2_MODEL asks for it" in model.notes[0]


def test_an_empty_environment_variable_asks_for_nothing(vitrine, monkeypatch):
    monkeypatch.setenv("TP2_MODEL", "")
    assert load(device="cpu").name == "vitrine"


def test_the_report_s_model_id_is_accepted_with_one_line(monkeypatch, tiny_folder, caplog):
    monkeypatch.setattr(hub, "cached", lambda repo, revision=None: tiny_folder)
    with caplog.at_level(logging.WARNING, "tp2lib"):
        model = load("runwayml/stable-diffusion-v1-5", device="cpu")
    assert model.name == "sd15" and model.card.revision == "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
    assert [record.message for record in caplog.records] == [
        "runwayml/stable-diffusion-v1-5 is gone from the hub; its copy stable-diffusion-v1-5/stable-diffusion-v1-5 is used instead"
    ]


def test_sd15_is_pinned_by_any_of_its_names():
    assert find_card("stable-diffusion-v1-5/stable-diffusion-v1-5") is find_card("sd15") is CATALOGUE["sd15"]


def test_a_model_that_is_not_here_is_not_fetched_unless_that_is_allowed(monkeypatch):
    monkeypatch.setattr(hub, "cached", lambda repo, revision=None: None)
    with pytest.raises(ModelNotFound, match="fetching it was not allowed"):
        load("sd15", device="cpu", download=False)


@pytest.mark.parametrize("name", ["models/mine", "models/mine.safetensors", "../mine", "./mine"])
def test_a_relative_path_is_never_taken_for_a_hub_id(name, tmp_path, monkeypatch):
    (tmp_path / "here" / "models").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "here" / name
    path.touch() if name.endswith(".safetensors") else path.mkdir()
    monkeypatch.setattr(hub, "cached", lambda *where: pytest.fail("the hub was asked"))
    card = find_card(name)
    assert card.name == name and catalogue.HUB_ID.fullmatch(card.where) is None and path.samefile(card.where)
    with pytest.raises(ModelError, match="no model in|damaged"):
        load(name, device="cpu")


def test_unknown_names_get_a_suggestion():
    with pytest.raises(ModelNotFound, match="there is no model 'vitrin'.*Did you mean 'vitrine'"):
        load("vitrin", device="cpu")


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-this-name/x", "a/b/c", "..", "a/b\x00", "", "a/.."])
def test_no_name_breaks_the_search(name):
    with pytest.raises(ModelError):
        load(name, device="cpu", download=False)


def test_vitrine_without_its_weights_says_which_file_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("TP2_VITRINE", str(tmp_path))
    with pytest.raises(ModelNotFound, match="model_index.json is missing"):
        load("vitrine", device="cpu")


def test_a_truncated_weight_file_is_found_out(folder):
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="damaged or cut short"):
        load(folder, device="cpu")


def test_pickles_are_never_opened(folder):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="only pickled weights for unet"):
        load(folder, device="cpu")


def test_code_that_comes_with_a_model_is_never_run(folder):
    (folder / "unet" / "mine.py").write_text("raise SystemExit('the code was run')")
    edit(folder, unet=["mine", "MyUNet"])
    with pytest.raises(ModelError, match="wants to run code of its own for 'unet'"):
        load(folder, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["StableDiffusionXLPipeline", None, 3])
def test_other_kinds_of_models_are_refused(folder, kind):
    edit(folder, _class_name=kind)
    with pytest.raises(ModelError, match="only Stable Diffusion 1.x"):
        load(folder, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "[]", "{" * 100_000, '"' + "x" * 6_000_000])
def test_a_broken_index_is_an_error_in_words(folder, content):
    (folder / "model_index.json").write_text(content)
    with pytest.raises(ModelError, match="model_index.json of the model in .* cannot be read"):
        load(folder, device="cpu")


@pytest.mark.parametrize("entry", [{"a": 1}, 5, ["diffusers"]])
def test_an_index_with_an_odd_entry_is_an_error_in_words(folder, entry):
    edit(folder, unet=entry)
    with pytest.raises(ModelError, match="unet in model_index.json of the model in .* must be a library and a class"):
        load(folder, device="cpu")


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("scheduler/scheduler_config", {"prediction_type": "sample"}, "predicts 'sample'; it must be 'epsilon' or 'v_prediction'"),
        ("unet/config", {"sample_size": [32, 48]}, r"sample_size of the UNet in .* is \[32, 48\]; it must be a whole number"),
        ("unet/config", {"in_channels": 5}, "reads 5 channels and its VAE makes 4; .* 9, for inpainting"),
        ("unet/config", {"cross_attention_dim": 1024}, "is a Stable Diffusion 2"),
        ("unet/config", {"block_out_channels": [8, 16]}, "cannot be loaded"),  # does not fit the weights
    ],
)
def test_a_config_that_cannot_be_used_is_an_error_in_words(folder, part, change, said):
    edit(folder, part, **change)
    with pytest.raises(ModelError, match=said):
        load(folder, device="cpu")


def test_what_is_wrong_with_a_vae_is_not_laid_on_the_model(vitrine, folder):
    with pytest.raises(ModelNotFound, match="^there is no file"):
        load("vitrine", vae=folder / "nothing.safetensors", device="cpu")
    (folder / "vae" / "config.json").write_text('{"latent_channels": 16}')
    with pytest.raises(ModelError, match="^the VAE in"):
        load("vitrine", vae=folder / "vae", device="cpu")


def test_a_model_that_does_not_fit_on_its_device_is_an_error_in_words(folder, monkeypatch):
    errors = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: device-side assert triggered")]

    def full(*_):
        raise errors.pop(0)

    monkeypatch.setattr("diffusers.StableDiffusionPipeline.to", full)
    with pytest.raises(ModelError, match="does not fit in the free memory of cpu.*model='vitrine'"):
        load(folder, device="cpu")
    with pytest.raises(ModelError, match="cannot be loaded.*device-side assert"):
        load(folder, device="cpu")


@pytest.mark.slow
def test_half_weights_are_found_under_their_own_names(folder):
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    assert load(folder, device="cpu").pipe.unet.dtype is torch.float32


def test_a_gpu_takes_half_weights_whatever_else_is_fetched_later(folder):
    """Else another program's download of the plain ones would change every key."""
    for path in folder.glob("*/*.safetensors"):
        shutil.copy(path, path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    assert (check_folder(folder, half=True), check_folder(folder)) == ("fp16", None)


def test_the_hash_changes_with_any_byte_that_counts(folder):
    before = hash_folder(folder, None)
    assert hash_folder(shutil.copytree(folder, folder.with_name("copy")), None) == before
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert hash_folder(folder, None) != before


def test_the_safety_checker_that_comes_with_a_model_withholds_pictures(folder):
    sides = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    checker = StableDiffusionSafetyChecker(CLIPConfig(text_config=sides, vision_config={**sides, "image_size": 32, "patch_size": 16}, projection_dim=8))
    checker.concept_embeds_weights.data.fill_(-1)  # the least likeness that counts: every picture has it
    checker.save_pretrained(folder / "safety_checker")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder / "feature_extractor")
    parts = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "feature_extractor": ["transformers", "CLIPImageProcessor"]}
    edit(folder, **parts, requires_safety_checker=True)
    model = load(folder, device="cpu")
    assert type(model.pipe.safety_checker) is StableDiffusionSafetyChecker
    run = generate(Recipe(prompt="a red apple", steps=1, width=64, height=64), model)
    assert (run.outcome, run.image) == ("flagged", None)


@pytest.mark.slow
def test_xformers_is_tried_only_when_asked_for(vitrine, caplog):
    with caplog.at_level(logging.WARNING, "tp2lib"):
        load("vitrine", device="cpu")
        assert not caplog.records
        model = load("vitrine", device="cpu", xformers=True)
    assert len(caplog.records) == 1 and "xformers is not in use" in model.notes[-1]


def test_the_catalogue_says_what_each_model_costs():
    for name, card in catalogue.CATALOGUE.items():
        assert card.name == name and card.licence and card.note and card.memory_gb > 0
    assert CATALOGUE["sd15"].revision and CATALOGUE["sd15"].download_mb > 0


def edit(folder, part="model_index", /, **changes):
    path = folder / f"{part}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
