"""From a record to a Mitsuba scene: set, light, camera."""

from __future__ import annotations

import mitsuba as mi
import numpy as np

from . import textures
from .products import build
from .scene import PASTELS
from .shapes import Mesh, Part, cylinder, merge, rounded_box, sheet, sphere
from .surfaces import T, bitmap, bumped, linear, looks, principled, rgb

FILL = {"pen": 1.2, "wallet": 1.1}  # thin and flat things come nearer, or their parts are a pixel wide


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
        "bsdf": {"type": "diffuse", "reflectance": rgb(0.0)},
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
                "sky": sky(np.array([0.135, 0.145, 0.16])),
                "window": _panel((-2.7 * side, 0.35 * jitter[1], 1.5 * jitter[2]), (1.7, 2.1), np.array([11.0, 11.6, 12.4])),
            }
        case "dramatic":
            return {
                "sky": sky(0.022),
                "spot": _panel((-2.1 * side * jitter[0], 0.2 + 0.7 * jitter[1], 2.3), (0.30, 0.30), 210.0),
                "rim": _panel((2.4 * side, 1.2, 1.2), (0.25, 1.2), 9.0),
            }
    return {
        "sky": sky(np.array([0.19, 0.17, 0.15])),
        "sun": _panel((-3.4 * side, -0.9 * jitter[0], 1.35 * jitter[1]), (0.42, 0.42), np.array([190.0, 128.0, 72.0])),
    }


def _sweep(radius: float = 1.1, back: float = 2.2) -> Mesh:
    """A seamless paper sweep: floor, curve, wall."""
    a = np.linspace(-np.pi / 2, 0, 24)
    line = np.array([(-9, 0), *zip(back + radius * np.cos(a), radius + radius * np.sin(a)), (back + radius, 8)])
    x = np.array([-9.0, 9.0])
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
            "white": lambda: {"type": "diffuse", "reflectance": rgb(0.92)},
            "dark": lambda: principled(rng.uniform(0.012, 0.035) * np.array([1, 1, 1.08]), 0.45, 0.35),
            "pastel": lambda: {"type": "diffuse", "reflectance": rgb(linear(PASTELS[record["pastel"]]))},
            "linen": lambda: bumped(principled(bitmap(textures.linen(pick), 1.0, turn), 0.95, 0.1, sheen=0.4), textures.linen(pick)[..., 0], 1.0, 0.04),
        }[name]()
        return [(_sweep(back=rng.uniform(1.6, 3.0)), both(bsdf))]
    depth = float(rng.uniform(0.9, 1.9))
    scale = {"wood": 0.45, "marble": 0.32, "concrete": 0.35, "desk": 1.0}[name]
    top, wall = {
        "wood": lambda: (principled(bitmap(textures.wood(pick), scale, turn), 0.50, 0.3), rng.uniform(0.06, 0.34) * np.array([1.0, 0.92, 0.82])),
        "marble": lambda: (principled(bitmap(textures.marble(pick), scale, turn * 4), 0.13, 0.5), rng.uniform(0.45, 0.75) * np.array([1.0, 1.0, 0.98])),
        "concrete": lambda: (principled(bitmap(textures.concrete(pick), scale, turn * 4), 0.75, 0.3), rng.uniform(0.16, 0.28) * np.array([1.0, 1.0, 1.02])),
        "desk": lambda: (principled((0.84, 0.84, 0.83), 0.30, 0.4), rng.uniform(0.42, 0.58) * np.array([0.96, 1.0, 1.05])),
    }[name]()
    floor = rounded_box(16, 8, 0.12, 0.015).moved(y=depth - 4, z=-0.12)
    floor = Mesh(floor.points, floor.faces, floor.points[:, :2].copy())
    back = rounded_box(30, 0.1, 16, 0.01).moved(y=depth + rng.uniform(0.8, 2.6), z=-8)
    return [(floor, both(top)), (back, both({"type": "diffuse", "reflectance": rgb(wall)}))]


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
        out.append((mesh, {"type": "twosided", "bsdf": principled(rng.uniform(0.03, 0.75, 3), rng.uniform(0.2, 0.8))}))
    return out


def camera(record: dict, parts: list[Part], rng: np.random.Generator, size: int, pinhole: bool = False) -> dict:
    """Frame the product so that it fills the recorded share of the picture."""
    points = merge([p.mesh for p in parts]).points[::7].astype(np.float64)
    high = {"front": (3, 14), "three-quarter": (18, 36), "above": (50, 74)}[record["view"]]
    lift, swing = np.radians(rng.uniform(*high)), np.radians(rng.uniform(-10, 10))
    out = np.array([np.sin(swing) * np.cos(lift), -np.cos(swing) * np.cos(lift), np.sin(lift)])
    right = np.cross(out, [0, 0, -1.0])
    right /= np.linalg.norm(right)
    up = np.cross(out, right)
    fov = float(rng.uniform(24, 34))
    tan = np.tan(np.radians(fov / 2))
    target = (points.min(0) + points.max(0)) / 2
    fill = record["fill"] * FILL.get(record["kind"], 1.0) * (1.75 if record["defect"] == "cropped" else 1.0)
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
    turn = rng.uniform(-38, 38) if record["kind"] != "pen" else rng.choice([-1, 1]) * rng.uniform(8, 50)
    parts = [Part(p.mesh.turned("z", turn), p.look) for p in parts]
    surfaces = looks(record, rng)
    world: dict = {"type": "scene"}
    glow = {"flame": (4.2, 1.9, 0.35), "glow": (3.2, 2.6, 1.9)}
    for k, part in enumerate(parts):
        if part.look in glow:
            emitter = {"type": "area", "radiance": {"type": "rgb", "value": list(glow[part.look])}}
            world[f"a{k:02d}"] = to_shape(part.mesh, {"type": "diffuse"}, emitter)
        else:
            world[f"a{k:02d}"] = to_shape(part.mesh, surfaces[part.look])
    for k, (mesh, bsdf) in enumerate(stage_set(record, rng)):
        world[f"s{k}"] = to_shape(mesh, bsdf)
    if record["defect"] == "cluttered":
        world |= {f"t{k}": to_shape(mesh, bsdf) for k, (mesh, bsdf) in enumerate(clutter(rng))}
    world |= lights(record, rng)
    world["sensor"] = camera(record, parts, np.random.default_rng([10, record["seed"]]), size)
    pinhole = camera(record, parts, np.random.default_rng([10, record["seed"]]), size, pinhole=True)
    return mi.load_dict(world), mi.load_dict(pinhole), len(parts)
