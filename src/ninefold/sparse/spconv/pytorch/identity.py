"""A layer that does nothing."""

from typing import Any

from torch.nn import Module


class Identity(Module):
    """What came, sparse tensor or features."""

    def forward(self, x: Any) -> Any:
        """Give what came."""
        return x

    def input_spatial_size(self, out_size: Any) -> Any:
        """Give the size that came."""
        return out_size
