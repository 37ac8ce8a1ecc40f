"""Learn the anchors of a stage from a sample of its training voxels.

scikit-learn is needed here and nowhere else: a trained bank runs without it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_mrisr.bank.anchors import Anchors
from napari_mrisr.core.threads import ThreadPool
from napari_mrisr.core.volume import FloatArray, Shape
from napari_mrisr.errors import ParameterError, explain, install
from napari_mrisr.training.executor import StageJob
from napari_mrisr.training.presets import AnchorPlan
from napari_mrisr.training.sampling import describe_sample
from napari_mrisr.training.sources import TrainingVolume

SAMPLES = 200_000
"""Voxels over all volumes from which anchors are learned."""

MOST_VOLUMES = 6
"""Volumes, evenly spaced in the list, from which these voxels come."""

_SEED = 17
_BATCH = 4096


def require_scikit_learn() -> None:
    """Raise :class:`ParameterError` if scikit-learn is missing."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        found = "need scikit-learn, which is not installed"
        raise ParameterError(explain("anchors", found, install("anchors"))) from error


def volume_descriptions(
    job: StageJob, count: int, volume: TrainingVolume, pool: ThreadPool
) -> FloatArray:
    """Return descriptions of about ``count`` voxels of a volume, ``(n, inputs)``."""
    plan = job.plan
    assert plan.anchors is not None
    pair = next(volume.pairs(job.parameters, pool))
    return describe_sample(pair, plan.spec, plan.anchors.descriptor, job.before, count, pool)


def learn_anchors(plan: AnchorPlan, rows: FloatArray) -> Anchors:
    """Cluster descriptions into anchors.

    For an inner product, descriptions are projected to their principal components, scaled to
    length 1, pointed along the first component and clustered with their lengths as weights,
    since strong edges have more to gain.

    Parameters
    ----------
    plan : AnchorPlan
    rows : (n, inputs) ndarray of float32
        Descriptions; at least as many as anchors.

    Raises
    ------
    ParameterError
        If there are fewer descriptions, or scikit-learn is missing.
    """
    require_scikit_learn()
    if len(rows) < plan.count:
        found = f"{len(rows)} voxels for {plan.count} anchors"
        raise ParameterError(explain("anchors", found, "train on more or larger volumes"))
    if plan.descriptor.kind == "tensor":
        points = _cluster(rows, np.ones(len(rows)), plan.count)
        return Anchors(plan.descriptor, np.eye(rows.shape[1], dtype=np.float32), points)
    if plan.descriptor.kind == "gradients":
        operator = derivatives(plan.descriptor.shape)
    else:
        operator = np.eye(rows.shape[1])
    projection = operator @ _principal(rows @ operator.astype(np.float32), plan.dimensions)
    values = rows.astype(np.float64) @ projection
    values *= np.where(values[:, :1] < 0.0, -1.0, 1.0)
    lengths = np.linalg.norm(values, axis=1)
    values, lengths = values[lengths > 0.0], lengths[lengths > 0.0]
    points = _cluster(values / lengths[:, None], lengths, plan.count)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return Anchors(plan.descriptor, projection.astype(np.float32), points)


def derivatives(shape: Shape) -> NDArray[np.float64]:
    """Return the map from a patch to its first and second differences along each axis.

    Returns
    -------
    (taps, differences) ndarray of float64
        All positions at which the patch has the neighbors.
    """
    patch = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    parts = []
    for axis in range(1, 4):
        n = patch.shape[axis]
        behind, middle, ahead = (
            np.take(patch, range(start, n - 2 + start), axis) for start in range(3)
        )
        parts += [(ahead - behind) / 2.0, ahead - 2.0 * middle + behind]
    return np.concatenate([part.reshape(len(patch), -1) for part in parts], axis=1)


def _principal(rows: FloatArray, dimensions: int) -> NDArray[np.float64]:
    """Return the strongest principal components of rows scaled to the square root of length."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled = rows / np.sqrt(np.where(lengths > 0.0, lengths, 1.0))
    _, vectors = np.linalg.eigh((scaled.T @ scaled).astype(np.float64))
    return np.asarray(vectors[:, ::-1][:, :dimensions])


def _cluster(rows: NDArray[np.floating], weights: NDArray[np.float64], count: int) -> FloatArray:
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(count, batch_size=_BATCH, n_init=1, random_state=_SEED)
    means.fit(rows.astype(np.float32), sample_weight=weights)
    return np.asarray(means.cluster_centers_, dtype=np.float32)
