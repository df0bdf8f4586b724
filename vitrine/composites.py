"""Pictures to learn cutting out from: renders as they are, and their products on backgrounds that no render has.

All of it is done for a whole batch at once; a picture is drawn in about a millisecond.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data as photos

SEEN_PHOTOS = ("astronaut", "grass", "hubble_deep_field", "immunohistochemistry", "retina", "colorwheel", "coins", "page", "camera")
UNSEEN_PHOTOS = ("brick", "gravel", "rocket", "chelsea", "moon", "text")  # `coffee` is looked at, and so in neither


def fill(pictures: torch.Tensor, masks: torch.Tensor, margin: int = 6) -> torch.Tensor:
    """Take the products out: each gap gets the colours around it, smoothly, from a pyramid of means.

    Parameters
    ----------
    pictures : Tensor of shape (N, 3, S, S), float
    masks : Tensor of shape (N, 1, S, S), float
        1 where the product is; `margin` pixels around it go as well.
    """
    known = 1 - F.max_pool2d((masks > 0).float(), 2 * margin + 1, 1, margin)
    levels = [(pictures * known, known)]
    while levels[-1][1].shape[-1] > 2:
        levels.append((F.avg_pool2d(levels[-1][0], 2), F.avg_pool2d(levels[-1][1], 2)))
    colour = levels[-1][0] / levels[-1][1].clamp_min(1e-4)
    for sums, weight in reversed(levels[:-1]):
        colour = F.interpolate(colour, size=sums.shape[-2:], mode="bilinear", align_corners=False)
        colour = torch.lerp(colour, sums / weight.clamp_min(1e-4), weight.clamp(0, 1))
    return colour.clamp(0, 1)


def photo_crops(names: tuple[str, ...], count: int, side: int, rng: np.random.Generator) -> torch.Tensor:
    """Random square cuts from scikit-image's own photos: Tensor of shape (count, 3, side, side), float in [0, 1]."""
    whole = [Image.fromarray(np.asarray(getattr(photos, name)())).convert("RGB") for name in names]
    out = []
    for k in range(count):
        image = whole[k % len(whole)]
        width = min(image.size) * rng.uniform(0.3, 1)
        left, top = (rng.uniform(0, size - width) for size in image.size)
        cut = image.resize((side, side), Image.Resampling.BOX if width > side else Image.Resampling.BICUBIC, box=(left, top, left + width, top + width))
        out.append(np.asarray(cut))
    return torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2).float() / 255


def procedural(count: int, side: int, rng: torch.Generator) -> torch.Tensor:
    """Plain colours, gradients, clouds, grain and stripes: Tensor of shape (count, 3, side, side), float in [0, 1]."""
    draw = lambda *shape: torch.rand(count, *shape, generator=rng)
    ramp = torch.linspace(-0.5, 0.5, side)
    turn = draw(1, 1, 1) * 2 * math.pi
    along = torch.cos(turn) * ramp[None, None, None, :] + torch.sin(turn) * ramp[None, None, :, None]
    weight = along * draw(1, 1, 1)
    for level in range(1, 7):
        cloud = F.interpolate(torch.randn(count, 1, 2**level, 2**level, generator=rng), size=(side, side), mode="bicubic")
        weight = weight + cloud * draw(1, 1, 1) ** 4 / level
    stripes = torch.sign(torch.sin(along * (20 + 200 * draw(1, 1, 1)))) * (draw(1, 1, 1) < 0.15) * draw(1, 1, 1) * 0.5
    grain = torch.randn(count, 1, side, side, generator=rng) * (draw(1, 1, 1) < 0.3) * draw(1, 1, 1) * 0.15
    a, b = draw(3, 1, 1), draw(3, 1, 1)
    grey = (draw(1, 1, 1) < 0.4).float()
    a, b = (torch.lerp(colour, colour.mean(1, keepdim=True), grey * 0.9) for colour in (a, b))
    near = (draw(1, 1, 1) < 0.6).float()
    b = torch.lerp(b, a + 0.15 * (b - 0.5), near)
    flat = (draw(1, 1, 1) > 0.2).float()
    return (a + (b - a) * (weight * flat + stripes + grain + 0.5)).clamp(0, 1)


