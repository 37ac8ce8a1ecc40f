"""The "Train filters" dock widget.

model.py    volumes to choose from, the frozen request, events so far and their texts; no Qt
volumes.py  list of volumes
panel.py    form and charts; no logic
widget.py   the dock
"""
