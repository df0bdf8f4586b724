"""The mask that the pack finds: on any photo, near the true one, with a doubt where it should have one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage import data

from tp2lib import INPUTS
from tp2lib.errors import ModelError, ModelNotFound, SourceError
from tp2lib.models.cutout import SURE, WEIGHTS, CutoutNet, find_mask, load_cutout

PHOTOS = sorted(path.stem for path in (INPUTS / "masks").glob("*.png"))


def photo(name: str) -> Image.Image:
    return Image.open(INPUTS / f"{name}.jpg").convert("RGB")


def truth(name: str) -> np.ndarray:
    return np.asarray(Image.open(INPUTS / "masks" / f"{name}.png"))


def overlap(mask: np.ndarray, true: np.ndarray) -> float:
    mask = mask > 0.5
    return float((mask & true).sum() / (mask | true).sum())


def put_on(name: str, behind: np.ndarray, opacity: float = 1.0) -> Image.Image:
    alpha = truth(name)[..., None] * opacity
    return Image.fromarray((np.asarray(photo(name)) * alpha + behind * (1 - alpha)).round().astype(np.uint8))


def test_every_photo_has_its_mask():
    assert PHOTOS == sorted(path.stem for path in INPUTS.glob("*.jpg"))
    for name in PHOTOS:
        assert truth(name).dtype == bool and truth(name).shape == photo(name).size[::-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOS)
def test_the_photos_of_inputs_are_cut_out(name):
    found = find_mask(photo(name))
    assert overlap(found.mask, truth(name)) >= 0.95
    assert found.confidence >= SURE and found.doubt == ""


@pytest.mark.slow
@pytest.mark.parametrize("size", [(16, 16), (64, 48), (333, 517), (900, 120), (41, 700), (256, 256)])
def test_any_size_and_shape_will_do(size):
    found = find_mask(photo("mug").resize(size))
    assert found.mask.shape == size[::-1] and found.mask.dtype == np.float32
    assert 0 <= found.mask.min() and found.mask.max() <= 1
    assert 0 <= found.confidence <= 1 and (found.doubt == "") == (found.confidence >= SURE)


@pytest.mark.parametrize("size", [(512, 300), (300, 512), (200, 200), (1024, 1024)])
def test_the_mask_is_laid_over_the_photo_at_its_own_size(size):
    """The photo squeezed and enlarged: the mask is that of the photo squeezed and enlarged."""
    there = np.asarray(Image.fromarray(truth("perfume")).resize(size))
    assert overlap(find_mask(photo("perfume").resize(size)).mask, there) >= 0.93


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_any_kind_of_picture_will_do(mode):
    assert find_mask(photo("product").convert(mode)).mask.shape == (512, 512)


def test_a_palette_with_transparency_is_read_without_a_warning():
    image = photo("product").quantize(64)
    image.info["transparency"] = bytes(range(64))
    assert find_mask(image).mask.shape == (512, 512)


def test_the_same_photo_has_the_same_mask():
    first, second = find_mask(photo("wallet")), find_mask(photo("wallet"))
    assert np.array_equal(first.mask, second.mask) and first.confidence == second.confidence


def test_a_mirrored_photo_has_the_mirrored_mask():
    there, mirrored = find_mask(photo("mug")).mask, find_mask(photo("mug").transpose(Image.Transpose.FLIP_LEFT_RIGHT)).mask
    assert overlap(mirrored[:, ::-1], there > 0.5) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOS)
def test_it_is_found_on_a_background_that_no_render_has(name):
    brick = np.repeat(data.brick()[..., None], 3, 2)
    assert overlap(find_mask(put_on(name, brick)).mask, truth(name)) >= 0.9


@pytest.mark.parametrize("colour", ["white", "black", "#7f7f7f", "red"])
def test_where_there_is_no_product_it_says_so(colour):
    found = find_mask(Image.new("RGB", (300, 200), colour))
    assert found.confidence < SURE and found.doubt


def test_white_on_white_is_doubted():
    faint = np.where(truth("mug")[..., None], 253, 255).astype(np.uint8).repeat(3, 2)
    assert find_mask(Image.fromarray(faint)).doubt


def test_glass_that_lets_nearly_everything_through_is_doubted():
    grass = np.repeat(data.gravel()[..., None], 3, 2)
    assert find_mask(put_on("perfume", grass, 0.08)).doubt


def test_a_cup_that_no_render_looks_like_is_found_whole():
    """scikit-image's `coffee`: a photo of the real world, with a saucer and a spoon. The hole of the cup's handle is not seen from there."""
    mask = find_mask(Image.fromarray(data.coffee())).mask > 0.5
    assert mask[60:340, 180:400].mean() > 0.97  # cup, handle, most of the spoon
    assert mask[200, 90:470].mean() > 0.97  # the saucer, from side to side
    assert mask[:, :60].mean() < 0.03 and mask[:, 500:].mean() < 0.03 and mask[:100, :100].mean() < 0.03  # the table


def test_what_is_found_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        find_mask(photo("mug")).confidence = 1.0


@pytest.mark.parametrize("wrong", [None, "product.jpg", np.zeros((64, 64, 3), np.uint8), Image.new("RGB", (15, 400))])
def test_what_is_no_photo_is_refused(wrong):
    with pytest.raises(SourceError, match="PIL image|16×16"):
        find_mask(wrong)


def test_weights_that_are_missing_damaged_or_others_are_told(tmp_path):
    with pytest.raises(ModelNotFound, match="Install tp2lib again"):
        find_mask(photo("mug"), tmp_path / "cutout.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(WEIGHTS.read_bytes()[:50_000])
    with pytest.raises(ModelError, match="cannot be used"):
        load_cutout(cut)
    other = tmp_path / "other.safetensors"
    save_file({name: value for name, value in load_file(WEIGHTS).items() if name != "head.bias"}, other)
    with pytest.raises(ModelError, match="cannot be used"):
        load_cutout(other)


def test_the_network_takes_any_multiple_of_32():
    torch.manual_seed(0)
    net = CutoutNet().eval()
    for height, width in ((32, 32), (64, 224), (256, 256)):
        assert net(torch.rand(1, 3, height, width)).shape == (1, 1, height, width)
    assert sum(p.numel() for p in net.parameters()) < 1e6
