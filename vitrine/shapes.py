"""Meshes from a few numbers: surfaces of revolution, rounded boxes, swept tubes, ribbons.

Every builder returns a `Mesh` centred on the z axis unless it says otherwise; lengths are
in scene units (a product is about one unit tall).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """Triangles with texture coordinates.

    Attributes
    ----------
    points : ndarray of shape (V, 3), float32
    faces : ndarray of shape (F, 3), uint32
    uv : ndarray of shape (V, 2), float32
    twins : ndarray of shape (K, 2), int64
        Vertices on either side of a texture seam: two places in the texture, one normal.
    """

    points: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    twins: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        return replace(self, points=self.points + np.array([x, y, z], np.float32))

    def scaled(self, x: float, y: float | None = None, z: float | None = None) -> Mesh:
        y, z = (x if y is None else y), (x if z is None else z)
        return replace(self, points=self.points * np.array([x, y, z], np.float32))

    def turned(self, axis: str, degrees: float) -> Mesh:
        """Rotate about one coordinate axis, right-handed."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        a, b = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        turn = np.eye(3, dtype=np.float32)
        turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
        return replace(self, points=self.points @ turn.T)

    def bent(self, bend: Callable[[np.ndarray], np.ndarray]) -> Mesh:
        return replace(self, points=bend(self.points).astype(np.float32))

    def normals(self) -> np.ndarray:
        """Area-weighted vertex normals, ndarray of shape (V, 3)."""
        corners = self.points[self.faces]
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        out = np.zeros_like(self.points)
        for k in range(3):
            np.add.at(out, self.faces[:, k], face)
        out[self.twins] = out[self.twins].sum(1, keepdims=True)
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Part:
    """A mesh and the name of its surface: ``body``, ``trim``, ``steel``, ``paper``, …"""

    mesh: Mesh
    look: str


def sheet(points: np.ndarray, uv: np.ndarray) -> Mesh:
    """Join a (rows, columns, 3) grid of points into triangles."""
    rows, columns = points.shape[:2]
    a = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    faces = np.concatenate([np.stack([a, a + 1, a + columns], 1), np.stack([a + 1, a + columns + 1, a + columns], 1)])
    return Mesh(points.reshape(-1, 3).astype(np.float32), faces.astype(np.uint32), uv.reshape(-1, 2).astype(np.float32))


def smooth_profile(knots: list[tuple[float, float]], samples: int = 12) -> np.ndarray:
    """Catmull-Rom curve through (radius, height) knots, as an (N, 2) array."""
    p = np.array([knots[0], *knots, knots[-1]], float)
    t = np.linspace(0, 1, samples, endpoint=False)[:, None]
    parts = []
    for p0, p1, p2, p3 in zip(p, p[1:], p[2:], p[3:]):
        parts.append(0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3))
    curve = np.concatenate([*parts, p[-1:]])
    curve[:, 0] = np.maximum(curve[:, 0], 0)
    return curve


def lathe(profile, segments: int = 72, wave: Callable | None = None) -> Mesh:
    """Revolve a (radius, height) profile, listed from bottom to top outside, about z.

    A corner stays sharp when its point is listed twice. ``wave(angle, height)`` multiplies
    the radius, for ribs and lobes.
    """
    profile = np.float64(profile)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    radius, height = profile[:, :1], np.broadcast_to(profile[:, 1:], (len(profile), segments + 1))
    radius = radius * (np.ones_like(angle) if wave is None else wave(angle[None], height))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], -1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    uv = np.stack(np.broadcast_arrays(angle[None] / (2 * np.pi) * 3, length[:, None]), -1)
    mesh = sheet(points, uv)
    first = np.arange(len(profile)) * (segments + 1)
    return replace(mesh, twins=np.stack([first, first + segments], 1))


def shell(outside: np.ndarray, wall: float, floor: float, segments: int = 72, wave: Callable | None = None) -> Mesh:
    """An open vessel: ``outside`` from foot to rim, a rounded rim, and the inside down to ``floor``."""
    outside = np.array(outside, float)
    rim_r, rim_z = outside[-1]
    lip = [(rim_r - wall / 2 * (1 - np.cos(a)), rim_z + wall / 2 * np.sin(a)) for a in np.linspace(0.4, np.pi, 6)]
    inside = outside[outside[:, 1] > outside[0, 1] + floor][::-1].copy()
    inside[:, 0] = np.maximum(inside[:, 0] - wall, 0.01)
    last = inside[-1]
    bottom = [(last[0], last[1]), (last[0] * 0.6, outside[0, 1] + floor), (0, outside[0, 1] + floor)]
    foot = [(0, outside[0, 1]), tuple(outside[0]), tuple(outside[0])]
    return lathe(np.concatenate([foot, outside, lip, inside[1:], bottom]), segments, wave)


def cylinder(radius: float, height: float, bevel: float = 0.01, top: float | None = None) -> Mesh:
    """A solid cylinder or cone frustum standing on z = 0, with bevelled edges."""
    top = radius if top is None else top
    b = min(bevel, height / 2, radius, max(top, 1e-3))
    arc = np.linspace(0, np.pi / 2, 5)
    low = [(radius - b + b * np.sin(a), b - b * np.cos(a)) for a in arc]
    high = [(top - b + b * np.cos(a), height - b + b * np.sin(a)) for a in arc]
    return lathe([(0, 0), (radius - b, 0), *low, *low[-1:], *high[:1], *high, (top - b, height), (0, height)])


def sphere(radius: float) -> Mesh:
    a = np.linspace(-np.pi / 2, np.pi / 2, 33)
    return lathe(np.stack([radius * np.cos(a), radius * np.sin(a) + radius], 1), 48)


