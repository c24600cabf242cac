"""CBAM-ResNet-50: a gate per channel, then a gate per place, at the end of every residual branch.

stage     blocks   channels   squeezed   kernel of the gate per place
stage 1      3        256         16     7x7
stage 2      4        512         32     7x7
stage 3      6       1024         64     7x7
stage 4      3       2048        128     7x7

The rest is ResNet-50 with the stride of a bottleneck in its 3x3.
"""

from __future__ import annotations

from dataclasses import replace

from ninefold.networks.classic.resnet import CARD, LATER_STRIDE, TORCHVISION, ResNet
from ninefold.networks.zoo import network
from ninefold.nn import CBAM, Classifier, MeanHead

_OFFICIAL = (
    (r"[.]cbam[.]ChannelGate[.]mlp[.]1[.]", ".attention.channel.fc1."),
    (r"[.]cbam[.]ChannelGate[.]mlp[.]3[.]", ".attention.channel.fc2."),
    (r"[.]cbam[.]SpatialGate[.]spatial[.]", ".attention.place."),
    *TORCHVISION,
)


@network(
    replace(
        CARD,
        name="cbam_resnet50",
        family="attention",
        paper="S. Woo, J. Park, J.-Y. Lee, I. S. Kweon: CBAM: Convolutional Block Attention Module, ECCV",
        year=2018,
        link="https://arxiv.org/abs/1807.06521",
        parameters=28_089_624,
        macs=4_095_573_110,
        published="77.622 % top-1, 93.948 % top-5, ImageNet (the authors' repository)",
        top1=77.622,
        naming="the authors' repository (Jongchan/attention-module)",
        differences=(
            LATER_STRIDE,
            "The gate per place has a batch norm and the gate per channel has biases, as in the authors' code.",
        ),
    ),
    _OFFICIAL,
)
def cbam_resnet50(classes: int, in_channels: int) -> Classifier:
    """Build ResNet-50 with CBAM in every block."""
    backbone = ResNet(50, in_channels, attention=CBAM)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))
