"""The brain: cortex, white matter, ventricles, nuclei, cerebellum, vessels.

Lengths are mm; see ``phantom_fields`` for the frame. Sizes are those of
textbooks, rounded; intensities are what an MPRAGE shows, white matter 175.
"""

from __future__ import annotations

import numpy as np
from phantom_fields import (
    Canvas,
    Field,
    Point,
    capsule,
    carve,
    ellipsoid,
    inside,
    join,
    noise,
    sheet_distance,
    slope,
)
from scipy import ndimage

CSF, GRAY, WHITE = 42.0, 112.0, 175.0


def cerebrum_hull(x: Field, y: Field, z: Field, notch: float = 2.2) -> Field:
    """Distance to both hemispheres with their fissures closed, negative inside."""
    ax = np.abs(x)
    hull = ellipsoid(ax, y, z, (10, 22, 14), (46, 49, 50))  # frontal
    hull = join(hull, ellipsoid(ax, y, z, (9, -26, 18), (58, 62, 55)), 18)  # parietal
    hull = join(hull, ellipsoid(ax, y, z, (14, -66, 6), (40, 38, 36)), 14)  # occipital
    # Each half bulges away from the fissure between them.
    hull = hull + notch / (1.0 + (ax / 7.0) ** 2)
    hull = carve(hull, -21 - 0.12 * ax - z, 8)  # roof of the orbits
    # Tentorium: the back rests on it, higher in the middle.
    tent = -9 - 0.24 * ax - z - 1.1 * np.maximum(y + 26, 0)
    hull = carve(hull, tent, 7)
    temporal = ellipsoid(ax, y - 0.15 * (z + 20), z, (42, -10, -21), (22.5, 43, 24.5))
    return join(hull, temporal, 5)


def folds(canvas: Canvas, hull: Field, spacing: Point, core: Field) -> Field:
    """Cut sulci into the hull.

    A sulcus is a sheet where a rippled random field is zero. The field is read
    where the surface lies outward of a voxel, so sheets stand on the surface;
    two fields, one deep and one shallow, give folds within folds.

    Returns
    -------
    ndarray
        Distance to the folded surface, negative inside.
    """
    depth = np.maximum(-hull, 0.0)
    normals = slope(hull, spacing)
    length = np.sqrt(normals[0] ** 2 + normals[1] ** 2 + normals[2] ** 2) + np.float32(1e-3)
    # Folds lean a little, so a part of the way is kept.
    way = 0.72 * np.minimum(depth, 30.0) / length
    sx, sy, sz = (p + way * n for p, n in zip(canvas.at(), normals, strict=True))
    del normals, length, way
    wobble = [2.2 * noise(seed, 17.0, 0.4)(*canvas.at()) for seed in (21, 22, 23)]
    sx, sy, sz = sx + wobble[0], sy + wobble[1], sz + wobble[2]
    del wobble
    tissue = hull
    for seed, wavelength, deep, spread, width in (
        (31, 37.0, 20.0, 6.0, 0.55),
        (32, 24.0, 11.5, 5.0, 0.45),
    ):
        sheet = sheet_distance(noise(seed, wavelength, 0.16)(sx, sy, sz), spacing)
        reach = deep + spread * noise(seed + 10, 45.0, 0.5)(sx, sy, sz)
        # Sulci open towards the surface and stop short of the nuclei.
        sulcus = sheet - (width + 1.3 / (1.0 + depth * depth / 4.0))
        sulcus = carve(sulcus, np.maximum(depth - reach, 5.5 - core), 2.0)
        tissue = carve(tissue, -sulcus, 2.0)
    return tissue


