"""The engine `direct`: the definition's sums, a tile of outputs at a time in registers; see `kernels.llvm.direct`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from ninefold.kernels.llvm import direct
from ninefold.ops.engines.form import Form
from ninefold.ops.engines.planned import Planned

if TYPE_CHECKING:
    from ninefold.kernels.llvm.epilogue import Epilogue
    from ninefold.kernels.llvm.kernel import Border, Kernel
    from ninefold.kernels.llvm.layout import Blocked
    from ninefold.kernels.llvm.target import Target
    from ninefold.spec import ConvSpec


@final
class Direct(Planned):
    """Sum up products in the order of the definition, several outputs side by side."""

    name: ClassVar[str] = "direct"

    def refuses(self, spec: ConvSpec, target: Target) -> str | None:
        """Refuse groups that are no whole blocks."""
        reason = direct.why_not(Form.of(spec).dense, target)
        return None if reason is None else f"{self.name} refuses: {reason}"

    def border(self, dense: ConvSpec) -> Border:
        """Give what the windows meet."""
        return direct.border_read(dense)

    def kernel(self, dense: ConvSpec, layouts: tuple[Blocked, Blocked], epilogue: Epilogue, target: Target) -> Kernel:
        """Build the kernel with the tile that is estimated fastest."""
        return direct.Direct(dense, *layouts, epilogue, direct.default_tile(dense, target))
