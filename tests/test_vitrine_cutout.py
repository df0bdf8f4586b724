"""What the cut-out network learns from, how it is measured, and its training's tiny step."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from tp2lib import INPUTS
from tp2lib.models.cutout import Cutout, find_mask
from vitrine.__main__ import main
from vitrine.composites import SEEN_PHOTOS, UNSEEN_PHOTOS, Composer, backgrounds, fill, procedural
from vitrine.cutout import halved, loss_of
from vitrine.cutout_bars import Score, boundary_error, calibration, inputs, on_new_backgrounds, overlap, score
from vitrine.scene import draw


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """The photos of inputs/ and their masks at 128², (6, 4, 128, 128) uint8."""
    layers = []
    for image, mask in inputs().values():
        small = [image.resize((128, 128)), Image.fromarray(mask).resize((128, 128))]
        layers.append(np.concatenate([np.asarray(small[0]), np.asarray(small[1])[..., None] * np.uint8(255)], -1))
    return torch.from_numpy(np.stack(layers)).permute(0, 3, 1, 2)


def disc(radius: float, centre: tuple[float, float] = (32, 32), side: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def test_the_boundary_error_is_the_distance_between_outlines():
    assert boundary_error(disc(20), disc(20)) == 0
    assert boundary_error(disc(20), disc(17)) == pytest.approx(3, abs=0.5)
    assert boundary_error(disc(20), np.zeros((64, 64), bool)) == 64
    assert boundary_error(np.zeros((64, 64), bool), np.zeros((64, 64), bool)) == 0


def test_the_overlap_is_intersection_over_union():
    assert overlap(disc(20), disc(20)) == 1 and overlap(disc(20), ~disc(20)) == 0
    left = np.zeros((10, 10), bool)
    left[:, :5] = True
    assert overlap(left, np.ones((10, 10), bool)) == 0.5
    assert overlap(~left & left, ~left & left) == 1


def test_an_error_is_told_in_pixels_of_256():
    large = score(Cutout(mask=disc(80, (128, 128), 512).astype(np.float32), confidence=1.0), disc(84, (128, 128), 512))
    assert large.error == pytest.approx(2, abs=0.3)


def test_calibration_is_zero_where_confidence_is_right():
    right = [Score(overlap=v, error=0, confidence=v) for v in np.linspace(0, 1, 50)]
    assert calibration(right) == pytest.approx(0)
    assert calibration([Score(overlap=one.overlap / 2, error=0, confidence=one.confidence) for one in right]) == pytest.approx(0.25, abs=0.01)


def test_no_photo_is_for_training_and_for_the_test():
    assert not {*SEEN_PHOTOS} & {*UNSEEN_PHOTOS} and "coffee" not in {*SEEN_PHOTOS, *UNSEEN_PHOTOS}


def test_a_filled_picture_shows_no_product():
    picture, mask = torch.full((1, 3, 64, 64), 0.25), torch.from_numpy(disc(15))[None, None].float()
    painted = torch.where(mask > 0, torch.tensor([1.0, 0.0, 0.0])[None, :, None, None], picture)
    assert (fill(painted, mask) - picture).abs().max() < 0.01


def test_backgrounds_are_pictures_and_differ(pictures):
    bank = backgrounds(pictures, UNSEEN_PHOTOS, 10, 1)
    assert bank.shape == (10, 3, 128, 128) and bank.dtype == torch.uint8
    assert len({one.numpy().tobytes() for one in bank}) == 10
    plain = procedural(5, 32, torch.Generator().manual_seed(0))
    assert plain.shape == (5, 3, 32, 32) and 0 <= plain.min() and plain.max() <= 1


def test_a_batch_is_drawn_from_its_seed_alone(pictures):
    composer = Composer(pictures, backgrounds(pictures, SEEN_PHOTOS, 12, 1))
    x, mask = composer.draw(12, torch.Generator().manual_seed(3))
    again, other = (composer.draw(12, torch.Generator().manual_seed(seed))[0] for seed in (3, 4))
    assert torch.equal(x, again) and not torch.equal(x, other)
    assert x.shape == (12, 3, 128, 128) and mask.shape == (12, 1, 128, 128)
    for values in (x, mask):
        assert torch.isfinite(values).all() and 0 <= values.min() and values.max() <= 1


def test_a_product_is_put_on_another_background_where_it_was(pictures):
    moved, mask = on_new_backgrounds(pictures).float(), pictures[:, 3:] > 0
    inside = -torch.nn.functional.max_pool2d(-mask.float(), 5, 1, 2) > 0
    outside = torch.nn.functional.max_pool2d(mask.float(), 5, 1, 2) == 0
    apart = (moved - pictures[:, :3].float()).abs().mean(1, keepdim=True)
    assert apart[inside].max() <= 12 and apart[outside].mean() > 30


def test_the_loss_is_least_for_the_true_mask():
    target = torch.from_numpy(disc(20))[None, None].float()
    shifted = torch.roll(target, 2, 3)
    losses = [loss_of((2 * mask - 1) * 8, target).item() for mask in (target, shifted, 1 - target)]
    assert losses == sorted(losses) and losses[0] < 0.01


def test_half_the_size_is_the_mean_of_four(pictures):
    small = halved(pictures)
    assert small.shape == (6, 4, 64, 64)
    assert abs(small[2, 0, 5, 5].item() - pictures[2, 0, 10:12, 10:12].float().mean().item()) <= 0.5


def test_an_encoder_sees_as_the_network_of_photos_does_whose_weights_it_takes():
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training's packages are in the extra 'train'")
    from tp2lib.models.judge import BLOCKS, Encoder
    from vitrine.losses import Features, fold_into

    torch.manual_seed(0)
    net, features, x = Encoder(len(BLOCKS)), Features(), torch.rand(1, 3, 64, 64)
    fold_into(net, features.net)
    x = (x - net.mean) / net.std
    wanted = features.net._swish(features.net._bn0(features.net._conv_stem(x)))
    for seen, block in zip(net.maps(x), features.net._blocks, strict=False):
        wanted = block(wanted)
        assert torch.allclose(seen, wanted, atol=1e-3)


@pytest.mark.slow
def test_the_tiny_step_trains_goes_on_and_writes_what_can_be_used(tmp_path, capsys):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training's packages are in the extra 'train'")
    folder = tmp_path / "renders"
    folder.mkdir()
    with zipfile.ZipFile(folder / "train-00.zip", "w") as file:
        for k, (image, mask) in enumerate(inputs().values()):
            for name, picture, kind in ((f"{k:06d}.webp", image, "WEBP"), (f"{k:06d}.mask.png", Image.fromarray(mask), "PNG")):
                with file.open(name, "w") as member:
                    picture.resize((128, 128)).save(member, kind)
    (folder / "records.jsonl.gz").write_bytes(gzip.compress("\n".join(json.dumps(draw(k)) for k in range(6)).encode()))
    weights = tmp_path / "weights" / "cutout.safetensors"
    steps = []
    for _ in range(2):
        main(["cutout", "--tiny", "--data", str(tmp_path), "--minutes", "0.03"])
        steps.append(torch.load(tmp_path / "cutout.pt", weights_only=True)["step"])
    assert 0 < steps[0] < steps[1]
    assert weights.stat().st_size <= 2_000_000
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in (tmp_path / "weights" / "SHA256SUMS").read_text()
    assert find_mask(Image.open(INPUTS / "mug.jpg"), weights).mask.shape == (512, 512)
