"""Classic networks: importing this room registers them."""

from ninefold.networks.classic.alexnet import TwoTowerAlexNet
from ninefold.networks.classic.alexnet_owt import AlexNet
from ninefold.networks.classic.inception_resnet import InceptionResNet
from ninefold.networks.classic.inception_v1 import InceptionV1
from ninefold.networks.classic.inception_v2 import InceptionV2
from ninefold.networks.classic.inception_v3 import InceptionV3
from ninefold.networks.classic.inception_v4 import InceptionV4
from ninefold.networks.classic.lenet5 import LeNet5
from ninefold.networks.classic.parallel_conv import parallel_conv
from ninefold.networks.classic.resnet import ResNet
from ninefold.networks.classic.resnet_cifar import CifarResNet
from ninefold.networks.classic.vgg import VGG

__all__ = [
    "VGG",
    "AlexNet",
    "CifarResNet",
    "InceptionResNet",
    "InceptionV1",
    "InceptionV2",
    "InceptionV3",
    "InceptionV4",
    "LeNet5",
    "ResNet",
    "TwoTowerAlexNet",
    "parallel_conv",
]
