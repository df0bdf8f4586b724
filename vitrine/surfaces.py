"""What things are made of: from a record to Mitsuba's materials."""

from __future__ import annotations

import mitsuba as mi
import numpy as np

from . import textures

mi.set_variant("scalar_rgb")
T = mi.ScalarTransform4f


def linear(srgb) -> np.ndarray:
    """sRGB 0–255 to linear-light reflectance (IEC 61966-2-1)."""
    c = np.float64(srgb) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def rgb(value) -> dict:
    return {"type": "rgb", "value": [float(v) for v in np.broadcast_to(value, 3).clip(0, 1)]}


def bitmap(array: np.ndarray, scale: float = 1.0, turn: float = 0.0, raw: bool = True) -> dict:
    array = np.ascontiguousarray(array if array.ndim == 3 else array[..., None], np.float32)
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(array),
        "raw": raw,
        "wrap_mode": "repeat",
        "to_uv": T().rotate([0, 0, 1], turn) @ T().scale([scale, scale, 1]),
    }


def principled(colour, roughness: float, specular: float = 0.5, **more) -> dict:
    base = colour if isinstance(colour, dict) else rgb(colour)
    return {"type": "principled", "base_color": base, "roughness": roughness, "specular": specular, **more}


def bumped(bsdf: dict, height: np.ndarray, scale: float, strength: float) -> dict:
    return {"type": "bumpmap", "texture": bitmap(height, scale), "scale": strength, "bsdf": bsdf}


def _two_tone(mask: np.ndarray, a, b, scale: float) -> dict:
    return bitmap(np.float32(a) + np.float32(np.subtract(b, a)) * mask[..., None], scale)


def _surface(material: str, colour: np.ndarray, style: str, pick: int) -> dict:
    """The material of the product's own colour."""
    aged = style == "vintage"
    tint = lambda: _two_tone(textures.wear(pick), colour * 0.58, colour * 1.08, 0.8) if aged else colour
    match material:
        case "natural":
            crown = colour * 0.72 + np.array([0.30, 0.22, 0.06]) * 0.28
            return principled(_two_tone(textures.streaks(pick), colour * 0.82, crown, 1.0), 0.28, 0.5, clearcoat=0.4, clearcoat_gloss=0.7)
        case "leather":
            return bumped(principled(tint(), 0.52 if aged else 0.40, 0.45), textures.leather_grain(pick), 2.5, 0.035)
        case "fabric":
            return bumped(principled(tint(), 0.9, 0.15, sheen=0.5), textures.weave(0), 2.0, 0.03)
        case "ceramic":
            return principled(tint() if aged else colour, 0.35 if aged else 0.16, 0.5, clearcoat=0.9, clearcoat_gloss=0.95)
        case "plastic":
            return principled(colour, 0.20, 0.5, clearcoat=0.3)
        case "metal":
            return principled(tint() if aged else np.maximum(colour, 0.02) ** 0.85, 0.34, 0.6, metallic=0.72, anisotropic=0.6)
        case "wood":
            return principled(_two_tone(textures.grain(pick), colour * 0.58, colour * 1.08, 0.5), 0.42, 0.4)
        case "glass":
            tinted = np.minimum(colour / max(colour.max(), 0.12) * 0.80 + 0.06, 0.96) if colour.max() > 0.05 else colour * 4
            return {"type": "thindielectric", "int_ior": 1.5, "specular_transmittance": rgb(tinted)}
        case "wax":
            return principled(colour, 0.42, 0.45, flatness=0.4)
        case "paper":
            return principled(tint(), 0.72, 0.3)
    raise KeyError(material)


def looks(record: dict, rng: np.random.Generator) -> dict[str, dict]:
    """Every surface name a `Part` may carry, as a Mitsuba BSDF description."""
    colour = linear(record["rgb"])
    material = record["material"]
    pick = int(rng.integers(textures.BANK))
    bright = float(colour @ [0.21, 0.72, 0.07])
    contrast = colour * 0.42 if bright > 0.10 else np.minimum(colour * 2.2 + 0.035, 1)
    body = _surface(material, colour, record["style"], pick)
    cloth = "leather" if material == "leather" else "fabric"
    drink = colour * 0.9 + 0.01
    plain = {
        "trim": _surface(material if material not in ("glass", "natural") else "plastic", contrast, "plain", pick),
        "strap": _surface(cloth, contrast if bright < 0.55 else colour * 0.45, "plain", pick),
        "stitch": principled((0.72, 0.64, 0.50) if bright < 0.45 else (0.22, 0.16, 0.10), 0.8, 0.2),
        "steel": principled((0.74, 0.75, 0.77), 0.22, 0.6, metallic=1.0),
        "gold": principled((0.83, 0.58, 0.24), 0.22, 0.6, metallic=1.0),
        "dark": principled((0.018, 0.018, 0.020), 0.34, 0.5),
        "cream": principled((0.80, 0.76, 0.68), 0.42, 0.4),
        "paper": principled((0.78, 0.73, 0.62), 0.8, 0.2),
        "label": principled((0.82, 0.80, 0.74), 0.6, 0.3),
        "dial": principled((0.80, 0.80, 0.78), 0.35, 0.5, clearcoat=0.8),
        "bark": principled((0.075, 0.042, 0.020), 0.7, 0.3),
        "leaf": principled((0.08, 0.20, 0.035), 0.45, 0.4),
        "cork": principled((0.42, 0.27, 0.14), 0.85, 0.2),
        "coffee": principled((0.045, 0.020, 0.010), 0.12, 0.5),
        "ribbon": principled((0.45, 0.03, 0.04), 0.6, 0.4, sheen=0.5),
        "liquid": principled(drink, 0.10, 0.5, clearcoat=0.6),
    }
    plain = {name: {"type": "twosided", "bsdf": bsdf} for name, bsdf in plain.items()}
    plain["body"] = body if material == "glass" else {"type": "twosided", "bsdf": body}
    plain["clear"] = {"type": "thindielectric", "int_ior": 1.5, "specular_transmittance": rgb(0.35 + 0.63 * colour / max(colour.max(), 0.2))}
    return plain
