"""Five published networks as `ninefold bench compile` runs them: compact, with random weights, for 3x224x224.

They are measured, never trained, so they have no card. Weights are drawn so that every layer keeps the scale of its
input (He), and batch norms are not the identity: a result says something about every layer, not only about the last
bias.

Source: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks", ICLR 2015 (vgg16: its convolutions, without the
dense layers); K. He et al., "Deep Residual Learning", CVPR 2016 (resnet18; resnet50 with the stride in the 3x3, as
torchvision does); M. Sandler et al., "MobileNetV2", CVPR 2018; F. Iandola et al., "SqueezeNet", arXiv 1602.07360
(version 1.1 of its authors' repository).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import torch
from torch import nn

from ninefold.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

INPUT: Final = (3, 224, 224)
_CLASSES: Final = 1000


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


def _vgg16() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = INPUT[0]
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _conv(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out)]


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, _CLASSES)]


@final
class _Sum(nn.Module):
    """activation(body(x) + shortcut(x)); the shortcut is the identity where shapes allow."""

    def __init__(self, body: list[nn.Module], shortcut: list[nn.Module], *, activation: bool) -> None:
        super().__init__()
        self.body, self.shortcut = nn.Sequential(*body), nn.Sequential(*shortcut)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x) + self.shortcut(x)
        return torch.relu(y) if self.activation else y


def _resnet(depths: tuple[int, ...], body: Callable[[int, int, int], list[nn.Module]], expansion: int) -> nn.Sequential:
    layers = [*_conv(3, 64, 7, stride=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        for block in range(depth):
            stride, out = (2 if stage and not block else 1), width * expansion
            is_same = stride == 1 and channels == out
            shortcut = [] if is_same else _conv(channels, out, 1, stride)
            layers.append(_Sum(body(channels, width, stride), shortcut, activation=True))
            channels = out
    return nn.Sequential(*layers, *_head(channels))


def _basic(channels: int, width: int, stride: int) -> list[nn.Module]:
    return [*_conv(channels, width, 3, stride), nn.ReLU(inplace=True), *_conv(width, width, 3)]


def _bottleneck(channels: int, width: int, stride: int) -> list[nn.Module]:
    first = [*_conv(channels, width, 1), nn.ReLU(inplace=True)]
    return [*first, *_conv(width, width, 3, stride), nn.ReLU(inplace=True), *_conv(width, 4 * width, 1)]


def _mobilenet_v2() -> nn.Sequential:
    layers = [*_conv(3, 32, 3, stride=2), nn.ReLU6(inplace=True)]
    channels = 32
    # Expansion, channels, blocks and first stride: table 2 of the paper.
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, out, depth, first in stages:
        for block in range(depth):
            layers += _inverted(channels, out, 1 if block else first, expansion)
            channels = out
    return nn.Sequential(*layers, *_conv(channels, 1280, 1), nn.ReLU6(inplace=True), *_head(1280))


def _inverted(channels: int, out: int, stride: int, expansion: int) -> list[nn.Module]:
    wide = channels * expansion
    widen = [*_conv(channels, wide, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
    body = [*widen, *_conv(wide, wide, 3, stride, groups=wide), nn.ReLU6(inplace=True), *_conv(wide, out, 1)]
    return [_Sum(body, [], activation=False)] if stride == 1 and channels == out else body


@final
class _Fire(nn.Module):
    """Squeeze by 1x1, then 1x1 and 3x3 side by side, concatenated."""

    def __init__(self, channels: int, squeezed: int, each: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.narrow, self.wide = nn.Conv2d(squeezed, each, 1), nn.Conv2d(squeezed, each, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.narrow(x)), torch.relu(self.wide(x))], dim=1)


def _squeezenet1_1() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
    channels = 64
    for squeezed, each, pools in (
        *((16, 64, False), (16, 64, True), (32, 128, False), (32, 128, True)),
        *((48, 192, False), (48, 192, False), (64, 256, False), (64, 256, False)),
    ):
        layers.append(_Fire(channels, squeezed, each))
        layers += [nn.MaxPool2d(3, 2)] if pools else []
        channels = 2 * each
    last = [nn.Conv2d(channels, _CLASSES, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *last)


NETWORKS: Final[dict[str, Callable[[], nn.Sequential]]] = {
    "vgg16": _vgg16,
    "resnet18": lambda: _resnet((2, 2, 2, 2), _basic, 1),
    "resnet50": lambda: _resnet((3, 4, 6, 3), _bottleneck, 4),
    "mobilenet_v2": _mobilenet_v2,
    "squeezenet1_1": _squeezenet1_1,
}
