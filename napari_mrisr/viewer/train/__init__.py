"""The "Train filters" dock widget.

``entries.py``, ``request.py``, ``story.py`` and ``texts.py`` know no Qt: volumes
to train on, the frozen request, what a training has told so far, and how to say
it. ``charts.py`` paints, ``volumes.py`` and ``panel.py`` are looks, ``widget.py``
brings them together.
"""
