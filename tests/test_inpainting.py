"""New surroundings: the product's own pixels stay, to the last bit; the rest is diffusers' inpainting."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionInpaintPipeline, UNet2DConditionModel
from PIL import Image

from tp2lib.engine import sampling
from tp2lib.engine.control import TOUCHES
from tp2lib.engine.generate import generate
from tp2lib.engine.inpainting import Region, cut_out, differing, hold, painting_size, put_back
from tp2lib.engine.plan import make_plan, resolve
from tp2lib.engine.preview import colour_map, predicted_x0, rough_colours
from tp2lib.engine.replay import replay
from tp2lib.engine.runs import Run
from tp2lib.engine.schedulers import SD15_BASE, make_scheduler, noise_levels
from tp2lib.engine.sweep import sweep
from tp2lib.errors import RecipeError, SourceError
from tp2lib.metadata.infotext import from_infotext
from tp2lib.metadata.mask import Mask
from tp2lib.metadata.record import COMPOSITE, digital_source_type
from tp2lib.metadata.source import prepare_source
from tp2lib.models.loading import load
from tp2lib.paths import INPUTS
from tp2lib.recipe import SCHEDULER_NAMES, Recipe
from tp2lib.storage.ledger import Ledger
from tp2lib.storage.pictures import export_picture, read_recipe

APPLE = Recipe(prompt="a red apple on a white table", negative_prompt="blurry", steps=4, source="photo.png", mask="mask.png")
PHOTOS = sorted(INPUTS.glob("*.jpg"))


def noise(width, height, mode="RGB", seed=0):
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(), mode)


def disc(width, height, radius=0.3):
    """A disc in the middle: what is kept."""
    y, x = np.mgrid[:height, :width]
    return np.hypot(x - width / 2, y - height / 2) < radius * min(width, height)


def differ(run, source):
    """Kept pixels of the picture that are not those of the photo, counted here, over the mask that was asked for."""
    kept = source.mask.grown(run.recipe.grow).kept
    return int((np.asarray(run.image)[kept] != np.asarray(source.image)[kept]).sum())


def test_a_mask_with_damaged_exif_is_refused(tmp_path):
    Image.new("L", (64, 64)).save(tmp_path / "mask.png", exif=b"Exif\0\0nothing that is TIFF")
    with pytest.raises(SourceError, match="the mask cannot be converted to grey .*Save it again as PNG"):
        cut_out(noise(64, 64), tmp_path / "mask.png")


@pytest.fixture
def cut():
    return cut_out(noise(64, 64), disc(64, 64))


SMALL = APPLE.vary(width=64, height=64)


# -- the zero ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_no_kept_pixel_of_the_six_photos_differs_also_after_the_file_is_read_back(model, tmp_path, path):
    source = cut_out(path, disc(512, 512))
    run = generate(SMALL, model, source=source, ledger=Ledger(tmp_path))
    again = Run.from_picture(run.path)
    assert run.image.size == again.image.size == (512, 512)
    assert differ(run, source) == differ(again, source) == again.effective["kept_pixels_differing"] == 0
    assert again.effective["mode"] == "inpaint" and again.effective["kept_share"] == pytest.approx(source.mask.share, abs=1e-6)
    outside = np.asarray(run.image)[~source.mask.kept] != np.asarray(source.image)[~source.mask.kept]
    assert outside.any(axis=1).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("size", [(97, 61), (61, 97), (333, 257), (130, 128), (65, 64)])
@pytest.mark.parametrize("change", [{}, {"grow": 3}, {"grow": -3}, {"feather": 0}, {"feather": 9}, {"strength": 0.5}])
def test_no_kept_pixel_differs_at_any_size(model, size, change):
    source = cut_out(noise(*size), disc(*size))
    recipe = APPLE.vary(width=64 if size[0] <= size[1] else None, height=None if size[0] <= size[1] else 64, steps=2, **change)
    run = generate(recipe, model, source=source)
    assert run.image.size == size and differ(run, source) == 0 == run.effective["kept_pixels_differing"]


def test_a_mask_that_touches_the_border_is_kept_up_to_it(model):
    kept = np.zeros((70, 90), bool)
    kept[30:, :40] = True
    source = cut_out(noise(90, 70), kept)
    assert differ(generate(APPLE.vary(height=64), model, source=source), source) == 0


def test_a_photo_is_turned_upright_and_the_mask_is_for_the_upright_photo(model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = noise(96, 64)
    photo.save(tmp_path / "photo.png", exif=exif)
    source = cut_out(tmp_path / "photo.png", disc(64, 96))
    assert source.image.size == (64, 96) and "turned upright (EXIF orientation 6)" in source.chain
    assert np.array_equal(np.asarray(source.image), np.asarray(photo.transpose(Image.Transpose.ROTATE_270)))
    assert differ(generate(APPLE.vary(width=64), model, source=source), source) == 0
    with pytest.raises(SourceError, match="mask has 96x64 pixels and the photo 64x96, once it is upright"):
        cut_out(tmp_path / "photo.png", disc(96, 64))


def test_what_is_opaque_is_kept_in_its_own_colour(model):
    pixels = np.dstack([np.asarray(noise(72, 64)), np.where(disc(72, 64), 255, 0)]).astype(np.uint8)
    pixels[32, 36, 3] = 200  # half transparent, and still the product's
    source = cut_out(Image.fromarray(pixels), "alpha")
    assert (source.mask.origin, source.mask.confidence) == ("the alpha channel", None)
    run = generate(APPLE.vary(height=64), model, source=source)
    kept = disc(72, 64)
    assert np.array_equal(np.asarray(run.image)[kept], pixels[..., :3][kept])
    assert (np.asarray(source.image)[~kept] == 255).all()  # flattened on white
    assert cut_out(Image.fromarray(pixels)).mask.origin == "the alpha channel"  # and "auto" finds it


# -- masks that cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((64, 64), bool), "keeps nothing of the photo.*White or opaque pixels are kept"),
        (np.ones((64, 64), bool), "keeps the whole photo, so there is nothing left to paint"),
        (np.zeros((64, 80), bool), "mask has 80x64 pixels and the photo 64x64"),
        (np.zeros((64, 64, 3), bool), "two dimensions"),
        ("alpha", "the photo has no transparency"),
        ("no such mask.png", "there is no file"),
        *((np.full((64, 64), odd), "not of finite real numbers. Give bool") for odd in (np.nan, 1j, "white", None)),
    ],
)
def test_what_is_no_mask_is_refused_with_what_to_do(mask, words):
    with pytest.raises(SourceError, match=words):
        cut_out(noise(64, 64), mask)


def test_a_mask_that_shrinks_to_nothing_or_grows_over_all_is_refused(model, cut):
    with pytest.raises(SourceError, match="keeps nothing"):
        resolve(SMALL.vary(grow=-30), model, cut)
    with pytest.raises(SourceError, match="keeps the whole photo"):
        resolve(SMALL.vary(grow=64), model, cut)
    nearly = np.ones((64, 64), bool)
    nearly[5, 5] = False
    with pytest.raises(SourceError, match="no square of 8x8 pixels is left to paint"):
        resolve(SMALL, model, cut_out(noise(64, 64), nearly))


def test_a_sweep_makes_no_picture_where_one_of_its_masks_leaves_nothing_to_paint(model, cut):
    with pytest.raises(RecipeError, match="1 of 2 cells cannot be run(.|\n)*grow 20, seed 42: the mask keeps so much"):
        sweep(SMALL, model, source=cut, grow=[0, 20], say=lambda line: None, on_run=pytest.fail)


def test_a_mask_of_the_same_shape_is_scaled_and_an_inverted_one_is_said(tmp_path):
    Image.fromarray(~disc(32, 32)).save(tmp_path / "mask.png")
    source = cut_out(noise(64, 64), tmp_path / "mask.png")
    assert source.mask.size == (64, 64) and "mask scaled to the photo's 64x64" in source.chain
    assert any("invert a mask that was made for A1111" in act for act in source.chain)


KEPT = disc(64, 64)
WRITTEN = {
    "shares": KEPT * 0.9, "half a share": KEPT * 0.5, "shares in whole numbers": KEPT.astype(np.uint8), "levels": KEPT * np.uint8(229),
    **{f"an opaque {mode} picture": Image.fromarray(KEPT * np.uint8(255)).convert(mode) for mode in ("L", "LA", "RGB", "RGBA")},
    "16 bits": Image.fromarray(np.where(KEPT, 65535, 20000).astype(np.uint16)),
}  # fmt: skip


@pytest.mark.parametrize("mask", WRITTEN.values(), ids=WRITTEN)
def test_a_mask_is_read_however_it_is_written(mask):
    assert np.array_equal(cut_out(noise(64, 64), mask).mask.kept, KEPT)


def test_grow_moves_the_edge_by_so_many_pixels():
    kept = np.zeros((40, 40), bool)
    kept[15:25, 15:25] = True
    mask = Mask(kept=kept, origin="a test")
    assert mask.grown(3).kept[20, 12:28].all() and mask.grown(3).kept[20].sum() == 16
    assert mask.grown(-3).kept.sum() == 16 and mask.grown(0) is mask


def test_recipe_and_source_have_to_agree(model, cut):
    with pytest.raises(SourceError, match="the source has a mask and the recipe has none"):
        resolve(SMALL.vary(mask=None, strength=0.5), model, cut)
    with pytest.raises(SourceError, match="the recipe has a mask and the source has none"):
        resolve(SMALL, model, prepare_source(noise(64, 64), 64, 64))


def test_the_recipe_knows_what_belongs_to_a_mask():
    assert APPLE.strength == 1 and APPLE.effective_steps == 4
    with pytest.raises(RecipeError, match="no source to keep something of"):
        Recipe(prompt="x", mask="auto")
    with pytest.raises(RecipeError, match="feather is 9 but there is no mask"):
        Recipe(prompt="x", feather=9)


def test_the_size_of_the_painting_has_the_shape_of_the_photo():
    assert painting_size((512, 512), 256) == (256, 256)
    assert painting_size((3000, 2000), 256) == (312, 208)
    assert painting_size((3000, 2000), 256, width=96) == (96, 64)
    assert painting_size((3000, 500), 512) == (1024, 168) and painting_size((500, 4000), 512) == (128, 1024)
    with pytest.raises(SourceError, match="would distort it.*Leave out width and height"):
        painting_size((300, 200), 256, 64, 64)
    with pytest.raises(SourceError, match="Leave out width and height") as error:
        painting_size((600, 1200), 256, width=1024)  # 2,048 pixels high, which is too many
    assert "Crop" not in str(error.value)
    with pytest.raises(SourceError, match="Crop the photo"):
        painting_size((4000, 100), 256)


# -- the pixels are diffusers' own -------------------------------------------------------------------


def plain(model, source, recipe, *, exact=False):
    """diffusers' inpainting; for a UNet of four channels, with what is kept put in anew after each step by a callback."""
    pipe = StableDiffusionInpaintPipeline(**{**model.pipe.components, "scheduler": make_scheduler(recipe.scheduler)}, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    region, step, last = Region(source.image, source.mask, 64, 64), pipe.scheduler.step, {}

    @functools.wraps(step)  # the pipeline looks in the signature for a generator
    def remembered(output, timestep, sample, **options):
        last["call"] = output, float(timestep), sample
        return step(output, timestep, sample, **options)

    pipe.scheduler.step = remembered
    x0 = lambda: predicted_x0(pipe.scheduler, *last["call"])
    draws, scale = make_plan(recipe, model, source).draws, pipe.vae.config.scaling_factor
    state = {"anchor": None}

    def put_in(_, index, timestep, values):
        latents, state["anchor"] = hold(
            region, index, values["latents"], anchor=state["anchor"], noise=draws.noise, scheduler=pipe.scheduler, timesteps=watched(),
            expected=lambda rough: roughly(x0()) if rough else pipe.vae.decode(x0() / scale).sample, encode=lambda pixels: pipe.vae.encode(pixels).latent_dist.mean * scale,
        )  # fmt: skip
        return {"latents": latents}

    def roughly(latents):
        return torch.nn.functional.interpolate(rough_colours(latents, colour_map(pipe.vae)), scale_factor=8, mode="bilinear")

    def watched():
        skipped = (recipe.nominal_steps - recipe.effective_steps) * pipe.scheduler.order
        return pipe.scheduler.timesteps[skipped:]

    kept = region.share >= 0.5 if exact else np.kron(region.cells, np.ones((8, 8))) > 0
    with torch.no_grad():
        picture = pipe(
            recipe.prompt, image=region.photo, mask_image=Image.fromarray(~kept), height=64, width=64, strength=recipe.strength,
            negative_prompt=recipe.negative_prompt, num_inference_steps=recipe.nominal_steps, guidance_scale=recipe.guidance,
            generator=torch.Generator().manual_seed(recipe.seed), **({} if exact else {"callback_on_step_end": put_in}),
        ).images[0]  # fmt: skip
    return put_back(picture, source.image, source.mask, recipe.feather)


QUICK = ("EulerA", "DDIM", "Heun", "DPM++ 2M SDE")


@pytest.mark.parametrize("scheduler", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SCHEDULER_NAMES if name not in QUICK)])
@pytest.mark.parametrize("strength", [1, 0.6])
def test_the_picture_is_that_of_diffusers_inpainting_pipeline(model, cut, scheduler, strength):
    recipe = SMALL.vary(scheduler=scheduler, strength=strength)
    ours, theirs = (np.asarray(picture, int) for picture in (generate(recipe, model, source=cut).image, plain(model, cut, recipe)))
    assert abs(ours - theirs).max() == 0


