"""Tasks: measures of what a reader does with an image, by name."""

from __future__ import annotations

from typing import Any

from napari_mrisr.errors import ParameterError, explain
from napari_mrisr.evaluation.tasks.base import Task
from napari_mrisr.evaluation.tasks.lesions import LesionTask
from napari_mrisr.evaluation.tasks.tissue import TissueTask

TASKS: dict[str, Task[Any]] = {task.name: task for task in (LesionTask(), TissueTask())}
"""Every task; ``evaluate --task`` and ``bench --tasks`` offer them."""


def get_task(name: str) -> Task[Any]:
    """Return a task by name.

    Raises
    ------
    ParameterError
        If the name is unknown.
    """
    if name not in TASKS:
        raise ParameterError(explain("task", repr(name), f"choose from {', '.join(TASKS)}"))
    return TASKS[name]