def paint_brain(canvas: Canvas, cavity: Field) -> None:
    """Paint everything within the skull's cavity."""
    x, y, z = canvas.at()
    ax = np.abs(x)
    spacing = [float(axis[1] - axis[0]) for axis in canvas.axes]
    canvas.paint(cavity, CSF)

    hull = cerebrum_hull(x, y, z)
    # Where the hemispheres are one: callosum, thalami, floor.
    core = ellipsoid(ax, y, z, (6, -6, 3), (24, 39, 20.5))
    core = carve(core, -9 - 0.35 * ax - z, 4)  # the cistern below
    hull = carve(hull, join(0.8 - ax, core, 2), 3)
    tissue = folds(canvas, hull, spacing, core)
    # Sylvian fissure: a sheet from the side, opening on the insula.
    lip = z + 4 + 0.40 * y + 2.0 * noise(41, 30.0, 0.5)(x, y, z)
    sylvian = np.maximum(np.abs(lip) - 1.0, np.maximum(37 - ax, np.abs(y + 6) - 33))
    wave = 1.6 * noise(42, 16.0, 0.4)(x, y, z)
    insula = np.abs(ax - 38.0 + 0.008 * (y + 4) ** 2 + wave) - 0.9
    insula = np.maximum(insula, np.maximum(np.abs(lip) - 14, np.abs(y + 2) - 25))
    tissue = carve(tissue, -join(sylvian, insula, 2), 2)
    del hull, sylvian, insula, wave

    # Gray matter: an even ribbon below the pia.
    below = ndimage.distance_transform_edt(tissue < 0, sampling=spacing).astype(np.float32)
    below = ndimage.gaussian_filter(below, 0.7)
    ribbon = 2.7 + 0.35 * noise(51, 25.0, 0.5)(x, y, z) + 0.12 * canvas.voxel
    ribbon = np.where(core < 2, np.minimum(ribbon, 1.2 + 0.5 * np.maximum(core, 0)), ribbon)
    texture = noise(52, 6.0, 0.5)(x, y, z)
    shade = noise(53, 60.0, 0.6)(x, y, z)
    gray = (GRAY + 2.0 * texture + 3.0 * shade).astype(np.float32)
    white = (WHITE + 1.5 * texture + 3.0 * shade).astype(np.float32)
    canvas.paint(tissue, gray)
    # The border to the white matter is a little soft.
    part = np.clip(0.5 + (below - ribbon) / np.float32(canvas.voxel + 0.5), 0, 1)
    canvas.image += part * inside(tissue, canvas.voxel) * (white - canvas.image)
    del below, ribbon, texture, shade, part

    paint_cerebellum(canvas)
    paint_stem(canvas)
    paint_middle(canvas, white, tissue)
    paint_membranes(canvas, cavity, tissue)
    paint_vessels(canvas)