@pytest.mark.parametrize("name", SCHEDULER_NAMES)
def test_what_is_put_in_has_the_noise_that_the_next_model_call_is_told(cut, name):
    region, scheduler = Region(cut.image, cut.mask, 64, 64), make_scheduler(name)
    scheduler.set_timesteps(6)
    noise, nothing, shares = torch.ones(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), []
    latents = noise * scheduler.init_noise_sigma
    for index, timestep in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(latents, timestep)  # or its step warns
        latents = scheduler.step(noise, timestep, latents, return_dict=False)[0]
        latents, _ = hold(
            region, index, latents, anchor=nothing, noise=noise, scheduler=scheduler, timesteps=scheduler.timesteps,
            expected=lambda rough: torch.zeros(1, 3, 64, 64), encode=lambda pixels: nothing,
        )  # fmt: skip
        shares += [scheduler.scale_model_input(latents, following)[0, 0, 4, 4] for following in scheduler.timesteps[index + 1 : index + 2]]
    levels = noise_levels([float(timestep) for timestep in scheduler.timesteps[1:]], SD15_BASE)
    assert [float(share) for share in shares] == pytest.approx([level / (1 + level**2) ** 0.5 for level in levels], rel=1e-3)


@pytest.fixture
def inpainting_model(tiny_folder: Path, tmp_path: Path, monkeypatch):
    """The tiny model with a UNet that reads nine channels."""
    shutil.copytree(tiny_folder, tmp_path / "nine")
    unet = UNet2DConditionModel.from_pretrained(tiny_folder / "unet")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        UNet2DConditionModel.from_config({**unet.config, "in_channels": 9}).save_pretrained(tmp_path / "nine" / "unet")
    index = tmp_path / "nine" / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "StableDiffusionInpaintPipeline"))
    return load(tmp_path / "nine", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("strength", [1, 0.6])
def test_a_model_that_reads_masks_is_given_one(inpainting_model, cut, strength):
    recipe = SMALL.vary(strength=strength)
    run = generate(recipe, inpainting_model, source=cut)
    assert np.array_equal(np.asarray(run.image), np.asarray(plain(inpainting_model, cut, recipe, exact=True)))
    assert differ(run, cut) == 0


@pytest.mark.slow
def test_a_model_that_reads_masks_needs_one(inpainting_model):
    with pytest.raises(RecipeError, match="is for inpainting, and the recipe has no mask.*'sd15'"):
        generate(Recipe(prompt="x"), inpainting_model)


def test_the_edge_is_the_product_s_and_fades_outside_it(cut):
    black = Image.new("RGB", (64, 64))
    white = Image.new("RGB", (64, 64), "white")
    hard, soft = (np.asarray(put_back(black, white, cut.mask, feather)) for feather in (0, 4))
    assert set(np.unique(hard)) == {0, 255} and np.array_equal(hard[..., 0] == 255, cut.mask.kept)
    assert (soft[cut.mask.kept] == 255).all() and (soft[~cut.mask.grown(5).kept] == 0).all()
    assert 255 > soft[32, 52, 0] > soft[32, 54, 0] > 0


def test_kept_pixels_that_differ_are_counted(cut):
    pixels = np.asarray(cut.image).copy()
    pixels[32, 32, 0] ^= 1
    pixels[0, 0] ^= 1  # not kept
    assert differing(Image.fromarray(pixels), cut.image, cut.mask) == 1


# -- the record --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_replay_is_identical_and_the_ledger_finds_the_run(model, cut, tmp_path, in_this_process):
    ledger = Ledger(tmp_path)
    run = generate(SMALL.vary(grow=2, feather=5), model, source=cut, ledger=ledger)
    assert generate(SMALL.vary(grow=2, feather=5), model, source=cut, ledger=ledger).reused
    assert str(replay(run.path)) == "identical"
    kept = read_recipe(run.path).recipe
    assert kept.mask == "auto" and kept.source == f"sha256:{cut.pixels_sha256}"  # a stranger's file names no file
    again = generate(kept, model, ledger=ledger)
    assert again.reused and again.key == run.key


def test_the_key_knows_photo_mask_and_edge(model, cut):
    other = cut_out(cut.image, disc(64, 64, 0.4))
    keys = [make_plan(recipe, model, source).key for recipe, source in [
        (SMALL, cut), (SMALL, other), (SMALL.vary(feather=3), cut), (SMALL.vary(grow=1), cut), (SMALL.vary(strength=0.5), cut),
    ]]  # fmt: skip
    assert len(set(keys)) == 5
    assert make_plan(SMALL.vary(mask="another name.png"), model, cut).key == keys[0]


def test_the_file_says_what_it_is_to_people_and_to_other_tools(model, cut, tmp_path):
    run = generate(SMALL.vary(feather=5), model, source=cut)
    assert run.source["mask"] == "an array" and run.source["mask_confidence"] is None
    run.save(tmp_path / "new.png")
    for path in (tmp_path / "new.png", export_picture(tmp_path / "new.png", tmp_path / "new.jpg")):
        with Image.open(path) as image:
            assert digital_source_type(image) == COMPOSITE
    with Image.open(tmp_path / "new.png") as image:
        text = image.info["parameters"]
    assert "Denoising strength: 1, " in text and "Mask mode: Inpaint not masked, Mask blur: 5, Masked content: latent noise" in text
    reading = from_infotext(text)
    assert reading.recipe == Recipe(prompt=SMALL.prompt, negative_prompt="blurry", steps=4, width=64, height=64, model="vitrine")
    assert any("mask=" in note for note in reading.notes) and reading.ignored["Mask blur"] == "5"


def test_a_sweep_goes_over_sets_in_batches(model, cut):
    prompts = ["a red apple on a white table", "a red apple on a wooden table"]
    result = sweep(SMALL, model, source=cut, prompt=prompts, batch_width=2, say=lambda line: None)
    assert [differ(run, cut) for run in result.runs] == [0, 0]
    grown = sweep(SMALL, model, source=cut, grow=[0, 2], feather=[0, 3], say=lambda line: None)
    assert set(grown.control["grow"]) == TOUCHES["grow"] and len(grown.runs) == 4


def test_putting_the_product_back_is_a_stage_timed_and_tried_again_when_memory_ends(model, cut, monkeypatch):
    errors = [MemoryError("Unable to allocate 91.6 MiB")]
    monkeypatch.setattr(sampling, "put_back", lambda *known: put_back(*known) if not errors else (_ for _ in ()).throw(errors.pop()))
    run = generate(SMALL, model, source=cut)
    assert run.effective["rungs"] == ["free caches"] and differ(run, cut) == 0
    assert run.timings["put back"] > 0 and run.timings["total"] == pytest.approx(sum(run.timings[name] for name in run.timings if name != "total"))


@pytest.mark.slow
def test_the_surroundings_are_tiled_where_memory_ends_while_they_are_looked_at(model, cut, monkeypatch):
    """The decoder is asked on the way, within the denoising: its own fallbacks are tried then."""
    decode, calls = AutoencoderKL.decode, []

    def scarce(self, *args, **more):
        calls.append(self.use_tiling)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("out of memory")
        return decode(self, *args, **more)

    monkeypatch.setattr(AutoencoderKL, "decode", functools.wraps(decode)(scarce))
    run = generate(SMALL, model, source=cut)
    assert run.effective["rungs"] == ["free caches"] and differ(run, cut) == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_the_product_is_found_where_no_mask_is_given_and_how_sure_that_is_is_recorded(model, path):
    run = generate(Recipe(prompt="x", steps=1, width=64, source=str(path), mask="auto"), model)
    assert run.source["mask"] == "found by the cut-out network" and 0.5 < run.source["mask_confidence"] <= 1
    assert 0.02 < run.effective["kept_share"] < 0.7 and run.effective["kept_pixels_differing"] == 0


def test_a_photo_without_a_product_is_refused_and_the_way_out_is_said():
    with pytest.raises(SourceError, match="No product was found. Draw the mask by hand"):
        cut_out(Image.new("RGB", (64, 64), "white"))


def test_a_picture_without_a_mask_says_nothing_of_its_edge(model, tmp_path):
    run = generate(Recipe(prompt="x", steps=1, width=64, height=64), model, ledger=Ledger(tmp_path))
    assert not {"mask", "grow", "feather"} & read_recipe(run.path).found.keys()
