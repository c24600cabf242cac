"""Networks over the features of electrodes on a plane: importing this room registers them."""

from ninefold.networks.eeg.ccnn import CCNN

__all__ = ["CCNN"]
