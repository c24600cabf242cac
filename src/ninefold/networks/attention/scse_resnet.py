"""scSE-ResNet-50: concurrent squeeze and excitation at the end of every residual branch.

stage     blocks   channels   squeezed
stage 1      3        256        128
stage 2      4        512        256
stage 3      6       1024        512
stage 4      3       2048       1024

The rest is ResNet-50 with the stride of a bottleneck in its 3x3.
"""

from __future__ import annotations

from dataclasses import replace

from ninefold.networks.classic.resnet import CARD, LATER_STRIDE, ResNet
from ninefold.networks.zoo import network
from ninefold.nn import Classifier, ConcurrentSqueezeExcitation, MeanHead


@network(
    replace(
        CARD,
        name="scse_resnet50",
        family="attention",
        paper="A. G. Roy, N. Navab, C. Wachinger: Concurrent Spatial and Channel Squeeze & Excitation in Fully "
        "Convolutional Networks, MICCAI",
        year=2018,
        link="https://arxiv.org/abs/1803.02579",
        parameters=45_714_360,
        macs=4_114_823_168,
        naming="",
        preprocessing="",
        differences=(
            "The paper segments, with a block behind every stage; here a classifier has one in every residual branch.",
            LATER_STRIDE,
        ),
    )
)
def scse_resnet50(classes: int, in_channels: int) -> Classifier:
    """Build ResNet-50 with scSE in every block."""
    backbone = ResNet(50, in_channels, attention=ConcurrentSqueezeExcitation)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))
