"""From a record to a Mitsuba scene: materials, set, light, camera."""

from __future__ import annotations

import mitsuba as mi
import numpy as np

from . import textures
from .products import build
from .scene import PASTELS
from .shapes import Mesh, Part, cylinder, merge, rounded_box, sheet, sphere

mi.set_variant("scalar_rgb")
T = mi.ScalarTransform4f


def linear(rgb) -> np.ndarray:
    """sRGB 0–255 to linear-light reflectance (IEC 61966-2-1)."""
    c = np.float64(rgb) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _rgb(value) -> dict:
    return {"type": "rgb", "value": [float(v) for v in np.broadcast_to(value, 3).clip(0, 1)]}


def _bitmap(array: np.ndarray, scale: float = 1.0, turn: float = 0.0, raw: bool = True) -> dict:
    array = np.ascontiguousarray(array if array.ndim == 3 else array[..., None], np.float32)
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(array),
        "raw": raw,
        "wrap_mode": "repeat",
        "to_uv": T().rotate([0, 0, 1], turn) @ T().scale([scale, scale, 1]),
    }


def _principled(colour, roughness: float, specular: float = 0.5, **more) -> dict:
    base = colour if isinstance(colour, dict) else _rgb(colour)
    return {"type": "principled", "base_color": base, "roughness": roughness, "specular": specular, **more}


def _bumped(bsdf: dict, height: np.ndarray, scale: float, strength: float) -> dict:
    return {"type": "bumpmap", "texture": _bitmap(height, scale), "scale": strength, "bsdf": bsdf}


def _two_tone(mask: np.ndarray, a, b, scale: float) -> dict:
    return _bitmap(np.float32(a) + np.float32(np.subtract(b, a)) * mask[..., None], scale)


def _surface(material: str, colour: np.ndarray, style: str, pick: int) -> dict:
    """The material of the product's own colour."""
    aged = style == "vintage"
    tint = lambda: _two_tone(textures.wear(pick), colour * 0.58, colour * 1.08, 0.8) if aged else colour
    match material:
        case "natural":
            crown = colour * 0.72 + np.float64([0.30, 0.22, 0.06]) * 0.28
            return _principled(_two_tone(textures.streaks(pick), colour * 0.82, crown, 1.0), 0.28, 0.5, clearcoat=0.4, clearcoat_gloss=0.7)
        case "leather":
            return _bumped(_principled(tint(), 0.52 if aged else 0.40, 0.45), textures.leather_grain(pick), 2.5, 0.035)
        case "fabric":
            return _bumped(_principled(tint(), 0.9, 0.15, sheen=0.5), textures.weave(0), 2.0, 0.03)
        case "ceramic":
            return _principled(tint() if aged else colour, 0.35 if aged else 0.16, 0.5, clearcoat=0.9, clearcoat_gloss=0.95)
        case "plastic":
            return _principled(colour, 0.20, 0.5, clearcoat=0.3)
        case "metal":
            return _principled(tint() if aged else np.maximum(colour, 0.02) ** 0.85, 0.34, 0.6, metallic=0.72, anisotropic=0.6)
        case "wood":
            return _principled(_two_tone(textures.grain(pick), colour * 0.58, colour * 1.08, 0.5), 0.42, 0.4)
        case "glass":
            tinted = np.minimum(colour / max(colour.max(), 0.12) * 0.80 + 0.06, 0.96) if colour.max() > 0.05 else colour * 4
            return {"type": "thindielectric", "int_ior": 1.5, "specular_transmittance": _rgb(tinted)}
        case "wax":
            return _principled(colour, 0.42, 0.45, flatness=0.4)
        case "paper":
            return _principled(tint(), 0.72, 0.3)
    raise KeyError(material)


