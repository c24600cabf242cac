"""The heads of the first large networks: three dense layers on a map of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class DenseHead(nn.Module):
    """Three dense layers on a map, with dropout beside the two hidden ones.

        v_0 = flatten(x pooled to size x size)
        v_k = dropout(relu(fc_k(v_(k-1))))    or, with `dropout_first`,    relu(fc_k(dropout(v_(k-1)))),    k = 1, 2
        scores = fc_3(v_2)

    A map of exactly size x size is not changed by the pooling; other sizes are averaged, or repeated where smaller.

    Args:
        channels: of x.
        size: height and width of the map that the dense layers see.
        classes: length of a row of scores, >= 1.
        hidden: length of v_1 and v_2.
        dropout: share of the values that are left out in training, 0 to 1.
        dropout_first: whether dropout stands before a hidden layer or behind it.

    >>> import torch
    >>> DenseHead(4, 2, 10, hidden=8)(torch.zeros(3, 4, 5, 5)).shape
    torch.Size([3, 10])
    """

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        *,
        hidden: int = 4096,
        dropout: float = 0.5,
        dropout_first: bool = False,
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(size)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels * size * size, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, classes)
        self.relu = nn.ReLU(inplace=True)
        self.before = nn.Dropout(dropout if dropout_first else 0.0)
        self.behind = nn.Dropout(0.0 if dropout_first else dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to scores (N, classes)."""
        v = self.flatten(self.pool(x))
        for layer in (self.fc1, self.fc2):
            v = self.behind(self.relu(layer(self.before(v))))
        return self.fc3(v)
