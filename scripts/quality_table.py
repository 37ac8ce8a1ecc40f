"""The validation table of docs/banks.md, from what ``napari-mrisr evaluate --json`` wrote.

python scripts/quality_table.py RESULT.json [...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(paths: list[str]) -> None:
    for path in paths:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["rows"]
        picked = [r for r in rows if r["method"] == "hashed" and r["mask"] == "head"]
        scales = list(dict.fromkeys(r["scale"] for r in picked))
        start = {(r["file"], r["scale"]): r for r in rows if r["method"] == "tricubic"
                 and r["mask"] == "head"}  # fmt: skip
        print(f"\n| {Path(path).stem} | " + " | ".join(f"{s}×" for s in scales) + " |")
        print("|---" * (len(scales) + 1) + "|")
        for file in dict.fromkeys(r["file"] for r in picked):
            cells = []
            for scale in scales:
                row = next(r for r in picked if r["file"] == file and r["scale"] == scale)
                before = start[file, scale]
                cells.append(
                    f"**{row['gain_db']:+.2f}** ({before['psnr_db']:.2f} → {row['psnr_db']:.2f};"
                    f" {before['ssim']:.3f} → {row['ssim']:.3f})"
                )
            print(f"| {Path(file).name.split('.')[0]} | " + " | ".join(cells) + " |")
        means = [
            sum(r["gain_db"] for r in picked if r["scale"] == s)
            / sum(r["scale"] == s for r in picked)
            for s in scales
        ]
        print("| mean | " + " | ".join(f"**{m:+.2f}**" for m in means) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