def _looks(record: dict, rng: np.random.Generator) -> dict[str, dict]:
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
        "stitch": _principled((0.72, 0.64, 0.50) if bright < 0.45 else (0.22, 0.16, 0.10), 0.8, 0.2),
        "steel": _principled((0.74, 0.75, 0.77), 0.22, 0.6, metallic=1.0),
        "gold": _principled((0.83, 0.58, 0.24), 0.22, 0.6, metallic=1.0),
        "dark": _principled((0.018, 0.018, 0.020), 0.34, 0.5),
        "cream": _principled((0.80, 0.76, 0.68), 0.42, 0.4),
        "paper": _principled((0.78, 0.73, 0.62), 0.8, 0.2),
        "label": _principled((0.82, 0.80, 0.74), 0.6, 0.3),
        "dial": _principled((0.80, 0.80, 0.78), 0.35, 0.5, clearcoat=0.8),
        "bark": _principled((0.075, 0.042, 0.020), 0.7, 0.3),
        "leaf": _principled((0.08, 0.20, 0.035), 0.45, 0.4),
        "cork": _principled((0.42, 0.27, 0.14), 0.85, 0.2),
        "coffee": _principled((0.045, 0.020, 0.010), 0.12, 0.5),
        "ribbon": _principled((0.45, 0.03, 0.04), 0.6, 0.4, sheen=0.5),
        "liquid": _principled(drink, 0.10, 0.5, clearcoat=0.6),
    }
    plain = {name: {"type": "twosided", "bsdf": bsdf} for name, bsdf in plain.items()}
    plain["body"] = body if material == "glass" else {"type": "twosided", "bsdf": body}
    plain["clear"] = {"type": "thindielectric", "int_ior": 1.5, "specular_transmittance": _rgb(0.35 + 0.63 * colour / max(colour.max(), 0.2))}
    return plain


def to_shape(mesh: Mesh, bsdf: dict, emitter: dict | None = None):
    """A Mitsuba mesh with smooth normals from ours."""
    props = mi.Properties()
    props["mesh_bsdf"] = mi.load_dict(bsdf)
    if emitter:
        props["mesh_emitter"] = mi.load_dict(emitter)
    shape = mi.Mesh("part", len(mesh.points), len(mesh.faces), has_vertex_normals=True, has_vertex_texcoords=True, props=props)
    params = mi.traverse(shape)
    params["vertex_positions"] = np.ravel(mesh.points).astype(np.float32)
    params["vertex_normals"] = np.ravel(mesh.normals()).astype(np.float32)
    params["vertex_texcoords"] = np.ravel(mesh.uv).astype(np.float32)
    params["faces"] = np.ravel(mesh.faces).astype(np.uint32)
    params.update()
    return shape


def _panel(origin, size: tuple[float, float], radiance, target=(0.0, 0.0, 0.4)) -> dict:
    return {
        "type": "rectangle",
        "to_world": T().look_at(origin=list(origin), target=list(target), up=[0, 0, 1]) @ T().scale([size[0] / 2, size[1] / 2, 1]),
        "bsdf": {"type": "diffuse", "reflectance": _rgb(0.0)},
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [float(v) for v in np.broadcast_to(radiance, 3)]}},
    }


def lights(record: dict, rng: np.random.Generator) -> dict[str, dict]:
    """The light set-up: area lights and an even sky."""
    side, jitter = record["side"], rng.uniform(0.9, 1.1, 3)
    sky = lambda value: {"type": "constant", "radiance": {"type": "rgb", "value": [float(v) for v in np.broadcast_to(value, 3)]}}
    match record["light"]:
        case "studio":
            return {
                "sky": sky(0.42),
                "key": _panel((-1.7 * side, -2.0 * jitter[0], 2.6), (2.0, 2.0), 6.5),
                "fill": _panel((2.3 * side, -1.7, 1.6), (1.6, 1.9), 2.6),
                "top": _panel((0, 0.5, 3.3), (2.6, 2.0), 4.0),
            }
        case "natural":
            return {
                "sky": sky(np.float64([0.135, 0.145, 0.16])),
                "window": _panel((-2.7 * side, 0.35 * jitter[1], 1.5 * jitter[2]), (1.7, 2.1), np.float64([11.0, 11.6, 12.4])),
            }
        case "dramatic":
            return {
                "sky": sky(0.022),
                "spot": _panel((-2.1 * side * jitter[0], 0.2 + 0.7 * jitter[1], 2.3), (0.30, 0.30), 210.0),
                "rim": _panel((2.4 * side, 1.2, 1.2), (0.25, 1.2), 9.0),
            }
    return {
        "sky": sky(np.float64([0.19, 0.17, 0.15])),
        "sun": _panel((-3.4 * side, -0.9 * jitter[0], 1.35 * jitter[1]), (0.42, 0.42), np.float64([190.0, 128.0, 72.0])),
    }


