"""Benchmarks that asv tracks over commits: time and peak memory.

asv run --quick --python=same    # one run of each, in this environment
asv continuous main HEAD         # compare two commits
"""

import sys
from pathlib import Path

# For inputs.py, which the table against peers uses as well.
sys.path.append(str(Path(__file__).resolve().parents[1]))
