"""Fit the feature distance of a network on images that it was not trained on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold

from breast_ultrasound.network.deepest_features import FeatureDistance

# The share of held-out images that lie nearer than the distance 1.
_SHARE = 0.99
_PARTS = 5


def fit_feature_distance(features: NDArray[np.float32], groups: NDArray[np.int64]) -> FeatureDistance | None:
    """Return the distance of features [n, channels] of held-out images; None where these are of a single group.

    A distance of 1 is exceeded by one held-out image in a hundred, where the distance is fitted on other groups (five
    parts). The covariance is shrunk (Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance
    matrices, J. Multivariate Analysis 88, 2004).
    """
    parts = min(_PARTS, len(np.unique(groups)))
    if parts < 2:
        return None
    distances = np.empty(len(features))
    for others, part in GroupKFold(parts).split(features, groups=groups):
        mean, whitening = _gaussian(features[others])
        distances[part] = np.linalg.norm((features[part] - mean) @ whitening, axis=1)
    mean, whitening = _gaussian(features)
    # In float16 as exported files keep it: the last digits of an eigenvalue differ from processor to processor.
    scaled = (whitening / np.quantile(distances, _SHARE)).astype(np.float16)
    return FeatureDistance(mean.astype(np.float32), scaled.astype(np.float32))


def _gaussian(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean [channels] and the inverse square root of the covariance [channels, channels]."""
    fitted = LedoitWolf().fit(features.astype(np.float64))
    values, vectors = np.linalg.eigh(fitted.covariance_)
    smallest = np.finfo(np.float32).eps * values[-1]
    return fitted.location_, (vectors / np.sqrt(np.maximum(values, smallest))) @ vectors.T
