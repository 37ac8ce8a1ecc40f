"""Figures for publications: a comparison scene, drawn once.

page.py     panels placed in inches, color bars, and the file written
panels.py   the images and regions of one panel
figure.py   a whole scene
"""
