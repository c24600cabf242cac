"""Maps of another size, held to torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.resize import Resize

SIZES = [
    ((3, 4), (6, 8)),
    ((5, 7), (15, 7)),
    ((4, 5), (7, 13)),
    ((9, 8), (4, 3)),
    ((1, 1), (5, 4)),
    ((3, 2), (1, 1)),
    ((6, 11), (12, 33)),
]


@pytest.mark.parametrize(("size", "out"), SIZES)
@pytest.mark.parametrize(("kind", "align"), [("nearest", False), ("bilinear", False), ("bilinear", True)])
def test_it_is_what_torch_does(bench, rng, size, out, kind, align):
    values = rng.normal(size=(5, *size)).astype(np.float32)
    x, y = bench.maps(values, (1, 0, 0, 1)), bench.empty(5, *out, (0, 1, 2, 0))
    kernel = Resize(kind, x.layout, y.layout, align)
    a, b = kernel.grid
    bench.run(kernel, x, y, parts=[(i, i + 1, j, j + 1) for i in reversed(range(a)) for j in reversed(range(b))])
    corners = {"align_corners": align} if kind == "bilinear" else {}
    wanted = F.interpolate(torch.from_numpy(values)[None], out, mode=kind, **corners)[0]
    np.testing.assert_allclose(y.read(), wanted, atol=1e-5)
    assert y.border_is(np.nan)
    bench.run(kernel, x, y)
    np.testing.assert_allclose(y.read(), wanted, atol=1e-5)


def test_other_channels_are_refused():
    with pytest.raises(InvalidSpec, match=r"\(5, 2, 2\) came"):
        Resize("nearest", Blocked(4, 1, 1, 8), Blocked(5, 2, 2, 8))
