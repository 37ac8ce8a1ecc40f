"""Calibrate the expected error of a network, after its training.

    python scripts/calibrate_network.py DATA NETWORK.onnx

DATA holds train/ and lesions/, as for scripts/train_network.py. The file is replaced: its
metadata get the calibration and the ranges of traits of the volumes (degraded), which the
cautions compare with. Weights and the other metadata stay. About 2 minutes on two idle
cores; longer for an unrolled network, whose results are whole volumes (``--every 5``).
Then ``scripts/calibration_table.py --scale 4x1x1 --bank NETWORK.onnx`` measures it on val/.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from napari_mrisr.core.threads import ThreadPool, processors
from napari_mrisr.core.volume import Volume
from napari_mrisr.io import read_volume
from napari_mrisr.io.atomic import atomic_write
from napari_mrisr.networks.file import load_network, with_metadata
from napari_mrisr.training.calibrate_network import calibrated_network

FLAIR = "lesions/ms26_FLAIR.nii.gz"


def volumes(data: Path, every: int) -> Iterator[tuple[Volume, tuple[int, ...]]]:
    """Yield the training volumes with the axes that the scanner did not interpolate."""
    paths = sorted((data / "train").glob("*.nii.gz"))[::every]
    for path in [*paths, data / FLAIR]:
        print(time.strftime("%H:%M:%S"), path.name, flush=True)
        yield read_volume(path), (0, 1) if path.name.startswith("ds002748") else (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("network", type=Path)
    parser.add_argument("--factor", type=int, nargs="*")
    parser.add_argument("--tiles", type=int, default=1, help="per volume and factor")
    parser.add_argument("--every", type=int, default=1, help="use every n-th volume of train/")
    parser.add_argument("--threads", type=int, default=processors())
    arguments = parser.parse_args()
    network = load_network(arguments.network)
    series, ranges = calibrated_network(
        network,
        volumes(arguments.data, arguments.every),
        factors=arguments.factor,
        tiles=arguments.tiles,
        pool=ThreadPool(arguments.threads),
    )
    provenance = dict(network.provenance)
    if arguments.every == 1 or not provenance.get("traits"):  # a part has narrower ranges
        provenance["traits"] = ranges.to_json()
    content = with_metadata(network.content, calibration=series.to_json(), provenance=provenance)
    with atomic_write(arguments.network) as temporary:
        temporary.write_bytes(content)
    print(f"calibrated for factors {', '.join(f'{f:g}' for f in series.factors)}")


if __name__ == "__main__":
    main()