def rounded_box(width: float, depth: float, height: float, radius: float, pillow: float = 0.0) -> Mesh:
    """A box standing on z = 0 with rounded edges; ``pillow`` swells its faces outward.

    Six cube faces are pushed onto the rounded surface, so there is no pole to pinch.
    """
    half = np.array([width, depth, height], float) / 2
    r = min(radius, *half * 0.999)
    core = half - r
    meshes = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            u_axis, v_axis = [k for k in range(3) if k != axis]
            grid = []
            for k in (u_axis, v_axis):
                edge = half[k] - r + r * np.sin(np.linspace(0, np.pi / 4, 6)) * np.sqrt(2) * 0.9999
                flat = np.linspace(-core[k], core[k], 14)
                grid.append(np.unique(np.concatenate([-edge, flat, edge]).clip(-half[k], half[k])))
            u, v = np.meshgrid(*grid, indexing="ij")
            cube = np.empty((*u.shape, 3))
            cube[..., u_axis], cube[..., v_axis], cube[..., axis] = u, v, side * half[axis]
            inner = cube.clip(-core, core)
            out = cube - inner
            out /= np.maximum(np.linalg.norm(out, axis=-1, keepdims=True), 1e-9)
            points = inner + r * out
            if pillow:
                swell = np.prod([np.cos(points[..., k] / half[k] * np.pi / 2).clip(0) ** 0.7 for k in (u_axis, v_axis)], axis=0)
                points[..., axis] += side * pillow * swell
            mesh = sheet(points, np.stack([u, v], -1))
            outward = side * (-1 if axis != 1 else 1)
            meshes.append(mesh if outward > 0 else replace(mesh, faces=mesh.faces[:, ::-1]))
    return merge(meshes).moved(z=half[2])


def tube(path, radius, segments: int = 18, flat: float = 1.0, closed: bool = False) -> Mesh:
    """Sweep a circle (or an ellipse, ``flat`` < 1) along an (N, 3) path with rounded-off ends.

    ``radius`` is one number or one for each point.
    """
    path = np.float64(path)
    radius = np.broadcast_to(np.float64(radius), len(path)).copy()
    tangent = np.gradient(path, axis=0)
    if closed:
        tangent[0] = tangent[-1] = path[1] - path[-2]
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    side = np.cross(tangent[0], [0.0, 0.0, 1.0])
    if np.linalg.norm(side) < 1e-3:
        side = np.cross(tangent[0], [0.0, 1.0, 0.0])
    carried = []
    for t in tangent:  # parallel transport: no twist
        side = side - t * (side @ t)
        side /= np.linalg.norm(side)
        carried.append(side)
    sides = np.array(carried, float)
    ups = np.cross(tangent, sides)
    if not closed:
        path = np.concatenate([path[:1], path[:1], path, path[-1:], path[-1:]])
        sides, ups = (np.concatenate([v[:1], v[:1], v, v[-1:], v[-1:]]) for v in (sides, ups))
        radius = np.concatenate([[0], radius[:1], radius, radius[-1:], [0]])
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.cos(angle)[None, :, None] * sides[:, None] * flat + np.sin(angle)[None, :, None] * ups[:, None]
    points = path[:, None] + radius[:, None, None] * ring
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    uv = np.stack(np.broadcast_arrays(along[:, None] * 3, angle[None] / (2 * np.pi)), -1)
    return sheet(points, uv)


def arc(centre, radius_x: float, radius_z: float, start: float, stop: float, n: int = 40) -> np.ndarray:
    """Points on an ellipse in the xz plane, angles in degrees from +x towards +z."""
    a = np.radians(np.linspace(start, stop, n))
    return np.stack([centre[0] + radius_x * np.cos(a), np.full(n, centre[1]), centre[2] + radius_z * np.sin(a)], 1)


def merge(meshes: list[Mesh]) -> Mesh:
    offsets = np.cumsum([0] + [len(m.points) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.points for m in meshes]),
        np.concatenate([m.faces + np.uint32(o) for m, o in zip(meshes, offsets)]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.twins + o for m, o in zip(meshes, offsets)]),
    )


def path_through(*points, n: int = 24) -> np.ndarray:
    """A smooth path through 3-D points."""
    p = np.array(points, float)
    t, s = np.linspace(0, 1, len(p)), np.linspace(0, 1, n)
    if len(p) < 3:
        return np.stack([np.interp(s, t, p[:, k]) for k in range(3)], 1)
    fit = np.polynomial.Polynomial.fit
    return np.stack([fit(t, p[:, k], len(p) - 1)(s) for k in range(3)], 1)


def rounded_frame(width: float, height: float, radius: float, n: int = 10) -> np.ndarray:
    """A closed rounded rectangle in the xy plane, as a path."""
    a = np.linspace(0, np.pi / 2, n)
    corners = [(1, 1, 0), (-1, 1, 1), (-1, -1, 2), (1, -1, 3)]
    pts = [
        (sx * (width / 2 - radius) + radius * np.cos(t + k * np.pi / 2), sy * (height / 2 - radius) + radius * np.sin(t + k * np.pi / 2), 0.0)
        for sx, sy, k in corners
        for t in a
    ]
    return np.array(pts + pts[:1], float)


def stand_or_lie(parts: list[Part], rng: np.random.Generator, record: dict, height: float) -> list[Part]:
    """Flat things lie on the table, but stand up, leaning back, when seen from the front."""
    if record["view"] != "front":
        return parts
    return [Part(p.mesh.moved(y=height / 2).turned("x", 80 + rng.uniform(-4, 4)), p.look) for p in parts]