def paint_middle(canvas: Canvas, white: Field, tissue: Field) -> None:
    """Callosum, ventricles and the deep nuclei."""
    box = canvas.box((-48, -72, -34), (48, 48, 40), margin=0)
    x, y, z = canvas.at(box)
    ax = np.abs(x)
    # Deep white matter around the nuclei.
    deep = ellipsoid(ax, y, z, (10, -6, 4), (25, 37, 19))
    deep = np.maximum(carve(deep, -10 - 0.35 * ax - z, 4), tissue[box] + 3.2)
    canvas.paint(deep, white[box], box)
    # Between the hemispheres, below the callosum: septum and fornix in fluid.
    between = np.maximum(ellipsoid(ax, y, z, (0, -4, 3), (2.2, 31, 19)), -6 - z)
    canvas.paint(between, 84.0, box)
    # The callosum is an arch: a thick ellipse's upper part, high in the middle.
    arch_z = z - 1 + 0.006 * ax * ax
    arch = ellipsoid(x * 0, y, arch_z, (0, -5, 0), (1, 36, 23))
    ends = ((y + 5) / 34) ** 2
    callosum = np.maximum(np.abs(arch) - (2.6 + 2.0 * np.minimum(ends, 1.2) ** 2), ax - 17)
    callosum = np.maximum(callosum, -2 - 0.12 * (y + 5) - z)
    canvas.paint(callosum, 183.0, box)

    # Thalami, with the third ventricle between them.
    canvas.paint(ellipsoid(ax, y, z, (11, -19, 5), (9.5, 15, 8.5)), 142.0, box)
    canvas.paint(ellipsoid(ax, y - 0.3 * (ax - 26), z, (26.5, 2, 1), (5.2, 17, 11)), 122.0, box)
    canvas.paint(ellipsoid(ax, y - 0.5 * (ax - 19), z, (19.5, -1, -1), (4.0, 9.5, 6.5)), 154.0, box)
    claustrum = np.abs(ax - 33.4 + 0.006 * (y - 2) ** 2) - 0.55
    claustrum = np.maximum(claustrum, ellipsoid(ax, y, z, (33, 2, 0), (6, 16, 12)))
    canvas.paint(claustrum, GRAY, box)
    head = ellipsoid(ax, y, z, (13, 21, 7), (5.5, 10, 9))
    tail = capsule(ax, y, z, (13.5, 16, 12), (18, -26, 20), 4.2, 1.6)
    canvas.paint(join(head, tail, 4), 120.0, box)
    # Hippocampus and amygdala.
    canvas.paint(capsule(ax, y, z, (24, -8, -20), (27, -34, -8), 5.6, 3.6), GRAY + 4, box)
    canvas.paint(ellipsoid(ax, y, z, (22, 0, -19), (8, 8, 7)), GRAY + 2, box)

    body = capsule(ax, y, z, (8.5, 27, 8), (7.5, 2, 18.5), 3.2, 4.2)
    body = join(body, capsule(ax, y, z, (7.5, 2, 18.5), (12, -28, 18), 4.2, 4.2), 3)
    body = join(body, capsule(ax, y, z, (12, -28, 18), (21, -42, 6), 4.2, 5.6), 3)
    body = join(body, capsule(ax, y, z, (21, -42, 6), (22, -66, 3), 5.0, 1.6), 3)
    body = join(body, capsule(ax, y, z, (21, -42, 6), (31, -24, -12), 3.6, 1.8), 3)
    body = join(body, capsule(ax, y, z, (31, -24, -12), (29, -4, -17), 1.8, 1.4), 2)
    body = np.maximum(body, 0.75 - ax)  # the septum between the two
    canvas.paint(body, CSF - 4, box)
    plexus = capsule(ax, y, z, (12, -24, 15), (20, -40, 4), 1.3, 2.2)
    canvas.paint(plexus + 0.6 * noise(61, 5.0, 0.5)(x, y, z), 96.0, box)
    third = np.maximum(
        ax - 1.9 + 0.02 * np.abs(y + 8), ellipsoid(ax, y, z, (0, -8, 1), (9, 18, 11))
    )
    canvas.paint(third, CSF - 2, box)
    canvas.paint(ellipsoid(ax, y, z, (0, -14, 4), (4, 3, 3)), 130.0, box)  # massa intermedia
    # Fornix: an arch below the callosum.
    for a, b in (
        ((1.6, 14, 4), (1.8, 2, 13)),
        ((1.8, 2, 13), (3, -18, 15)),
        ((3, -18, 15), (12, -32, 10)),
    ):
        canvas.paint(capsule(ax, y, z, a, b, 1.5, 1.5), 172.0, box)
    canvas.paint(capsule(ax, y, z, (0, 22.5, -1), (4, 20, 0), 1.3, 1.3), 170.0, box)


def paint_stem(canvas: Canvas) -> None:
    """Midbrain, pons, medulla, cord, and the ventricle behind them."""
    box = canvas.box((-26, -62, -100), (26, 8, 6), margin=0)
    x, y, z = canvas.at(box)
    ax = np.abs(x)
    stem = capsule(ax, y, z, (5, -18, -6), (3, -24, -20), 10.0, 9.0)
    stem = join(stem, capsule(ax, y, z, (12, -12, -6), (6, -18, -18), 7.0, 6.0), 4)
    pons = ellipsoid(ax, y, z, (0, -24, -33), (17, 13.0, 14))
    stem = join(stem, pons, 5)
    stem = join(stem, capsule(ax, y, z, (1.5, -33, -44), (1, -43, -72), 8.0, 6.0), 5)
    stem = join(stem, capsule(ax, y, z, (0, -43, -72), (0, -47, -104), 6.0, 5.0), 4)
    stem = join(stem, capsule(ax, y, z, (12, -30, -34), (24, -46, -38), 6.0, 5.0), 5)
    canvas.paint(stem + 0.4 * noise(62, 14.0, 0.5)(x, y, z), 162.0, box)
    fibers = noise(63, 7.0, 0.4)(x * 0.5, y, z)
    canvas.paint(np.maximum(pons + 2.5, y + 26) + 0.8 * fibers, 150.0, box)
    canvas.paint(ellipsoid(ax, y, z, (5, -22, -9), (2.8, 3, 3.5)), 146.0, box)  # red nucleus
    tectum = ellipsoid(ax, y, z, (5, -34, -8), (4.2, 3.6, 4.6))
    tectum = join(tectum, ellipsoid(ax, y, z, (5, -36, -15), (4.0, 3.4, 4.2)), 1)
    canvas.paint(tectum, 152.0, box)
    canvas.paint(ellipsoid(x, y, z, (0, -37, -1), (3.4, 4.6, 2.8)), 118.0, box)  # pineal
    aqueduct = capsule(x, y, z, (0, -24, -4), (0, -35, -24), 1.0, 1.2)
    fourth = ellipsoid(ax, y + 0.25 * (z + 32), z, (0, -39.5, -33), (8, 3.6, 11))
    canvas.paint(join(aqueduct, fourth, 2), CSF - 4, box)