def _sweep(radius: float = 1.1, back: float = 2.2) -> Mesh:
    """A seamless paper sweep: floor, curve, wall."""
    a = np.linspace(-np.pi / 2, 0, 24)
    line = np.float64([(-9, 0), *zip(back + radius * np.cos(a), radius + radius * np.sin(a)), (back + radius, 8)])
    x = np.float64([-9, 9])
    points = np.stack([np.broadcast_to(x[None], (len(line), 2)), np.repeat(line[:, :1], 2, 1), np.repeat(line[:, 1:], 2, 1)], -1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    uv = np.stack(np.broadcast_arrays(x[None] / 2, length[:, None] / 2), -1)
    return sheet(points, uv)


def stage_set(record: dict, rng: np.random.Generator) -> list[tuple[Mesh, dict]]:
    """The surroundings, as (mesh, BSDF) pairs; the product stands at the origin."""
    pick, turn = int(rng.integers(textures.BANK)), float(rng.uniform(-14, 14))
    name = record["set"]
    both = lambda bsdf: {"type": "twosided", "bsdf": bsdf}
    if name in ("white", "dark", "pastel", "linen"):
        bsdf = {
            "white": lambda: {"type": "diffuse", "reflectance": _rgb(0.92)},
            "dark": lambda: _principled(rng.uniform(0.012, 0.035) * np.float64([1, 1, 1.08]), 0.45, 0.35),
            "pastel": lambda: {"type": "diffuse", "reflectance": _rgb(linear(PASTELS[record["pastel"]]))},
            "linen": lambda: _bumped(_principled(_bitmap(textures.linen(pick), 1.0, turn), 0.95, 0.1, sheen=0.4), textures.linen(pick)[..., 0], 1.0, 0.04),
        }[name]()
        return [(_sweep(back=rng.uniform(1.6, 3.0)), both(bsdf))]
    depth = float(rng.uniform(0.9, 1.9))
    scale = {"wood": 0.45, "marble": 0.32, "concrete": 0.35, "desk": 1.0}[name]
    top, wall = {
        "wood": lambda: (_principled(_bitmap(textures.wood(pick), scale, turn), 0.50, 0.3), rng.uniform(0.06, 0.34) * np.float64([1.0, 0.92, 0.82])),
        "marble": lambda: (_principled(_bitmap(textures.marble(pick), scale, turn * 4), 0.13, 0.5), rng.uniform(0.45, 0.75) * np.float64([1.0, 1.0, 0.98])),
        "concrete": lambda: (_principled(_bitmap(textures.concrete(pick), scale, turn * 4), 0.75, 0.3), rng.uniform(0.16, 0.28) * np.float64([1.0, 1.0, 1.02])),
        "desk": lambda: (_principled((0.84, 0.84, 0.83), 0.30, 0.4), rng.uniform(0.42, 0.58) * np.float64([0.96, 1.0, 1.05])),
    }[name]()
    floor = rounded_box(16, 8, 0.12, 0.015).moved(y=depth - 4, z=-0.12)
    floor = Mesh(floor.points, floor.faces, floor.points[:, :2].copy())
    back = rounded_box(30, 0.1, 16, 0.01).moved(y=depth + rng.uniform(0.8, 2.6), z=-8)
    return [(floor, both(top)), (back, both({"type": "diffuse", "reflectance": _rgb(wall)}))]


def clutter(rng: np.random.Generator) -> list[tuple[Mesh, dict]]:
    """Odds and ends around the product, for the ``cluttered`` defect."""
    out = []
    for _ in range(int(rng.integers(10, 18))):
        size = rng.uniform(0.12, 0.32)
        shape = (
            rounded_box(size, size * rng.uniform(0.5, 1.6), size * rng.uniform(0.3, 1.4), 0.02),
            cylinder(size / 2, size * rng.uniform(0.4, 1.6)),
            sphere(size / 2),
        )[rng.integers(3)]
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.50, 0.95)
        mesh = shape.turned("z", rng.uniform(0, 360)).moved(far * np.cos(angle), abs(far * np.sin(angle)) * 0.9 - 0.15, 0)
        out.append((mesh, {"type": "twosided", "bsdf": _principled(rng.uniform(0.03, 0.75, 3), rng.uniform(0.2, 0.8))}))
    return out


