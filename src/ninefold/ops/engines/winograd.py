"""The engine `winograd`: 3x3 kernels at stride 1 with fewer multiplications; see `kernels.llvm.winograd`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, final

from ninefold.kernels.llvm import winograd
from ninefold.kernels.llvm.kernel import NO_BORDER
from ninefold.ops.engines.form import Form
from ninefold.ops.engines.planned import Planned

if TYPE_CHECKING:
    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.kernel import Border, Kernel
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec

LEAST_CHANNELS: Final = 8


@final
class Winograd(Planned):
    """Multiply transformed patches with the transformed weight.

    Args:
        outputs: m of F(m, 3). The work falls with m, to 1 / 2.25 of the definition's multiplications at 2 and 1 / 4 at
            4; rounding errors grow with it.
    """

    name: ClassVar[str] = "winograd"
    is_exact: ClassVar[bool] = False

    def __init__(self, outputs: int = 4) -> None:
        self.outputs = outputs

    def refuses(self, spec: ConvSpec, target: Target) -> str | None:  # noqa: ARG002  # the contract
        """Refuse all but 3x3 kernels of stride and dilation 1 without groups, and few channels."""
        if max(spec.stride) > 1:  # the gradient of a transposed one with a stride is none that the kernel takes
            return f"{self.name} computes at stride 1 only, and this convolution has a stride of {spec.stride}"
        channels = min(spec.in_channels, spec.out_channels)
        if channels < LEAST_CHANNELS:
            return (
                f"{self.name} wants at least {LEAST_CHANNELS} channels of input and output, and there are {channels}: "
                "for so few products its transforms cost and round more than they save"
            )
        reason = winograd.why_not(Form.of(spec).dense)
        return None if reason is None else f"{self.name} refuses: {reason}"

    def border(self, dense: ConvSpec) -> Border:  # noqa: ARG002  # the contract
        """Give none: the kernel reads zeros from elsewhere."""
        return NO_BORDER

    def kernel(self, dense: ConvSpec, layouts: tuple[Blocked, Blocked], epilogue: Epilogue, target: Target) -> Kernel:
        """Build the kernel with the first of its tiles."""
        return winograd.WinogradConv(dense, *layouts, epilogue, winograd.default_tile(dense, target, self.outputs))