def paint_cerebellum(canvas: Canvas) -> None:
    """Cerebellum: fissures that fan out, in three generations."""
    box = canvas.box((-58, -98, -66), (58, -30, -6), margin=2)
    x, y, z = canvas.at(box)
    ax = np.abs(x)
    hull = ellipsoid(ax, y, z, (25, -62, -35.5), (28, 28, 21.5))
    hull = join(hull, ellipsoid(ax, y, z, (0, -60, -32), (12, 25, 23)), 9)
    hull = carve(hull, z + 10.5 + 0.26 * ax, 6)
    hull = carve(hull, y + 34, 4)
    depth = np.maximum(-hull, 0)
    # Angle around the fastigium, as seen from the side; the fan widens sideways.
    back, up = -(y + 38 + 0.12 * ax), z + 33 + 0.10 * ax
    # In double precision: the last bit of an angle depends on the machine.
    angle: Field = np.arctan2(up.astype(np.float64), back.astype(np.float64)).astype(np.float32)
    radius = np.sqrt(back**2 + up**2 + 4.0)
    angle = angle + 0.10 * noise(71, 22.0, 0.5)(x * 0.5, y, z) + 0.02 * noise(72, 7.0, 0.4)(x, y, z)
    canvas.paint(hull, 116.0, box)
    tissue = hull
    white = np.full_like(hull, 100.0)
    # White matter: one body, then branches between the fissures.
    body = join(
        ellipsoid(ax, y, z, (22, -52, -36), (15, 11, 8)),
        ellipsoid(ax, y, z, (0, -46, -33), (9, 7, 6)),
        5,
    )
    for count, deep, gap, twig in (
        (12, 17.0, 0.55, 1.3),
        (28, 7.5, 0.35, 0.8),
        (58, 3.6, 0.22, 0.0),
    ):
        turns = angle * np.float32(count / (2 * np.pi))
        saw = np.abs(turns - np.rint(turns))  # 0 at a fissure, 0.5 between two
        per_mm = np.float32(count / (2 * np.pi)) / radius
        fissure = np.maximum(saw / per_mm - gap, depth - deep)
        tissue = np.maximum(tissue, -fissure)
        if twig:
            branch = (0.5 - saw) / per_mm - twig
            white = np.minimum(white, np.maximum(branch, 2.0 + 0.1 * deep - depth))
    canvas.paint(np.maximum(white, tissue), 158.0, box)
    canvas.paint(body, 165.0, box)
    dentate = np.abs(ellipsoid(ax, y, z, (15, -52, -36), (8, 7, 5))) - 0.6
    canvas.paint(dentate + 0.8 * noise(73, 6.0, 0.3)(x, y, z), 138.0, box)
    fluid = np.maximum(-tissue, hull)
    canvas.paint(fluid, CSF + 18, box)


