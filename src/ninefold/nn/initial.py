"""Initial weights."""

from torch import nn


def he_normal(module: nn.Module) -> None:
    """Draw fresh weights for every convolution and dense layer inside a module; biases are set to 0.

        convolution   N(0, 2 / fan_in)     fan_in = input channels per group * kernel height * kernel width
        dense         N(0, 0.01^2)

    Args:
        module: changed in place.

    Source: K. He et al., "Delving Deep into Rectifiers", ICCV 2015, equation 10; for dense layers A. Krizhevsky et al.,
    "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012, section 5.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
