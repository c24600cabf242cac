"""GC-ResNet-50: a global context block at the end of every residual branch from stage 2 on.

stage     blocks   channels   squeezed: r = 16   r = 4
stage 1      3        256             none        none
stage 2      4        512               32         128
stage 3      6       1024               64         256
stage 4      3       2048              128         512

The rest is ResNet-50 with the stride of a bottleneck in its 3x3.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ninefold.networks.classic.resnet import CARD, LATER_STRIDE, ResNet
from ninefold.networks.zoo import network
from ninefold.nn import Classifier, GlobalContext, MeanHead


def gc_resnet50(ratio: int, classes: int, in_channels: int) -> Classifier:
    """Build ResNet-50 with global context blocks that squeeze the channels by a ratio."""
    backbone = ResNet(
        50, in_channels, attention=lambda channels: GlobalContext(channels, channels // ratio), attended=(2, 3, 4)
    )
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))


_CARD = replace(
    CARD,
    family="attention",
    paper="Y. Cao, J. Xu, S. Lin, F. Wei, H. Hu: GCNet: Non-local Networks Meet Squeeze-Excitation Networks and "
    "Beyond, ICCV Workshops",
    year=2019,
    link="https://arxiv.org/abs/1904.11492",
    naming="",
    preprocessing="",
    differences=(LATER_STRIDE,),
)

# Ratio, parameters, MACs, and the box AP of Mask R-CNN on this backbone.
for _name, _ratio, _parameters, _macs, _ap in (
    ("gc_resnet50", 16, 28_078_773, 4_094_785_536, 38.5),
    ("gc_resnet50_r4", 4, 35_557_941, 4_102_256_640, 38.9),
):
    _published = f"{_ap} box AP, COCO, as the backbone of Mask R-CNN; 37.3 without the blocks (the authors' repository)"
    _card = replace(_CARD, name=_name, parameters=_parameters, macs=_macs, published=_published)
    network(_card)(partial(gc_resnet50, _ratio))
