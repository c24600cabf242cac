"""What a convolution is, without data: pure Python, no torch, no NumPy."""

from ninefold.spec.arguments import Axes, Padding, Pairs, padding_pairs, per_axis
from ninefold.spec.conv import ConvSpec
from ninefold.spec.fft import good_length
from ninefold.spec.receptive import ReceptiveField
from ninefold.spec.sparse import SparseKind, SparseSpec
from ninefold.spec.winograd import Winograd

__all__ = [
    "Axes",
    "ConvSpec",
    "Padding",
    "Pairs",
    "ReceptiveField",
    "SparseKind",
    "SparseSpec",
    "Winograd",
    "good_length",
    "padding_pairs",
    "per_axis",
]
