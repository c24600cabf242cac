"""NL-ResNet-50: non-local blocks between the blocks of a residual network.

stage     channels   blocks of ResNet-50, with N for a non-local block
                     nl_resnet50    nl5_resnet50
stage 2      512     0 1 2 3        0 1 N 2 3 N
stage 3     1024     0 1 2 3 4 N 5  0 1 N 2 3 N 4 5 N

The rest is ResNet-50 with the stride of a bottleneck in its 3x3.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ninefold.networks.classic.resnet import CARD, LATER_STRIDE, ResNet
from ninefold.networks.zoo import network
from ninefold.nn import Classifier, MeanHead, NonLocal

if TYPE_CHECKING:
    from collections.abc import Sequence


def nl_resnet50(stage2: Sequence[int], stage3: Sequence[int], classes: int, in_channels: int) -> Classifier:
    """Build ResNet-50 with a non-local block before each of the named places in its second and third stages."""
    backbone = ResNet(50, in_channels)
    for stage, channels, places in ((backbone.stage2, 512, stage2), (backbone.stage3, 1024, stage3)):
        for place in sorted(places, reverse=True):
            stage.insert(place, NonLocal(channels))
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))


_CARD = replace(
    CARD,
    family="attention",
    paper="X. Wang, R. Girshick, A. Gupta, K. He: Non-local Neural Networks, CVPR",
    year=2018,
    link="https://arxiv.org/abs/1711.07971",
    naming="",
    preprocessing="",
    differences=(
        "The paper classifies video, and detects objects in pictures; here the same blocks classify pictures.",
        "Places are not sampled down inside a block, which the paper names as a way to save work.",
        LATER_STRIDE,
    ),
)

# The blocks of stages 2 and 3 that a non-local block stands before, or the end of the stage; parameters and MACs.
for _name, _stage2, _stage3, _parameters, _macs in (
    ("nl_resnet50", (), (5,), 27_658_792, 4_500_226_048),
    ("nl5_resnet50", (2, 4), (2, 4, 6), 32_915_496, 6_144_393_216),
):
    network(replace(_CARD, name=_name, parameters=_parameters, macs=_macs))(partial(nl_resnet50, _stage2, _stage3))