def backgrounds(pictures: torch.Tensor, names: tuple[str, ...], count: int, seed: int) -> torch.Tensor:
    """A bank of backgrounds: half from renders whose product is filled in, the rest photos and procedural ones.

    Parameters
    ----------
    pictures : Tensor of shape (N, 4, S, S), uint8
        Colours, and the mask as 0 or 255.

    Returns
    -------
    Tensor of shape (count, 3, S, S), uint8
    """
    rng, side = np.random.default_rng(seed), pictures.shape[-1]
    picks = torch.from_numpy(rng.permutation(len(pictures))[: count // 2])
    parts = [fill(chunk[:, :3], chunk[:, 3:]) for chunk in (pictures[some].float() / 255 for some in picks.split(32))]
    parts.append(photo_crops(names, max(1, count // 5), side, rng))
    left = count - sum(map(len, parts))
    parts += [procedural(min(32, left - k), side, torch.Generator().manual_seed(seed + k)) for k in range(0, left, 32)]
    return torch.cat([part.mul(255).round().byte() for part in parts])


def placed(pictures: torch.Tensor, transform: torch.Tensor, padding: str, side: int) -> torch.Tensor:
    grid = F.affine_grid(transform, [len(pictures), 1, side, side], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur, separable, the edges repeated."""
    radius = max(1, math.ceil(2.5 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), kernel, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), kernel.transpose(2, 3), groups=x.shape[1])


def saved_as_jpeg(x: torch.Tensor, quality: int) -> torch.Tensor:
    """One picture (3, H, W) in [0, 1], saved and read again."""
    buffer = io.BytesIO()
    Image.fromarray(x.mul(255).round().byte().permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
    return torch.from_numpy(np.asarray(Image.open(buffer)).copy()).permute(2, 0, 1).float() / 255


class Composer:
    """Draws batches of changed pictures and their soft masks.

    Parameters
    ----------
    pictures : Tensor of shape (N, 4, S, S), uint8
        Colours, and the mask as 0 to 255.
    bank : Tensor of shape (M, 3, S, S), uint8
        Backgrounds.
    often : Tensor of shape (N,), optional
        How often each picture is drawn, in any unit; by default all alike.
    """

    def __init__(self, pictures: torch.Tensor, bank: torch.Tensor, often: torch.Tensor | None = None):
        self.pictures, self.bank, self.side = pictures, bank, pictures.shape[-1]
        self.often = torch.ones(len(pictures)) if often is None else often

    def draw(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures (count, 3, S, S) in [0, 1] and masks (count, 1, S, S): the first third renders as they are, the rest composites."""
        one = lambda *shape: torch.rand(count, *(shape or (1, 1, 1)), generator=rng)
        picks = torch.multinomial(self.often, count, replacement=True, generator=rng)
        new = (torch.arange(count) >= count // 3).float()[:, None, None, None]
        front = placed(self.pictures[picks].float() / 255, self._moves(count, rng, new.flatten()), "zeros", self.side)
        scene, mask = front[:, :3], front[:, 3:]
        product = self._repainted(scene, rng)
        behind = self._behind(count, rng, mask)
        alpha = blurred(mask, 0.45 + 0.5 * float(torch.rand(1, generator=rng)))
        bite = 0.6 * one()
        eaten = (alpha * (1 + bite) - bite / 2).clamp(0, 1)  # edges lose the colour of their old surroundings
        alpha = torch.lerp(alpha, eaten, (one() < 0.6).float())
        glass = torch.where(one() < 0.05, 0.05 + 0.5 * one(), torch.ones(()))
        absent = (one() < 0.04).float() * new
        target = torch.lerp(mask, alpha * (1 - absent), new)
        x = torch.lerp(scene, torch.lerp(behind, product, alpha * glass * (1 - absent)), new)
        return self._photographed(x, rng), target

    def _moves(self, count: int, rng: torch.Generator, new: torch.Tensor) -> torch.Tensor:
        one = lambda: torch.rand(count, generator=rng)
        zoom = torch.where(new > 0, torch.exp((one() - 0.4) * 1.1), torch.exp(-0.5 * one() ** 2))  # above 1: smaller
        zoom = torch.where(one() < 0.15, 0.35 + 0.3 * one(), zoom)  # from near: the product runs out of the picture
        aspect = torch.where(new > 0, torch.exp((one() - 0.5) * 0.3), torch.ones(()))
        angle = (one() - 0.5) * 0.7 * (one() < 0.4) * new
        mirror = torch.where(one() < 0.5, -1.0, 1.0)
        far = torch.where(new > 0, 0.5, 2 * (1 - zoom))  # a render that keeps its background is never left
        rows = [
            torch.stack([mirror * zoom * aspect * angle.cos(), -zoom * angle.sin(), (one() - 0.5) * far], 1),
            torch.stack([mirror * zoom * angle.sin(), zoom / aspect * angle.cos(), (one() - 0.5) * far], 1),
        ]
        return torch.stack(rows, 1)

    def _repainted(self, product: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """In other colours, some with another texture under the same light."""
        count = len(product)
        one = lambda *shape: torch.rand(count, *(shape or (1, 1, 1)), generator=rng)
        channels = torch.argsort(one(3).flatten(1), 1)
        turned = product.gather(1, channels[:, :, None, None].expand_as(product))
        product = torch.lerp(product, turned, (one() < 0.4).float())
        product = (product.clamp_min(1e-3) ** torch.exp((one() - 0.5) * 0.8) * (0.75 + 0.5 * one(3, 1, 1))).clamp(0, 1)
        few = max(1, count // 8)
        texture = self.bank[torch.randint(len(self.bank), (few,), generator=rng)].float() / 255
        product[-few:] = (product[-few:].mean(1, keepdim=True) * texture / texture.mean((1, 2, 3), keepdim=True).clamp_min(0.1)).clamp(0, 1)
        return product

    def _behind(self, count: int, rng: torch.Generator, mask: torch.Tensor) -> torch.Tensor:
        """Backgrounds, moved and lit anew, some out of focus, most with a made-up shadow of the product."""
        one = lambda *shape: torch.rand(count, *(shape or (1, 1, 1)), generator=rng)
        zoom = 0.35 + 0.65 * one().flatten()
        mirror, zero = torch.where(one().flatten() < 0.5, -1.0, 1.0), torch.zeros(count)
        room = 1 - zoom
        rows = [torch.stack([mirror * zoom, zero, (2 * one().flatten() - 1) * room], 1), torch.stack([zero, zoom, (2 * one().flatten() - 1) * room], 1)]
        bank = self.bank[torch.randint(len(self.bank), (count,), generator=rng)].float() / 255
        behind = placed(bank, torch.stack(rows, 1), "reflection", self.side)
        few = count // 4
        behind[:few] = blurred(behind[:few], self.side / 256 * (1 + 6 * float(torch.rand(1, generator=rng))))
        behind = (behind * (0.6 + 0.7 * one()) * (0.9 + 0.2 * one(3, 1, 1))).clamp(0, 1)
        still = torch.eye(2, 3).expand(count, 2, 3).clone()
        still[:, 0, 1], still[:, 1, 1] = (one().flatten() - 0.5) * 1.2, 1 + one().flatten()  # squashed and slanted
        still[:, :, 2] = torch.stack([(one().flatten() - 0.5) * 0.2, -0.2 * one().flatten() - 0.25 * still[:, 1, 1] + 0.1], 1)
        still[: count // 2] = torch.eye(2, 3)
        still[: count // 2, :, 2] = (torch.rand(count // 2, 2, generator=rng) - 0.5) * 0.16
        small = F.avg_pool2d(placed(mask, still, "zeros", self.side), 4)
        shade = blurred(small, self.side / 256 * (0.4 + 4 * float(torch.rand(1, generator=rng))))
        shade = F.interpolate(shade, size=mask.shape[-2:], mode="bilinear", align_corners=False)
        return behind * (1 - shade * one() * 0.75 * (one() < 0.6))

    def _photographed(self, x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """In another light, by another camera: exposure, colour, contrast, blur, noise, JPEG."""
        count = len(x)
        one = lambda *shape: torch.rand(count, *(shape or (1, 1, 1)), generator=rng)
        some = lambda share: (one() < share).float()
        x = x * torch.exp((one() - 0.5) * 0.7 * some(0.6)) * torch.exp((one(3, 1, 1) - 0.5) * 0.25 * some(0.5))
        x = x.clamp(1e-3, 1) ** torch.exp((one() - 0.5) * 0.8 * some(0.5))
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * (1 + (one() * 1.6 - 1) * some(0.4))
        flat = torch.where(one() < 0.06, 0.02 + 0.3 * one(), torch.ones(()))  # washed out, towards white or another light grey
        light = 1 - 0.25 * one() * some(0.5)
        x = (light + (x - light) * flat).clamp(0, 1)
        order = torch.randperm(count, generator=rng)
        soft, small = order[: count // 6], order[count // 6 : count // 4]
        x[soft] = blurred(x[soft], self.side / 256 * (0.5 + 3 * float(torch.rand(1, generator=rng)) ** 2))
        coarse = int(torch.randint(2, 5, (1,), generator=rng))
        x[small] = F.interpolate(F.avg_pool2d(x[small], coarse), size=x.shape[-2:], mode="bilinear", align_corners=False)
        grainy = torch.randperm(count, generator=rng)[: count // 4]
        noise = torch.randn(x[grainy].shape, generator=rng)
        x[grainy] = (x[grainy] + noise * 0.08 * one()[grainy] ** 2).clamp(0, 1)
        for k in order[: count // 4].tolist():
            x[k] = saved_as_jpeg(x[k], int(torch.randint(35, 96, (1,), generator=rng)))
        return x
