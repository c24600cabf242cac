"""A perceptron whose layers halve. Needs scikit-learn."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, final

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH: Final = 64  # rows per step


@final
class HalvingMLP(MLPClassifier):
    """Dense layers of n/2, n/4 and n/8 units with ReLU, where n is the number of features.

    It trains with Adam until nothing gets better, for `max_iter` epochs at most, in steps of 64 rows.

    Args:
        max_iter: epochs at most.
        alpha: strength of the L2 penalty of the weights.
        random_state: of the first weights and of the order of rows.

    Source: the sizes are those of the code released with Y. Yang, Q. Wu, Y. Fu, X. Chen, "Continuous Convolutional
    Neural Network with 3D Input for EEG-Based Emotion Recognition", ICONIP 2018; the training is not.
    """

    def __init__(self, max_iter: int = 50, alpha: float = 1.0, random_state: int = 0) -> None:
        super().__init__(max_iter=max_iter, alpha=alpha, random_state=random_state)

    def fit(self, X: NDArray[np.float64], y: NDArray[np.int64]) -> HalvingMLP:
        """Train on X (N, n) and the classes y (N,)."""
        self.hidden_layer_sizes = tuple(max(2, X.shape[1] // share) for share in (2, 4, 8))
        self.batch_size = min(_BATCH, len(X))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)
            return super().fit(X, y)
