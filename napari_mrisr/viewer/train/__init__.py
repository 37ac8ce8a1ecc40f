"""The "Train filters" dock widget.

``request.py`` (volumes, and the frozen request) and ``history.py`` (events so far, and
their texts) do not use Qt. ``charts.py``, ``volumes.py`` and ``panel.py`` show the form,
``widget.py`` connects them.
"""