def camera(record: dict, parts: list[Part], rng: np.random.Generator, size: int, pinhole: bool = False) -> dict:
    """Frame the product so that it fills the recorded share of the picture."""
    points = merge([p.mesh for p in parts]).points[::7].astype(np.float64)
    high = {"front": (3, 14), "three-quarter": (18, 36), "above": (50, 74)}[record["view"]]
    lift, swing = np.radians(rng.uniform(*high)), np.radians(rng.uniform(-10, 10))
    out = np.float64([np.sin(swing) * np.cos(lift), -np.cos(swing) * np.cos(lift), np.sin(lift)])
    right = np.cross(out, [0, 0, -1.0])
    right /= np.linalg.norm(right)
    up = np.cross(out, right)
    fov = float(rng.uniform(24, 34))
    tan = np.tan(np.radians(fov / 2))
    target = (points.min(0) + points.max(0)) / 2
    fill = record["fill"] * (1.75 if record["defect"] == "cropped" else 1.0)
    for _ in range(3):
        local = (points - target) @ np.stack([right, up, out], 1)
        reach = float((np.abs(local[:, :2]).max(1) / (fill * tan) + local[:, 2]).max())
        seen = local[:, :2] / (reach - local[:, 2:]) * reach
        shift = (seen.min(0) + seen.max(0)) / 2
        target = target + right * shift[0] + up * shift[1]
    wander = rng.uniform(-0.05, 0.05, 2) if record["defect"] != "cropped" else rng.choice([-1, 1], 2) * rng.uniform(0.28, 0.48, 2)
    target = target + (right * wander[0] + up * wander[1]) * reach * tan
    origin = target + out * reach
    lens = (
        {"type": "perspective"}
        if pinhole or record["focus"] == "deep"
        else {
            "type": "thinlens",
            "aperture_radius": float(rng.uniform(0.075, 0.125)) * reach / 3,
            "focus_distance": float(reach - np.percentile(local[:, 2], 75)),
        }
    )
    return {
        **lens,
        "fov": fov,
        "to_world": T().look_at(origin=list(origin), target=list(target), up=[0, 0, 1]),
        "film": {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"}, "component_format": "float32"},
        "sampler": {"type": "independent"},
    }


def make_scene(record: dict, size: int):
    """Build the scene.

    Returns
    -------
    scene, mask_camera : mitsuba Scene and Sensor
        The second sees the same frame through a pinhole.
    product_shapes : int
        The product's parts are the scene's first shapes, this many.
    """
    rng = np.random.default_rng([8, record["seed"]])
    parts = build(record["kind"], rng, record)
    turn = rng.uniform(-38, 38)
    parts = [Part(p.mesh.turned("z", turn), p.look) for p in parts]
    looks = _looks(record, rng)
    world: dict = {"type": "scene"}
    glow = {"flame": (4.2, 1.9, 0.35), "glow": (3.2, 2.6, 1.9)}
    for k, part in enumerate(parts):
        if part.look in glow:
            emitter = {"type": "area", "radiance": {"type": "rgb", "value": list(glow[part.look])}}
            world[f"a{k:02d}"] = to_shape(part.mesh, {"type": "diffuse"}, emitter)
        else:
            world[f"a{k:02d}"] = to_shape(part.mesh, looks[part.look])
    for k, (mesh, bsdf) in enumerate(stage_set(record, rng)):
        world[f"s{k}"] = to_shape(mesh, bsdf)
    if record["defect"] == "cluttered":
        world |= {f"t{k}": to_shape(mesh, bsdf) for k, (mesh, bsdf) in enumerate(clutter(rng))}
    world |= lights(record, rng)
    world["sensor"] = camera(record, parts, np.random.default_rng([10, record["seed"]]), size)
    pinhole = camera(record, parts, np.random.default_rng([10, record["seed"]]), size, pinhole=True)
    return mi.load_dict(world), mi.load_dict(pinhole), len(parts)
