"""What tells layers that read sparse tensors from layers that read features, and the sequence that asks."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from ninefold.sparse.fusing import applied
from ninefold.sparse.spconv.errors import Refused
from ninefold.sparse.spconv.pytorch.core import SparseConvTensor

if TYPE_CHECKING:
    from torch import Tensor


class SparseModule(nn.Module):
    """A layer that reads sparse tensors; derive yours from it.

    Args:
        name: anything.
    """

    is_convolution: ClassVar[bool] = False

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.name = name
        self._sparse_unique_name = ""


class SparseSequential(SparseModule):
    """Layers one after the other; those that know nothing of sites get the features, if there are any rows.

    Args:
        args: layers, or one OrderedDict of them.
        kwargs: further layers under their names.
    """

    def __init__(self, *args: nn.Module | OrderedDict[str, nn.Module], **kwargs: nn.Module) -> None:
        super().__init__()
        first = args[0] if args else None
        named = first if len(args) == 1 and isinstance(first, OrderedDict) else {str(n): m for n, m in enumerate(args)}
        for name, module in [*named.items(), *kwargs.items()]:
            if name in self._modules:
                raise Refused(f"two layers are called {name!r}; give them different names")
            self.add_module(name, module)

    def __getitem__(self, idx: int) -> nn.Module:
        """Give a layer by its number; negative ones count from the end."""
        return list(self._modules.values())[idx]

    def __len__(self) -> int:
        """Give the number of layers."""
        return len(self._modules)

    def add(self, module: nn.Module, name: str | None = None) -> None:
        """Append a layer.

        Args:
            module: any.
            name: None for its number.
        """
        self.add_module(str(len(self)) if name is None else name, module)

    def forward(self, x: Any) -> Any:
        """Give what the last layer gives."""
        layers, place = list(self._modules.values()), 0
        while place < len(layers):
            rest, count = layers[place:], 1
            if is_spconv_module(rest[0]) or not isinstance(x, SparseConvTensor):
                x = rest[0](x)
            elif len(x.indices):
                features, count = applied(x.features, rest)
                x = x.replace_feature(features)
            place += count
        return x


class SparseBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of features."""

    def forward(self, x: SparseConvTensor | Tensor) -> SparseConvTensor | Tensor:
        """Give the same kind as came."""
        return x.replace_feature(super().forward(x.features)) if isinstance(x, SparseConvTensor) else super().forward(x)


class SparseSyncBatchNorm(nn.SyncBatchNorm):
    """Batch normalisation of features over all processes."""

    def forward(self, x: SparseConvTensor | Tensor) -> SparseConvTensor | Tensor:
        """Give the same kind as came."""
        return x.replace_feature(super().forward(x.features)) if isinstance(x, SparseConvTensor) else super().forward(x)


class SparseReLU(nn.ReLU):
    """max(x, 0) of features."""

    def forward(self, x: SparseConvTensor | Tensor) -> SparseConvTensor | Tensor:
        """Give the same kind as came."""
        return x.replace_feature(super().forward(x.features)) if isinstance(x, SparseConvTensor) else super().forward(x)


class SparseIdentity(nn.Identity):
    """What came."""


class PrintTensorMeta(nn.Module):
    """Prints the least, the largest and the mean feature, and gives what came."""

    def forward(self, x: SparseConvTensor | Tensor) -> SparseConvTensor | Tensor:
        """Give what came."""
        features = x.features if isinstance(x, SparseConvTensor) else x
        print(features.min(), features.max(), features.mean())  # noqa: T201  # its purpose
        return x


class ToDense(SparseModule):
    """The grid with all cells."""

    def forward(self, x: SparseConvTensor) -> Tensor:
        """Give (batch, C, *size)."""
        return x.dense()


class RemoveGrid(SparseModule):
    """Forgets what was carried along as `grid`."""

    def forward(self, x: SparseConvTensor) -> SparseConvTensor:
        """Give what came, changed."""
        x.grid = None
        return x


def is_spconv_module(module: nn.Module) -> bool:
    """Say whether a layer in a `SparseSequential` gets the sparse tensor."""
    return isinstance(module, SparseModule | SparseBatchNorm | SparseReLU)


def is_sparse_conv(module: nn.Module) -> bool:
    """Say whether a layer is a sparse convolution."""
    return isinstance(module, SparseModule) and module.is_convolution


def assign_name_for_sparse_modules(module: nn.Module) -> None:
    """Write into every sparse layer where in a network it is.

    Args:
        module: the network.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, SparseModule):
            layer._sparse_unique_name = name  # noqa: SLF001
