"""Concurrent squeeze and excitation (scSE): a gate per channel and a gate per place, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ninefold.nn.squeeze_excitation import SqueezeExcitation

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class ConcurrentSqueezeExcitation(nn.Module):
    """The sum of a map gated per channel (cSE) and the same map gated per place (sSE).

        q = sigmoid(w . x[:, i, j] + b)
        y[c, i, j] = s_c * x[c, i, j] + q[i, j] * x[c, i, j]        with s as in `SqueezeExcitation`

    Args:
        channels: of x and y.
        squeezed: inner channels of the gate per channel; None for channels / 2, as in the paper.
        combine: what brings both together; `torch.add` is the paper's, `torch.maximum` that of the authors' later code.

    Source: A. G. Roy, N. Navab, C. Wachinger, "Concurrent Spatial and Channel Squeeze & Excitation in Fully
    Convolutional Networks", MICCAI 2018, section 2.

    >>> ConcurrentSqueezeExcitation(64)(torch.zeros(2, 64, 5, 7)).shape
    torch.Size([2, 64, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        squeezed: int | None = None,
        *,
        combine: Callable[[Tensor, Tensor], Tensor] = torch.add,
    ) -> None:
        super().__init__()
        self.channel = SqueezeExcitation(channels, max(1, channels // 2) if squeezed is None else squeezed)
        self.place = nn.Conv2d(channels, 1, 1)
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return self.combine(self.channel(x), x * torch.sigmoid(self.place(x)))
