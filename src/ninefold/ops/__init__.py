"""Dense convolution: one door, several engines behind it."""

from ninefold.ops.conv import (
    conv,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from ninefold.ops.engine import Engine
from ninefold.ops.rounding import Rounding, rounding
from ninefold.ops.select import ENGINES, explain

__all__ = [
    "ENGINES",
    "Engine",
    "Rounding",
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "explain",
    "rounding",
]
