"""One file per way to compute a convolution."""

from ninefold.ops.engines.depthwise import Depthwise
from ninefold.ops.engines.direct import Direct
from ninefold.ops.engines.fft import Fft
from ninefold.ops.engines.im2col import Im2col
from ninefold.ops.engines.native import Native
from ninefold.ops.engines.reference import Reference
from ninefold.ops.engines.winograd import Winograd

__all__ = ["Depthwise", "Direct", "Fft", "Im2col", "Native", "Reference", "Winograd"]
