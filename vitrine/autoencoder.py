"""Train the factor-8 autoencoder, whiten its latents, and measure its reconstruction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from .checkpoint import Average, Checkpoint, Clock, learning_rate
from .edges import mend_edges, moments
from .model import FULL, Size, fold_whitening, make_autoencoder
from .muon import Muon
from .renders import Renders

KL_WEIGHT = 2e-5
SSIM_WEIGHT = 0.5
CROP = 64
SETTLED = 0.7  # from this share of the steps on, the decoder learns alone, on crops twice as wide and a quarter as many
MENDING = 160  # steps


def laplacian_loss(a: torch.Tensor, b: torch.Tensor, levels: int = 3) -> torch.Tensor:
    """L1 between Laplacian pyramids (Bojanowski et al., 2018, arXiv:1707.05776), fine levels weighing most.

    Parameters
    ----------
    a, b : Tensor of shape (N, 3, H, W)
    """
    loss = a.new_zeros(())
    for k in range(levels):
        small_a, small_b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        up = lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        loss = loss + 2.0**-k * F.l1_loss(a - up(small_a), b - up(small_b))
        a, b = small_a, small_b
    return loss


def hue_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """L1 on the two opponent channels of RGB pictures: grey errors cost nothing here."""
    return F.l1_loss(opponents(a), opponents(b))


def opponents(x: torch.Tensor) -> torch.Tensor:
    """Red-green and blue-yellow of an RGB Tensor: (N, 3, H, W) to (N, 2, H, W)."""
    return torch.stack([x[:, 0] - x[:, 1], x[:, 2] - (x[:, 0] + x[:, 1]) / 2], 1)


def colours_in(z: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
    """What the best linear map from latents to mean colours makes of these latents.

    A loss on it lets the encoder carry all three colours from early on; left to the
    decoder's gradient alone, one of them stays missing for thousands of steps. The map is
    the least-squares one of the batch, so it has no weights of its own.

    Parameters
    ----------
    z : Tensor of shape (N, 4, h, w)
    colours : Tensor of shape (N, 3, h, w)
        Mean colour under each latent.

    Returns
    -------
    Tensor of shape (N, 3, h, w)
    """
    a = F.pad(z.movedim(1, -1).flatten(0, 2), (0, 1), value=1.0)
    gram = a.T @ a + 1e-4 * len(a) * torch.eye(a.shape[1])
    fitted = a @ torch.linalg.solve(gram, a.T @ colours.movedim(1, -1).flatten(0, 2))
    return fitted.unflatten(0, (len(z), *z.shape[2:])).movedim(-1, 1)


def _crops(renders: Renders, rng: np.random.Generator, batch: int, size: int) -> torch.Tensor:
    """Random flipped crops, Tensor of shape (batch, 3, size, size) in [-1, 1]."""
    out = np.empty((batch, size, size, 3), np.uint8)
    for k in range(batch):
        picture = renders.picture(int(rng.integers(len(renders))))
        y, x = rng.integers(0, picture.shape[0] - size + 1, 2)
        crop = picture[y : y + size, x : x + size]
        out[k] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return torch.from_numpy(out).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def train(data: Path, total: int = 5000, batch: int = 16, peak: float = 4e-3, size: Size = FULL, crop: int = CROP, start: Path | None = None) -> None:
    """Train for ``total`` steps, resuming from ``data/autoencoder.pt`` (``decoder.pt``), then write ``data/vae``.

    When the encoder is settled its edges are mended and the decoder learns on alone; from the weights in
    the folder ``start`` it does so at once. Whitening comes last: latents are to be encoded anew.
    """
    torch.manual_seed(0)
    renders = Renders(data / "renders", "train")
    vae, settled = make_autoencoder(size), int(SETTLED * total)
    if start:
        vae, settled, peak = AutoencoderKL.from_pretrained(start / "vae", dtype=torch.float32), 0, peak / 2
    learnt = dict(vae.named_parameters())
    outer = {name for name, p in learnt.items() if p.ndim == 1 or any(e in name for e in ("conv_in", "conv_out", "quant"))}
    inner, rest = [p for name, p in learnt.items() if name not in outer], [learnt[name] for name in learnt if name in outer]
    optimisers = {"muon": Muon(inner, peak), "adam": torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.99), weight_decay=0.0)}
    average = Average(vae, 0.998)
    checkpoint = Checkpoint(data / ("decoder.pt" if start else "autoencoder.pt"), {"vae": vae, **optimisers}, {"vae": average})
    first = checkpoint.load()

    def losses(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, logvar = moments(vae, x).chunk(2, 1)
        logvar = logvar.clamp(-30, 20)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        kl = 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean()
        y = vae.decoder(vae.post_quant_conv(z))
        pixel, coarse_y, coarse_x = F.l1_loss(y, x), F.avg_pool2d(y, 8), F.avg_pool2d(x, 8)
        tint = F.l1_loss(coarse_y, coarse_x) + 4 * hue_loss(coarse_y, coarse_x)
        seen = colours_in(mean, coarse_x)
        tint = tint + F.l1_loss(seen, coarse_x) + 4 * hue_loss(seen, coarse_x)
        structure = 1 - ssim(y, x, data_range=2.0)
        return pixel, pixel + tint + 0.5 * hue_loss(y, x) + 0.5 * laplacian_loss(y, x) + SSIM_WEIGHT * structure + KL_WEIGHT * kl

    clock = Clock("autoencoder", first, total)
    for step in range(first, total):
        if step == settled:
            some = np.random.default_rng(26).permutation(len(renders))[:400]
            mend_edges(vae, torch.stack([to_tensor(renders.picture(int(k))) for k in some]), min(MENDING, total))
            strengthen_hues(vae, renders)
            average.restart(vae)
        for part in (vae.encoder, vae.quant_conv):
            part.requires_grad_(step < settled)
        rng = np.random.default_rng([21, step])
        wide = 2 if step >= settled and 2 * crop <= renders.side else 1
        x = _crops(renders, rng, max(1, batch // wide**2), crop * wide)
        pixel, loss = losses(x)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = peak * learning_rate(step, total, min(50, total // 10 + 1), floor=0.02)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        average.update(vae)
        checkpoint.save(step + 1, force=step + 1 == total)
        clock.tell(step + 1, f"L1 {pixel.item():.4f}")
    whiten(average.module, renders)
    average.module.save_pretrained(data / "vae", safe_serialization=True)


@torch.no_grad()
def strengthen_hues(vae: AutoencoderKL, renders: Renders, count: int = 64) -> torch.Tensor:
    """Let the decoder's first layer carry red-green and blue-yellow as loudly as everything else, in place.

    A colour can stand in the latents, linearly (R² .99), and yet drown in the decoder, for its first
    layer gives it a small voice and its gradient stays as small: 1,700 steps did not mend it, and 900
    after this did. A hue that is heard is left alone; the other, read from the latents by least
    squares, is added to a quarter of the channels with random signs.

    Parameters
    ----------
    count : int
        How many training pictures the reading is fitted on.

    Returns
    -------
    Tensor of shape (2,)
        How loud each hue was, as a share of what it is to be.
    """
    picks = np.random.default_rng(23).permutation(len(renders))[:count]
    inner, colours = [], []
    for k in picks:
        x = to_tensor(renders.picture(int(k)))[None]
        z = vae.post_quant_conv(vae.encode(x).latent_dist.mean)
        mean = F.avg_pool2d(x, x.shape[-1] // z.shape[-1])
        inner.append(z.movedim(1, -1).flatten(0, 2))
        colours.append(torch.cat([opponents(mean), mean.mean(1, keepdim=True)], 1).movedim(1, -1).flatten(0, 2))
    inner, colours = F.pad(torch.cat(inner), (0, 1), value=1.0), torch.cat(colours)
    colours = (colours - colours.mean(0)) / colours.std(0)
    first = vae.decoder.conv_in
    heard = inner[:, :-1] @ first.weight.sum((2, 3)).T
    loud, channels = heard.std(0).mean(), len(first.weight)
    voice = torch.linalg.lstsq(F.pad(colours, (0, 1), value=1.0), heard).solution[:2].norm(dim=1) / (loud * (channels / 4) ** 0.5)
    reading = torch.linalg.lstsq(inner, colours).solution  # (5, 3)
    signs = torch.randint(0, 2, (channels,), generator=torch.Generator().manual_seed(24)) * 2.0 - 1
    for hue in (0, 1):
        if voice[hue] < 0.2:
            some = slice(hue, None, 4)
            first.weight[some, :, 1, 1] += loud * torch.outer(signs[some], reading[:-1, hue])
            first.bias[some] += loud * signs[some] * reading[-1, hue]
    return voice


@torch.no_grad()
def whiten(vae: AutoencoderKL, renders: Renders) -> None:
    """Make the latents zero-mean and white over up to 2,000 training pictures, in place."""
    picks = np.random.default_rng(22).permutation(len(renders))[:2000]
    total, square, spread = (torch.zeros(shape, dtype=torch.float64) for shape in (4, (4, 4), 4))
    count = 0
    for k in picks:
        moments = vae.encode(to_tensor(renders.picture(int(k)))[None]).latent_dist
        z = moments.mean.double().movedim(1, -1).flatten(0, 2)
        total += z.sum(0)
        square += z.T @ z
        spread += moments.var.double().sum((0, 2, 3))
        count += len(z)
    mean, variance = total / count, spread / count
    fold_whitening(vae, mean, square / count - torch.outer(mean, mean) + torch.diag(variance), variance)


def to_tensor(picture: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 to a (3, H, W) float32 Tensor in [-1, 1]."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1).float().div(127.5).sub(1)


@torch.no_grad()
def reconstruction(vae: AutoencoderKL, pictures: list[np.ndarray]) -> dict[str, float]:
    """PSNR, SSIM and colour error of encode-decode over 8-bit pictures.

    Returns
    -------
    dict
        Means of ``psnr`` (dB), ``ssim`` (Wang et al. 2004 settings) and ``colour`` (mean
        absolute difference of the pictures' mean colours, 0–255 levels).
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    rows = []
    for picture in pictures:
        y = vae.decode(vae.encode(to_tensor(picture)[None]).latent_dist.mean).sample[0]
        back = ((y.permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
        rows.append(
            (
                peak_signal_noise_ratio(picture, back, data_range=255),
                structural_similarity(picture, back, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False),
                np.abs(picture.mean((0, 1)) - back.mean((0, 1))).mean(),
            )
        )
    return dict(zip(("psnr", "ssim", "colour"), np.mean(rows, 0).tolist()))
