"""Training of a filter bank from high-resolution volumes.

Stages are trained one after the other: the first over all volumes, the second on the
result of the first. Within a stage, each volume adds to
:class:`~napari_mrisr.training.normal_equations.NormalEquations`, which are saved after
each volume. A resumed training continues from there. The first stage adds new volumes
to its sums, and later stages, whose input has changed, go over all volumes again. So
adding volumes later equals training on all of them at once. Only the preset ``paper``
keeps the terciles of the volumes of the first call.

- ``run``: the training; ``events``: what it reports
- ``presets``: parameters and recipes; ``cost``: memory and time
- ``sources``: volumes; ``sampling``: their samples; ``accumulate``: samples into sums
- ``normal_equations``: the sums and their solution; ``checkpoint``: the sums on disk
- ``executor``: computing in this process or elsewhere
- ``validation``: the gain after each volume; ``finish``: from sums to a bank
"""

from napari_mrisr.training.checkpoint import checkpoint_path
from napari_mrisr.training.run import TrainingReport, Watch, train

__all__ = ["TrainingReport", "Watch", "checkpoint_path", "train"]
