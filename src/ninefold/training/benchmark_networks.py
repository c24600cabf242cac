"""Five networks of the zoo as `ninefold bench compile` runs them: with random weights, giving one tensor.

They are measured, never trained. Weights are drawn so that every layer keeps the scale of its input (He), and batch
norms are not the identity: a result says something about every layer, not only about the last bias. vgg16 is its
convolutions, without the dense layers.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, final

import torch
from torch import nn

from ninefold.errors import UnknownName
from ninefold.networks import create as network
from ninefold.networks.classic import VGG

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ninefold.nn import Backbone

INPUT: Final = (3, 224, 224)


def create(name: str, seed: int = 0) -> nn.Module:
    """Build a benchmark network in evaluation mode.

    Args:
        name: one of `NETWORKS`.
        seed: of the weights.

    Raises:
        UnknownName: when there is no network of that name.
    """
    if name not in NETWORKS:
        raise UnknownName.among("benchmark network", name, NETWORKS)
    model = NETWORKS[name]()
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        _draw(module, generator)
    return model.eval()


def picture(batch: int, seed: int = 0) -> Tensor:
    """Draw pictures (N, 3, 224, 224), normally distributed."""
    return torch.randn(batch, *INPUT, generator=torch.Generator().manual_seed(seed))


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if module.bias is not None:
            nn.init.normal_(module.bias, std=0.1, generator=generator)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.uniform_(module.weight, 0.8, 1.2, generator=generator)
        nn.init.normal_(module.bias, std=0.1, generator=generator)
        module.running_mean.normal_(std=0.1, generator=generator)
        module.running_var.uniform_(0.8, 1.2, generator=generator)


@final
class _Scores(nn.Module):
    """A network's scores alone."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = network(name)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).scores


@final
class _LastMap(nn.Module):
    """A backbone's last map alone."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images)[-1]


NETWORKS: Final[dict[str, Callable[[], nn.Module]]] = {
    "vgg16": lambda: _LastMap(VGG(16, INPUT[0])),
    **{name: partial(_Scores, name) for name in ("resnet18", "resnet50", "mobilenet_v2", "squeezenet1_1")},
}
