"""Names of algorithms and activations, as spconv numbers them."""

from enum import Enum


class ConvAlgo(Enum):
    """What spconv would compute with.

    Ninefold chooses its engine itself; layers that share an `indice_key` must still name the same one.
    """

    Native = 0
    MaskImplicitGemm = 1
    MaskSplitImplicitGemm = 2


class AlgoHint(Enum):
    """What a product is for; spelled as spconv spells it."""

    NoHint = 0b000
    Fowrard = 0b001
    BackwardInput = 0b010
    BackwardWeight = 0b100


class Activation(Enum):
    """What a layer does to its sum."""

    None_ = 0
    ReLU = 1
    Sigmoid = 2
    LeakyReLU = 3
