"""One file per way to compute a convolution."""

from ninefold.ops.engines.fft import Fft
from ninefold.ops.engines.im2col import Im2col
from ninefold.ops.engines.native import Native
from ninefold.ops.engines.reference import Reference

__all__ = ["Fft", "Im2col", "Native", "Reference"]
