"""Networks with attention in a residual network: importing this room registers them."""

from ninefold.networks.attention.cbam_resnet import cbam_resnet50
from ninefold.networks.attention.gc_resnet import gc_resnet50
from ninefold.networks.attention.nl_resnet import nl_resnet50
from ninefold.networks.attention.scse_resnet import scse_resnet50
from ninefold.networks.attention.se_resnet import se_resnet50

__all__ = ["cbam_resnet50", "gc_resnet50", "nl_resnet50", "scse_resnet50", "se_resnet50"]
