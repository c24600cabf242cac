"""A dense layer over the features of sites: the convolution under which every site meets itself, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import nn

from ninefold.sparse.conv import conv, finished_conv
from ninefold.sparse.fusing import is_plain
from ninefold.sparse.map import kernel_map
from ninefold.sparse.norm import is_ours
from ninefold.sparse.tensor import SparseTensor
from ninefold.spec import SparseSpec

if TYPE_CHECKING:
    from typing import TypeGuard

    from ninefold.sparse.engine import Ending


@final
class Dense:
    """A layer of torch's, computed as a convolution: by the same workers as those before and behind it.

    Args:
        layer: that `is_dense` takes.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.bias = layer.bias
        self._weight = layer.weight

    def __call__(self, x: SparseTensor, ending: Ending | None = None) -> SparseTensor:
        """Give the same sites with the layer's features.

        Args:
            x: of as many channels as it wants.
            ending: what is done to every sum instead of adding the bias; without gradients.
        """
        ones = (1,) * len(x.size)
        pairs = kernel_map(x.sites, SparseSpec.of(x.size, ones, kind="submanifold"))
        weight = self._weight.view(len(self._weight), *ones, -1)
        if ending is None:
            return x.with_features(conv(x.features, weight, self.bias, pairs))
        return x.with_features(finished_conv(x.features, weight, ending, pairs))


def is_dense(layer: object, x: object) -> TypeGuard[nn.Linear]:
    """Whether a layer is torch's dense one, and our kernels compute it on x."""
    if not (isinstance(x, SparseTensor) and isinstance(layer, nn.Linear) and is_plain(layer, nn.Linear)):
        return False
    return is_ours(x.features) and is_ours(layer.weight) and x.channels == layer.in_features
