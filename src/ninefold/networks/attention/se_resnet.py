"""SE-ResNet-50: squeeze and excitation at the end of every residual branch.

stage     blocks   channels   squeezed
stage 1      3        256         16
stage 2      4        512         32
stage 3      6       1024         64
stage 4      3       2048        128

The rest is ResNet-50 with the stride of a bottleneck in its first 1x1.
"""

from __future__ import annotations

from dataclasses import replace

from ninefold.networks.classic.resnet import CARD, RELEASED_POOL, TORCHVISION, ResNet
from ninefold.networks.zoo import network
from ninefold.nn import Classifier, MeanHead, SqueezeExcitation

_CADENE = (
    (r"^layer0[.]", ""),
    (r"[.]se_module[.]", ".attention."),
    (r"^last_linear[.]", "fc."),
    *TORCHVISION,
)


@network(
    replace(
        CARD,
        name="se_resnet50",
        family="attention",
        paper="J. Hu, L. Shen, G. Sun: Squeeze-and-Excitation Networks, CVPR",
        year=2018,
        link="https://arxiv.org/abs/1709.01507",
        parameters=28_088_024,
        macs=3_860_488_192,
        smallest=3,
        published="77.636 % top-1, 93.752 % top-5, ImageNet (the authors' weights, as Cadene converted them)",
        top1=77.636,
        naming="Cadene's pretrained-models (timm: legacy_seresnet50)",
        differences=(
            "The gates have biases, as in the networks that the authors released; the paper writes none.",
            RELEASED_POOL,
        ),
    ),
    _CADENE,
)
def se_resnet50(classes: int, in_channels: int) -> Classifier:
    """Build SE-ResNet-50 as its authors released it."""
    backbone = ResNet(50, in_channels, stride_in_first=True, ceil_pool=True, attention=SqueezeExcitation)
    return Classifier(backbone, MeanHead(backbone.channels[-1], classes))
