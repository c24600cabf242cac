"""The first convolution, from planes, against the definition, in all widths, between forbidden pages."""

from __future__ import annotations

import numpy as np
import pytest

from ninefold import reference
from ninefold.errors import Unsupported
from ninefold.kernels.llvm.epilogue import Epilogue
from ninefold.kernels.llvm.first import First, why_not
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.tile import Tile, candidates
from ninefold.spec import ConvSpec

SPECS = {
    "stem": ((1, 3, 23, 31), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    "3x3": ((1, 3, 14, 18), (20, 3, 3, 3), {"padding": 1}),
    "grey": ((1, 1, 9, 5), (6, 1, 5, 5), {"padding": 2}),
    "one pixel": ((1, 2, 1, 1), (3, 2, 1, 1), {}),
    "valid": ((1, 4, 12, 40), (33, 4, 4, 4), {"stride": 4}),
    "dilated": ((1, 3, 15, 17), (17, 3, 3, 2), {"dilation": (2, 3), "padding": ((1, 2), (0, 4))}),
    "columns that no window meets": ((1, 1, 3, 20), (4, 1, 1, 1), {"stride": (1, 19)}),
    "much padding": ((1, 1, 1, 1), (4, 1, 2, 2), {"padding": 4}),
}


@pytest.mark.parametrize("case", SPECS)
def test_it_is_the_definition(bench, rng, case):
    shape, weight_shape, arguments = SPECS[case]
    spec = ConvSpec.of(shape, weight_shape, **arguments)
    x = rng.normal(size=shape).astype(np.float32)
    weight = rng.normal(size=weight_shape).astype(np.float32)
    bias = rng.normal(size=spec.out_channels).astype(np.float32)
    wanted = reference.sigmoid(reference.run(x.astype(np.float64), weight.astype(np.float64), bias, spec)[0])
    for tile in (*candidates(spec, bench.target)[:2], Tile(2, 3, 2)):
        y = bench.empty(spec.out_channels, *spec.out_size, (1, 0, 0, 2))
        kernel = First(spec, y.layout, Epilogue(bias=True, activation="sigmoid"), tile)
        rows = kernel.grid[1]
        parts = [(0, 1, rows // 2, rows), (0, 1, 0, rows // 2)]
        bench.run(kernel, bench.numbers(x), y, weight=weight, bias=bias, parts=parts)
        np.testing.assert_allclose(y.read(), wanted, rtol=1e-5, atol=4e-6)
        assert y.border_is(np.nan)


def test_it_says_what_it_does_not_take():
    grouped = ConvSpec.of((1, 4, 4, 4), (4, 2, 3, 3), groups=2)
    assert "one group" in why_not(grouped)
    assert "transposed" in why_not(ConvSpec.of((1, 4, 4, 4), (4, 4, 3, 3), transposed=True))
    with pytest.raises(Unsupported, match="has 2"):
        First(grouped, Blocked(4, 2, 2, 8), Epilogue(), Tile(1, 1, 1))
    with pytest.raises(Unsupported, match="residual"):
        First(ConvSpec.of((1, 4, 4, 4), (4, 4, 3, 3)), Blocked(4, 2, 2, 8), Epilogue(residual=True), Tile(1, 1, 1))
