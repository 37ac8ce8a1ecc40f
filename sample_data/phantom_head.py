"""Everything around the brain: skull, scalp, face, neck."""

from __future__ import annotations

import numpy as np
from phantom_brain import CSF, cerebrum_hull
from phantom_fields import Canvas, Field, capsule, carve, ellipsoid, join, noise

AIR, BONE, MARROW, MUSCLE, FAT, SKIN = 0.0, 9.0, 150.0, 92.0, 235.0, 118.0


def head_surface(x: Field, y: Field, z: Field, cavity: Field) -> Field:
    """Distance to the skin, negative inside."""
    ax = np.abs(x)
    skin = cavity - 13.5
    skin = join(skin, ellipsoid(ax, y, z, (0, 36, -50), (60, 44, 56)), 22)  # face
    skin = join(skin, ellipsoid(ax, y, z, (36, 56, -50), (24, 22, 22)), 16)  # cheeks
    skin = join(skin, ellipsoid(ax, y, z, (0, 52, -96), (40, 36, 34)), 18)  # jaw
    neck = np.sqrt((x / 1.04) ** 2 + (y + 30 - 0.10 * (z + 80)) ** 2) - 56 - 0.006 * (z + 84) ** 2
    neck = np.maximum(neck, z + 45)
    skin = join(skin, neck, 30)
    nose = capsule(ax, y, z, (0, 79, -18), (0, 92, -50), 6.0, 8.5)
    nose = join(nose, ellipsoid(ax, y, z, (9, 86, -54), (7, 9, 6.5)), 6)
    skin = join(skin, nose, 9)
    sockets = ellipsoid(ax, y, z, (33, 84, -25), (15, 10, 10))
    skin = carve(skin, -sockets, 10)
    skin = join(skin, ellipsoid(ax, y, z, (31, 68, -26), (13.5, 13, 12.5)), 3)  # lids
    lips = ellipsoid(ax, y, z, (0, 84, -76), (24, 9, 8))
    skin = join(skin, lips, 5)
    ear = ellipsoid(ax + 0.45 * (y + 18), y, z, (79, -24, -26), (3.5, 15, 27))
    ear = carve(ear, -ellipsoid(ax, y, z, (84, -18, -28), (6, 8, 14)), 3)
    return join(skin, ear, 5)


def skull_cavity(x: Field, y: Field, z: Field) -> Field:
    """Distance to the skull's cavity, negative inside: brain, its fluid and the upper cord."""
    ax = np.abs(x)
    cavity = cerebrum_hull(x, y, z, notch=0.0) - 1.6
    behind = ellipsoid(ax, y, z, (18, -60, -36), (38, 34, 24))
    cavity = join(cavity, behind, 16)
    cavity = join(cavity, ellipsoid(ax, y, z, (0, -24, -28), (26, 22, 26)), 12)
    cavity = join(cavity, capsule(x, y, z, (0, -36, -50), (0, -46, -74), 14, 10), 8)
    cavity = join(cavity, capsule(x, y, z, (0, -46, -74), (0, -50, -110), 9.5, 9.5), 6)
    cavity += 0.5 * noise(101, 30.0, 0.5)(x, y, z)
    return cavity


def paint_head(canvas: Canvas) -> Field:
    """Scalp, muscle and skull. Returns the distance to the skull's cavity."""
    x, y, z = canvas.at()
    ax = np.abs(x)
    cavity = skull_cavity(x, y, z)
    skin = head_surface(x, y, z, cavity)
    lumps = noise(102, 9.0, 0.35)(x, y, z)
    canvas.paint(skin, SKIN)
    fat = (FAT + 14 * noise(103, 12.0, 0.5)(x, y, z)).astype(np.float32)
    canvas.paint(skin + 1.9 + 0.25 * lumps, fat)
    # Muscle under the fat, in bundles with fat between them.
    bundles = noise(104, 19.0, 0.25)(x, y, 0.4 * z)
    flesh = (MUSCLE + 5 * noise(105, 3.5, 0.5)(x, y, 0.25 * z)).astype(np.float32)
    deep = 5.5 + np.clip((z + 34) * 0.25, 0, 20) + 1.5 * noise(106, 30.0, 0.5)(x, y, z)
    canvas.paint(np.maximum(skin + deep, 0.5 - 2.2 * np.abs(bundles)), flesh)
    # Temporalis: a fan beside the skull.
    fan = np.maximum(cavity - 13.0, ellipsoid(ax, y, z, (70, 18, -12), (24, 34, 44)))
    fan = np.maximum(fan, skin + 3.2)
    canvas.paint(np.maximum(fan, 0.25 - 2.0 * np.abs(bundles)), flesh)

    # Skull: two tables and the marrow between them.
    thick = 6.2 + 1.3 * noise(107, 45.0, 0.5)(x, y, z) + 0.9 * np.clip((-y - 60) / 30, 0, 1.5)
    thin = np.clip((ax - 52) / 14, 0, 1) * np.clip((12 - z) / 30, 0, 1)  # the temple
    thick = thick - 2.6 * thin
    low = np.clip((-58 - z) / 6, 0, 1) * 40  # the skull ends; the spine has its own bone
    bone = np.maximum(np.maximum(cavity - thick, low - 20 + 0 * z), skin + 2.5)
    canvas.paint(bone, BONE)
    marrow = (MARROW + 30 * noise(108, 8.0, 0.4)(x, y, z)).astype(np.float32)
    tables = 1.5 + 0.2 * lumps
    diploe = np.maximum(np.maximum(tables - cavity, cavity - thick + tables), bone + 1)
    canvas.paint(diploe, marrow, opacity=0.85)
    # Dura, a thin line inside the bone.
    canvas.paint(cavity, 70.0)
    canvas.paint(cavity + 0.8, CSF)
    return cavity


