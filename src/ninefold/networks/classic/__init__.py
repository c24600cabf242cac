"""Classic networks: importing this room registers them."""

from ninefold.networks.classic.lenet5 import LeNet5
from ninefold.networks.classic.parallel_conv import parallel_conv
from ninefold.networks.classic.resnet_cifar import CifarResNet

__all__ = ["CifarResNet", "LeNet5", "parallel_conv"]
