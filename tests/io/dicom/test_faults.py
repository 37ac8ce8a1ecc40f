"""Mutated files: no crash, no hang, one line each, and nothing of the patient."""

from __future__ import annotations

import io
import random
import time
import tracemalloc

import numpy as np
import pydicom
import pytest
from helpers import dicoms

import napari_mrisr as sr
from napari_mrisr.errors import MrisrError

NUMBER = 50
"""Mutated files per kind. 5,400 of all kinds and syntaxes were tried once."""


def contents(datasets):
    found = []
    for one in datasets:
        buffer = io.BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        found.append(buffer.getvalue())
    return found


def compressed(syntax):
    slices = dicoms.classic(dicoms.voxels((32, 40, 4)).astype(np.uint16))
    for one in slices:
        one.compress(syntax, generate_instance_uid=False)
    return slices


KINDS = {
    "classic": lambda: dicoms.classic(dicoms.voxels((20, 18, 4))),
    "enhanced": lambda: [dicoms.enhanced(dicoms.voxels((20, 18, 4)))],
    "mosaic": lambda: [dicoms.mosaic(dicoms.voxels((20, 18, 4)))],
    "RLE": lambda: compressed(pydicom.uid.RLELossless),
    "JPEG-LS": lambda: compressed(pydicom.uid.JPEGLSLossless),
}


def mutated(content, rng):
    data, end = bytearray(content), min(len(content), 5000)
    place = rng.randrange(132, end - 4)
    match rng.randrange(7):
        case 0:
            del data[rng.randrange(len(data)) :]
        case 1:
            for _ in range(rng.randrange(1, 20)):
                data[rng.randrange(132, end)] = rng.randrange(256)
        case 2:  # lengths
            data[place : place + 4] = rng.choice([b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0" * 4])
        case 3:  # types
            data[place : place + 2] = rng.choice([b"SQ", b"UN", b"OB", b"PN", b"DS", b"US", b"ZZ"])
        case 4:
            del data[place : place + rng.randrange(1, 200)]
        case 5:  # nested deeply
            item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
            data[place:place] = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item * 2000
        case _:  # rows, columns, frames, bits
            for tag in (b"\x28\0\x10\0", b"\x28\0\x11\0", b"\x28\0\x08\0", b"\x28\0\0\x01"):
                at = data.find(tag)
                if at > 0 and rng.random() < 0.5:
                    data[at + 8 : at + 10] = rng.randrange(65536).to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_end_in_one_line(tmp_path, kind):
    rng, files = random.Random(kind), contents(KINDS[kind]())
    outcomes = set()
    for number in range(NUMBER):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        chosen = rng.randrange(len(files))
        for i, content in enumerate(files):
            (folder / f"{i}").write_bytes(mutated(content, rng) if i == chosen else content)
        start = time.process_time()
        try:
            for series in sr.list_series(folder):
                assert "\n" not in series.problem
                sr.read_volume(series.path, frame=0)
            outcomes.add("read")
        except MrisrError as error:
            assert "\n" not in str(error)
            assert "Planted" not in str(error) and "PLANTED" not in str(error)
            outcomes.add("refused")
        assert time.process_time() - start < 5
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("claim", [b"\xff\xff\xff\x7f", b"\xfe\xff\xff\xff"])
def test_a_length_beyond_the_file_allocates_nothing(tmp_path, claim):
    dicoms.series(tmp_path)
    path = tmp_path / "IM0003"
    content = bytearray(path.read_bytes())
    at = content.find(b"\xe0\x7f\x10\x00OW")
    content[at + 8 : at + 12] = claim
    path.write_bytes(content)
    sr.list_series(tmp_path)
    tracemalloc.start()
    volume = sr.read_volume(tmp_path)  # all voxels are there
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(volume.data, dicoms.voxels()[::-1, ::-1])
    assert peak < 4_000_000