def paint_neck(canvas: Canvas, cavity: Field) -> None:
    """Spine, airway and the bone below the brain."""
    x, y, z = canvas.at()
    ax = np.abs(x)
    grain = noise(111, 5.0, 0.4)(x, y, z)
    marrow = (MARROW + 16 * grain).astype(np.float32)
    outside = 1.0 - cavity

    def bony(shape: Field, cortex: float, inner: Field = marrow) -> None:
        shape = np.maximum(shape, outside)
        canvas.paint(shape, BONE)
        canvas.paint(shape + cortex, inner)

    # Clivus and petrous bones.
    bony(capsule(ax, y, z, (0, 2, -30), (0, -16, -56), 6.5, 5.0), 1.2)
    petrous = capsule(ax, y, z, (16, -12, -38), (58, -32, -40), 7.0, 10.0)
    bony(petrous, 3.2)
    cells = np.maximum(ellipsoid(ax, y, z, (56, -34, -48), (10, 11, 15)), 0.35 - np.abs(grain))
    canvas.paint(ellipsoid(ax, y, z, (56, -34, -48), (12, 13, 18)), BONE + 20)
    canvas.paint(np.maximum(cells, outside), AIR)
    canvas.paint(capsule(ax, y, z, (50, -20, -38), (78, -20, -36), 2.2, 2.6), AIR)  # ear canal
    # Condyles, atlas, axis with its dens, third vertebra.
    bony(ellipsoid(ax, y, z, (19, -36, -62), (8, 10, 7)), 1.2)
    bony(ellipsoid(ax, y, z, (22, -37, -76), (11, 9, 6.5)), 1.2)
    bony(capsule(x, y, z, (0, -26, -66), (0, -28, -84), 4.8, 5.4), 1.2)
    bony(ellipsoid(x, y, z, (0, -30, -91), (13, 9, 8)), 1.2)
    bony(capsule(x, y, z, (0, -20, -70), (0, -20, -74), 3.0, 3.0), 1.0)
    for s, t, u in ((-62, -70, 4.0), (-78, -96, 5.0)):
        bony(capsule(x, y, z, (0, u - 68, s), (0, u - 76, t - 2), 3.6, 4.4), 1.1)
    # Pharynx, trachea and the soft palate.
    throat = capsule(x, y, z, (0, -2, -52), (0, -8, -102), 8.0, 7.0)
    throat = np.maximum(throat, np.abs(y + 4 + 0.08 * (z + 70)) - 5.5)
    canvas.paint(throat - 1.6, 122.0)
    canvas.paint(throat, AIR)


