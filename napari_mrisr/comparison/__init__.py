"""Comparison of volumes, without a window and without drawing.

state.py       the frozen state: columns, roles, position, colors
opening.py     the first state: roles of the volumes, labels, view
document.py    a state saved as JSON, and its volumes found again
slices.py      cuts through volumes, in millimeters
scene.py       the content of every panel
roi.py         regions of interest, in millimeters
measures.py    numbers of a region
readouts.py    the numbers with their protocol
table.py       tables of numbers: CSV, clipboard
blinded/       blinded reading: cases, answers, unblinding
"""
