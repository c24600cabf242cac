"""A convolution in which a table says which output channel sees which input channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class TableConv2d(nn.Module):
    """A convolution whose output channel o sees only the input channels in `table[o]`.

        y[n, o] = b[o] + sum over c in table[o] of  x[n, c] * w[o, c]         (cross-correlation, stride 1, no padding)

    Only the kernels of the table exist as parameters; they are laid into a dense weight with zeros elsewhere, so the
    arithmetic done is that of a dense convolution.

    Args:
        in_channels: channels of x; every entry of the table is below it.
        table: for each output channel, the input channels it sees, at least one each.
        kernel: height and width of the kernels, >= 1.

    Source: Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 1998, Table I.
    """

    def __init__(self, in_channels: int, table: Sequence[Sequence[int]], kernel: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.fan_in = [len(seen) * kernel * kernel for seen in table]
        places = [o * in_channels + c for o, seen in enumerate(table) for c in seen]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(places), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(len(table)))
        self.reset_parameters()

    def reset_parameters(self, gain: float = 1.0) -> None:
        """Draw every kernel from uniform(-gain / fan_in, gain / fan_in), fan_in counted per output channel."""
        bounds = [gain / n for n in self.fan_in for _ in range(n // self.weight[0].numel())]
        with torch.no_grad():
            scale = torch.tensor(bounds, device=self.weight.device)
            self.weight.uniform_(-1.0, 1.0).mul_(scale[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, len(table), H - kernel + 1, W - kernel + 1)."""
        outputs, (height, width) = len(self.fan_in), self.weight.shape[1:]
        dense = self.weight.new_zeros(outputs * self.in_channels, height, width).index_copy(0, self.places, self.weight)
        return F.conv2d(x, dense.view(outputs, self.in_channels, height, width), self.bias)
