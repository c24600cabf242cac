"""The engine `depthwise`: one kernel per channel, a strip of outputs at a time; see `kernels.llvm.depthwise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from ninefold.kernels.llvm import depthwise, direct
from ninefold.ops.engines.form import Form
from ninefold.ops.engines.planned import Planned

if TYPE_CHECKING:
    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.kernel import Border, Kernel
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec


@final
class Depthwise(Planned):
    """Convolve every channel by itself, in the order of the definition."""

    name: ClassVar[str] = "depthwise"

    def refuses(self, spec: ConvSpec, target: Target) -> str | None:  # noqa: ARG002  # the contract
        """Refuse all but one group per input and per output channel."""
        reason = depthwise.why_not(Form.of(spec).dense)
        return None if reason is None else f"{self.name} refuses: {reason}"

    def border(self, dense: ConvSpec) -> Border:
        """Give what the windows meet."""
        return direct.border_read(dense)

    def kernel(self, dense: ConvSpec, layouts: tuple[Blocked, Blocked], epilogue: Epilogue, target: Target) -> Kernel:
        """Build the kernel with the strip that is estimated fastest."""
        return depthwise.Depthwise(dense, *layouts, epilogue, depthwise.default_strip(dense, target))
