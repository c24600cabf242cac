"""The non-local block: every place sees every other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import nn

from ninefold.errors import InvalidInput
from ninefold.nn.initial import he_normal

if TYPE_CHECKING:
    from torch import Tensor

Pairwise = Literal["embedded_gaussian", "gaussian", "dot_product", "concatenation"]


class NonLocal(nn.Module):
    """Adds to every place i a mean over all places j, weighted by how i and j go together.

        y_i = 1 / C_i * sum over j of f(x_i, x_j) * g(x_j)
        z_i = bn(W * y_i + b) + x_i

        pairwise             f(x_i, x_j)                              C_i
        embedded_gaussian    exp(theta(x_i) . phi(x_j))               sum over j of f
        gaussian             exp(x_i . x_j)                           sum over j of f
        dot_product          theta(x_i) . phi(x_j)                    number of places j
        concatenation        relu(w . [theta(x_i); phi(x_j)])         number of places j

    g, theta and phi are 1x1 convolutions. The norm's scale starts at 0, so that the block starts as the identity.

    Args:
        channels: of x and z.
        inner: channels of g, theta and phi; None for channels / 2, as in the paper.
        pairwise: which f.
        subsample: whether the places j are those of g and phi after max pooling by 2; H and W are then at least 2.
        scale: whether theta . phi of the embedded Gaussian is divided by sqrt(inner), which keeps its softmax
            from being nearly one-hot.
        norm: whether bn is there; without it W and b start at 0.

    Raises:
        InvalidInput: when `pairwise` is none of the four.

    Source: X. Wang, R. Girshick, A. Gupta, K. He, "Non-local Neural Networks", CVPR 2018, sections 3 and 4.1.
    `scale` is not in the paper, but in the authors' code.

    >>> NonLocal(64, subsample=True)(torch.zeros(2, 64, 5, 7)).shape
    torch.Size([2, 64, 5, 7])
    """

    def __init__(
        self,
        channels: int,
        inner: int | None = None,
        *,
        pairwise: Pairwise = "embedded_gaussian",
        subsample: bool = False,
        scale: bool = False,
        norm: bool = True,
    ) -> None:
        super().__init__()
        if pairwise not in get_args(Pairwise):
            raise InvalidInput(f"pairwise={pairwise!r} came; choose one of {', '.join(get_args(Pairwise))}")
        inner = max(1, channels // 2) if inner is None else inner
        self.pairwise = pairwise
        self.scale = inner**-0.5 if scale and pairwise == "embedded_gaussian" else 1.0
        self.g = nn.Conv2d(channels, inner, 1)
        self.theta, self.phi = (_embedding(channels, inner, pairwise) for _ in range(2))
        self.w_theta, self.w_phi = (_half_of_w(inner, pairwise) for _ in range(2))
        self.pool = nn.MaxPool2d(2) if subsample else nn.Identity()
        self.out = nn.Conv2d(inner, channels, 1)
        self.bn = nn.BatchNorm2d(channels) if norm else nn.Identity()
        he_normal(self)
        for parameter in (self.bn.weight,) if norm else (self.out.weight, self.out.bias):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        theta = self.w_theta(self.theta(x)).flatten(2).transpose(1, 2)  # (N, H * W, inner), or 1 for inner
        phi = self.w_phi(self.pool(self.phi(x))).flatten(2)  # (N, inner, places), or 1 for inner
        g = self.pool(self.g(x)).flatten(2).transpose(1, 2)  # (N, places, inner)
        y = self._weights(theta, phi) @ g  # (N, H * W, inner)
        return x + self.bn(self.out(y.transpose(1, 2).unflatten(2, x.shape[2:])))

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """Give f(x_i, x_j) / C_i, (N, H * W, places)."""
        if self.pairwise == "concatenation":
            return torch.relu(theta + phi) / phi.shape[2]
        if self.pairwise == "dot_product":
            return theta @ phi / phi.shape[2]
        return torch.softmax(theta @ phi * self.scale, dim=2)


def _embedding(channels: int, inner: int, pairwise: Pairwise) -> nn.Module:
    return nn.Identity() if pairwise == "gaussian" else nn.Conv2d(channels, inner, 1)


def _half_of_w(inner: int, pairwise: Pairwise) -> nn.Module:
    """Make what stands before theta or phi in w . [theta; phi] = w_theta . theta + w_phi . phi."""
    return nn.Conv2d(inner, 1, 1, bias=False) if pairwise == "concatenation" else nn.Identity()