def paint_membranes(canvas: Canvas, cavity: Field, tissue: Field) -> None:
    """Falx and tentorium, thin sheets in the fluid, and the sinuses along them."""
    x, y, z = canvas.at()
    ax = np.abs(x)
    free = np.maximum(-tissue - 0.3, cavity + 0.5)
    edge = ellipsoid(x * 0, y, z, (0, -12, 6), (1, 52, 34))
    falx = np.maximum(np.maximum(ax - 0.45, -edge), np.maximum(free, -16 - z))
    canvas.paint(falx, 92.0, opacity=0.9)
    tent = np.abs(z + 9.7 + 0.25 * ax - 0.05 * (y + 60)) - 0.45
    tent = np.maximum(np.maximum(tent, y + 40 - 0.35 * ax), np.maximum(free, 6 - ax))
    canvas.paint(tent, 92.0, opacity=0.8)
    # Superior sagittal, straight and transverse sinus.
    sagittal = np.maximum(np.abs(cavity + 2.4) + 0.8 * ax - 3.2, np.maximum(-8 - z, cavity))
    canvas.paint(sagittal, 88.0)
    canvas.paint_tube([(0, -42, 6), (0, -88, -8)], (2.0, 2.4), 84.0)
    for s in (-1, 1):
        points = [(0, -90, -10), (s * 30, -86, -18), (s * 50, -62, -26), (s * 48, -46, -42)]
        canvas.paint_tube(points, (3.0, 3.4, 3.4, 3.4), 86.0)


def paint_vessels(canvas: Canvas) -> None:
    """Arteries, bright by inflow, about 1 mm wide; small veins in the white matter."""
    bright = 268.0
    canvas.paint_tube(
        [(0, -12, -46), (0, -9, -34), (0, -9, -24), (0, -12, -17)], (1.5, 1.5, 1.4, 1.3), bright
    )
    for s in (-1, 1):
        carotid = [
            (s * 22, -8, -100),
            (s * 23, -6, -62),
            (s * 20, -2, -48),
            (s * 12, 4, -42),
            (s * 11, 12, -34),
            (s * 10, 6, -27),
            (s * 11, 2, -21),
        ]
        canvas.paint_tube(carotid, (2.6, 2.5, 2.3, 2.2, 2.0, 1.9, 1.7), bright)
        middle = [
            (s * 11, 2, -21),
            (s * 22, 5, -18),
            (s * 34, 6, -12),
            (s * 38.5, 0, -4),
            (s * 39, -14, 4),
            (s * 46, -24, 8),
            (s * 58, -32, 10),
        ]
        canvas.paint_tube(middle, (1.5, 1.4, 1.2, 1.0, 0.9, 0.8, 0.6), bright)
        canvas.paint_tube(
            [(s * 38, 4, -8), (s * 39, 12, 2), (s * 48, 18, 4)], (0.9, 0.8, 0.6), bright
        )
        front = [
            (s * 11, 2, -21),
            (s * 2, 14, -18),
            (s * 1, 32, -8),
            (s * 1, 37, 6),
            (s * 1, 28, 24),
            (s * 1, 8, 31),
            (s * 1, -16, 32),
            (s * 1, -34, 28),
        ]
        canvas.paint_tube(front, (1.2, 1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6), bright)
        canvas.paint_tube(
            [(0, -12, -17), (s * 14, -16, -16), (s * 19, -32, -10), (s * 14, -52, 0)],
            (1.1, 1.1, 0.9, 0.7),
            bright,
        )
        canvas.paint_tube(
            [
                (0, -12, -46),
                (s * 7, -24, -62),
                (s * 10, -34, -80),
                (s * 20, -34, -88),
                (s * 22, -32, -102),
            ],
            (1.3, 1.4, 1.4, 1.5, 1.5),
            bright,
        )
    rng = np.random.default_rng(2026)
    for _ in range(60):  # medullary veins: dark lines of half a millimeter
        side = 1 if rng.random() < 0.5 else -1
        a = np.array([side * rng.uniform(16, 24), rng.uniform(-50, 36), rng.uniform(22, 32)])
        b = a + np.array([side * rng.uniform(2, 12), rng.uniform(-6, 6), rng.uniform(6, 16)])
        canvas.paint_tube([a, b], (0.35, 0.25), 120.0)
    for _ in range(5):  # enlarged perivascular spaces
        a = np.array([rng.uniform(20, 28) * rng.choice([-1, 1]), rng.uniform(-6, 10), -7.0])
        canvas.paint_tube([a, a + [1, 2, 6]], (0.8, 0.5), 60.0)
