"""The global context block: one weighted mean over all places, transformed and added to every place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.nn.initial import he_normal

if TYPE_CHECKING:
    from torch import Tensor


class GlobalContext(nn.Module):
    """Adds to every place the same vector, computed from a weighted mean over all places.

        a = softmax over places j of (w . x_j + b)
        context = sum over j of a_j * x_j
        y_i = x_i + W2 * relu(layer_norm(W1 * context + b1)) + b2

    W2 and b2 start at 0, so that the block starts as the identity. b changes nothing, as the softmax cancels it; the
    authors' code has it, and so have their weights.

    Args:
        channels: of x and y.
        squeezed: rows of W1; None for channels / 16, as in the paper.

    Source: Y. Cao, J. Xu, S. Lin, F. Wei, H. Hu, "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and
    Beyond", ICCV Workshops 2019, equation 5.

    >>> GlobalContext(64)(torch.zeros(2, 64, 5, 7)).shape
    torch.Size([2, 64, 5, 7])
    """

    def __init__(self, channels: int, squeezed: int | None = None) -> None:
        super().__init__()
        squeezed = max(1, channels // 16) if squeezed is None else squeezed
        self.mask = nn.Conv2d(channels, 1, 1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.norm = nn.LayerNorm([squeezed, 1, 1])
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        he_normal(self.mask)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        weights = torch.softmax(self.mask(x).flatten(2), dim=2)  # (N, 1, H * W)
        context = (x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3)  # (N, C, 1, 1)
        return x + self.fc2(self.act(self.norm(self.fc1(context))))
