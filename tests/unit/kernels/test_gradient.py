"""The weight's gradient against the definition, in all widths, between forbidden pages."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold import reference
from ninefold.errors import Unsupported
from ninefold.kernels.llvm.direct import border_read
from ninefold.kernels.llvm.gradient import WeightGradient
from ninefold.kernels.llvm.layout import Blocked
from ninefold.spec import ConvSpec

SPECS = {
    "3x3": ((1, 20, 9, 10), (37, 20, 3, 3), {"padding": 1}),
    "more pixels than a band": ((1, 3, 30, 33), (70, 3, 3, 3), {"padding": 1}),
    "pointwise": ((1, 40, 5, 6), (17, 40, 1, 1), {}),
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "strides, dilations, padding per side": (
        (1, 6, 13, 15), (8, 6, 3, 2), {"stride": (1, 2), "dilation": (2, 3), "padding": ((0, 2), (1, 3))},
    ),
    "groups": ((1, 64, 5, 6), (96, 32, 3, 3), {"padding": 1, "groups": 2}),
}  # fmt: skip


@pytest.mark.parametrize("case", SPECS)
def test_it_is_the_definition_summed_over_pictures(bench, rng, case):
    shape, weight_shape, arguments = SPECS[case]
    spec = ConvSpec.of((2, *shape[1:]), weight_shape, **arguments)
    x = rng.normal(size=spec.input_shape).astype(np.float32)
    error = rng.normal(size=spec.output_shape).astype(np.float32)
    pictures = [(bench.maps(a, border_read(spec)), bench.maps(b, (1, 0, 0, 1))) for a, b in zip(x, error, strict=True)]
    kernel = WeightGradient.of(spec, (pictures[0][0].layout, pictures[0][1].layout), bench.target)
    y = bench.numbers(np.zeros(kernel.size))
    a, b = kernel.grid
    for maps, errors in pictures:
        bench.run(kernel, maps, y, residual=errors, parts=[(0, a, b // 2, b), (0, a, 0, b // 2)])
    wanted = reference.weight_gradient(x.astype(np.float64), error.astype(np.float64), spec)
    np.testing.assert_allclose(kernel.unpack(y.buffer.array), wanted, rtol=1e-5, atol=1e-4)


def test_groups_of_parts_of_blocks_are_refused(target):
    spec = ConvSpec.of((1, 4, 4, 4), (4, 1, 3, 3), groups=4)
    kernel = WeightGradient(spec, Blocked(4, 4, 4, target.lanes), Blocked(4, 2, 2, target.lanes), 1, 1)
    if target.lanes > 1:
        with pytest.raises(Unsupported, match="4 groups"):
            kernel.functions(target)