def paint_face(canvas: Canvas) -> None:
    """Eyes, sinuses, nose, mouth and jaw."""
    box = canvas.box((-70, -20, -104), (70, 112, 24), margin=0)
    x, y, z = canvas.at(box)
    ax = np.abs(x)
    fold = noise(121, 11.0, 0.35)(x, y, z)
    # Bones of the face: cheekbone, upper jaw, forehead, nasal bone.
    for center, radii in (
        ((46.0, 56.0, -42.0), (11.0, 14.0, 7.0)),
        ((22.0, 62.0, -62.0), (22.0, 18.0, 16.0)),
        ((0.0, 66.0, -66.0), (20.0, 14.0, 9.0)),
    ):
        shape = ellipsoid(ax, y, z, center, radii)
        canvas.paint(shape, BONE, box)
        canvas.paint(shape + 1.6 + 0.8 * fold, MARROW + 20, box)
    canvas.paint(capsule(ax, y, z, (54, 44, -42), (68, 2, -40), 3.4, 2.8), BONE + 10, box)
    # Orbits: fat, muscles, nerve, eye.
    cone = capsule(ax, y, z, (32, 60, -27), (14, 22, -25), 16.5, 6.0)
    canvas.paint(cone - 1.4, BONE, box)
    canvas.paint(cone, FAT - 5, box)
    for dx, dz in ((9.5, 0.0), (-9.5, 0.0), (0.0, 9.0), (0.0, -9.0)):
        muscle = capsule(
            ax,
            y,
            z,
            (32 + dx * 1.15, 58, -27 + dz * 1.15),
            (15 + dx * 0.2, 26, -25 + dz * 0.2),
            1.9,
            1.2,
        )
        canvas.paint(muscle, MUSCLE + 8, box)
    canvas.paint(capsule(ax, y, z, (31, 50, -27), (6, 8, -20), 2.0, 1.8), 150.0, box)
    eye = ellipsoid(ax, y, z, (32.5, 63, -27), (12.2, 12.4, 12.2))
    canvas.paint(eye, 105.0, box)
    canvas.paint(eye + 1.3, 30.0, box)
    canvas.paint(ellipsoid(ax, y, z, (32.5, 71.5, -27), (4.6, 2.3, 4.6)), 112.0, box)
    # Air: frontal, sphenoid, ethmoid and maxillary sinuses, lined.
    for center, radii in (
        ((8.0, 72.0, -8.0), (8.0, 4.5, 8.0)),
        ((7.0, 14.0, -38.0), (8.0, 10.0, 7.5)),
        ((29.0, 56.0, -54.0), (13.0, 15.0, 13.0)),
    ):
        sinus = ellipsoid(ax, y, z, center, radii) + 0.8 * fold
        canvas.paint(sinus - 1.6, BONE, box)
        canvas.paint(sinus - 0.7, 110.0, box)
        canvas.paint(sinus, AIR, box)
    cells = ellipsoid(ax, y, z, (7, 42, -32), (8, 22, 10))
    canvas.paint(cells, 60.0, box)
    canvas.paint(np.maximum(cells, 0.5 - np.abs(fold)), AIR, box)
    # Nose: septum, conchae, nostrils.
    hollow = ellipsoid(ax, y, z, (0, 50, -54), (15, 36, 17))
    canvas.paint(hollow - 1.2, 100.0, box)
    canvas.paint(np.maximum(hollow, 0.9 - ax), AIR, box)
    for height, wide in ((-47, 3.4), (-55, 4.2), (-64, 4.8)):
        concha = capsule(ax, y, z, (8, 68, height), (8, 26, height + 3), wide, wide * 0.8)
        canvas.paint(concha, 118.0, box)
        canvas.paint(np.abs(concha + 2.4) - 0.4, 30.0, box)
    canvas.paint(capsule(ax, y, z, (6, 80, -56), (7, 90, -62), 3.4, 3.0), AIR, box)
    # Mouth: palate, tongue with its fat lines, teeth, lower jaw.
    palate = np.maximum(
        np.abs(z + 72 - 0.004 * (y - 40) ** 2) - 2.2,
        ellipsoid(ax, y, z, (0, 44, -72), (22, 34, 14)),
    )
    canvas.paint(palate, MARROW - 30, box)
    tongue = ellipsoid(ax, y, z, (0, 38, -92), (23, 34, 17))
    canvas.paint(tongue, MUSCLE + 12, box)
    strands = noise(122, 7.0, 0.3)(x, y * 0.5, z)
    canvas.paint(np.maximum(tongue + 3, 0.35 - np.abs(strands) * 0.6 + 0.1 * ax), FAT - 70, box)
    arch = np.sqrt((ax / 26) ** 2 + ((y - 38) / 38) ** 2)
    row = np.maximum(np.abs(arch - 1) * 28 - 3.4, np.abs(z + 80) - 8)
    row = np.maximum(row, 36 - y)
    canvas.paint(row, BONE + 4, box)
    turns = np.arctan2((y - 38).astype(np.float64), ax.astype(np.float64) + 0.01)
    tooth = np.abs(turns * 5.2 - np.rint(turns * 5.2)).astype(np.float32)
    canvas.paint(np.maximum(row + 1, tooth * 5 - 0.8), 70.0, box)
    jaw = capsule(ax, y, z, (16, 70, -98), (42, 24, -92), 6.5, 6.0)
    jaw = join(jaw, capsule(ax, y, z, (43, 20, -92), (50, 6, -46), 6.0, 4.5), 4)
    canvas.paint(jaw, BONE, box)
    canvas.paint(jaw + 1.8 + 0.4 * fold, MARROW + 25, box)
    masseter = capsule(ax, y, z, (55, 30, -50), (50, 18, -90), 6.5, 8.0)
    canvas.paint(np.maximum(masseter, 0.8 - jaw), MUSCLE, box)
    canvas.paint(np.maximum(masseter, np.abs(strands) - 0.12), FAT - 60, box)
