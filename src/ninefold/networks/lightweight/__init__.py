"""Lightweight networks: importing this room registers them."""

from ninefold.networks.lightweight.ghostnet import GhostNet
from ninefold.networks.lightweight.mixnet import MixNet
from ninefold.networks.lightweight.mobilenet_v1 import MobileNetV1
from ninefold.networks.lightweight.mobilenet_v2 import MobileNetV2
from ninefold.networks.lightweight.mobilenet_v3 import MobileNetV3
from ninefold.networks.lightweight.shufflenet_v1 import ShuffleNetV1
from ninefold.networks.lightweight.shufflenet_v2 import ShuffleNetV2
from ninefold.networks.lightweight.squeezenet import SqueezeNet
from ninefold.networks.lightweight.xception import Xception

__all__ = [
    "GhostNet",
    "MixNet",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "SqueezeNet",
    "Xception",
]
