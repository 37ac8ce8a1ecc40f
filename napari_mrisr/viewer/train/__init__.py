"""The "Train" dock widget.

model.py    volumes to choose from, the frozen request, events so far and their texts; no Qt
network.py  request, events and texts of a network's training; no Qt
volumes.py  list of volumes
charts.py   gain, support and training error by matplotlib
panel.py    form; no logic
widget.py   the dock
"""
