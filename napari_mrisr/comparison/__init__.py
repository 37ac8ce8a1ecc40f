"""The reading room without a window: what is compared, where, and its numbers.

slices.py      cuts through volumes, in millimeters
scene.py       what every panel shows
state.py       what is shown, frozen
document.py    the state to and from JSON
files.py       the document on disk, and its volumes found again
roi.py         regions of interest, in millimeters
readouts.py    their numbers, each with its protocol
measures.py    the numbers without words
resample.py    one volume at another's voxels
consistency.py a volume, degraded, against the measured one
facts.py       data ranges and heads, kept
table.py       rows, CSV, clipboard
blinded.py     reading without names: the plan, the answers
cases.py       the list of cases
unblind.py     the answers with names, counts and a test
figure.py      the figure for a publication
"""
