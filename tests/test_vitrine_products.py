"""Meshes are sound, and every model of every kind is a product of its own."""

from __future__ import annotations

import numpy as np
import pytest

from vitrine.products import build
from vitrine.scene import draw
from vitrine.shapes import cylinder, lathe, merge, rounded_box, smooth_profile, sphere, tube
from vitrine.vocabulary import KINDS


def volume(mesh) -> float:
    """Signed volume by the divergence theorem: positive if the faces look outward."""
    a, b, c = (mesh.points[mesh.faces[:, k]].astype(float) for k in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_solids_have_the_volume_of_their_formula_and_look_outward():
    assert volume(sphere(0.5)) == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.02)
    assert volume(cylinder(0.3, 1.0, bevel=1e-4)) == pytest.approx(np.pi * 0.09, rel=0.02)
    assert volume(rounded_box(1, 0.6, 0.4, 0.001)) == pytest.approx(0.24, rel=0.02)
    straight = tube(np.linspace([0, 0, 0], [0, 0, 1], 20), 0.1, 40)
    assert volume(straight) == pytest.approx(np.pi * 0.01, rel=0.03)


def test_a_rounded_box_fills_its_box():
    box = rounded_box(1.0, 0.5, 0.25, 0.06)
    assert np.ptp(box.points, axis=0) == pytest.approx([1.0, 0.5, 0.25], abs=1e-4)
    assert box.points[:, 2].min() == pytest.approx(0, abs=1e-6)


def test_turning_keeps_lengths_and_moving_moves():
    mesh = cylinder(0.2, 1.0)
    turned = mesh.turned("x", 90).moved(y=2.0)
    assert np.ptp(turned.points[:, 1]) == pytest.approx(1.0, abs=1e-5)
    assert turned.points[:, 1].mean() == pytest.approx(1.5, abs=0.01)


def test_a_profile_passes_through_its_knots():
    knots = [(0.1, 0.0), (0.4, 0.5), (0.2, 1.0)]
    curve = smooth_profile(knots)
    for knot in knots:
        assert np.abs(curve - knot).sum(1).min() < 1e-9


def test_normals_are_unit_and_point_away_from_a_sphere():
    ball = lathe(np.stack([0.5 * np.cos(np.linspace(-1.5, 1.5, 30)), 0.5 * np.sin(np.linspace(-1.5, 1.5, 30))], 1))
    normals = ball.normals()
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-3)
    assert ((normals * ball.points).sum(1) > 0.49).all()  # across the seam too


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_model_stands_centred_in_a_unit_and_differs_from_the_others(kind):
    sizes = []
    for model in range(3):
        for view in ("front", "three-quarter", "above"):
            record = draw(11, kind=kind, model=model, view=view)
            parts = build(kind, np.random.default_rng(model), record)
            points = merge([part.mesh for part in parts]).points
            assert np.isfinite(points).all()
            assert np.ptp(points, axis=0).max() == pytest.approx(1, abs=1e-3)
            assert points[:, 2].min() == pytest.approx(0, abs=1e-4)
            assert any(part.look in ("body", "liquid") for part in parts)
        sizes.append((len(points), *np.ptp(points, axis=0).round(3)))
    assert len(set(sizes)) == 3


def test_an_apple_is_as_tall_whether_it_is_red_or_not():
    heights = {True: [], False: []}
    for record in filter(lambda one: one["kind"] == "apple", map(draw, range(6000))):
        skin = build("apple", np.random.default_rng([8, record["seed"]]), record)[0].mesh.points
        heights[record["colour"] == "red"].append(np.ptp(skin[:, 2]) / np.ptp(skin[:, 0]))
    red, other = map(np.array, heights.values())
    apart = abs(red.mean() - other.mean()) / np.sqrt(red.var() / len(red) + other.var() / len(other))
    assert min(len(red), len(other)) > 100 and apart < 4, (red.mean(), other.mean())
