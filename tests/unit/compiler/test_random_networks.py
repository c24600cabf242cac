"""Random networks of every layer that kernels know, on kernels of all widths, beside torch."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ninefold.compiler import captured, simplified
from ninefold.compiler.choice import Rules
from ninefold.compiler.planner import planned
from ninefold.kernels.llvm.target import host, narrowed


def shuffled(x, groups):
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


MADE = {
    "conv": lambda c: nn.Conv2d(c, c, 3, padding=1),
    "depthwise": lambda c: nn.Conv2d(c, c, (3, 5), padding=(1, 2), groups=c, bias=False),
    "pointwise": lambda c: nn.Conv2d(c, c, 1),
    "grouped": lambda c: nn.Conv2d(c, c, 3, padding=2, dilation=2, groups=2),
    "wider": lambda c: nn.Sequential(nn.Conv2d(c, 3 * c, 3, padding=1, groups=c), nn.Conv2d(3 * c, c, 1, groups=c)),
    "transposed": lambda c: nn.ConvTranspose2d(c, c, 3, padding=1),
    "twice as large": lambda c: nn.ConvTranspose2d(c, c, 4, 2, 1, groups=2),
    "norm": nn.BatchNorm2d,
    "cat": lambda c: nn.Conv2d(2 * c, c, 1),
    "odd cat": lambda c: nn.Conv2d(2 * c + 1, c, 1),
    "gate": lambda c: nn.Conv2d(c, c, 1),
    "place gate": lambda _: nn.Conv2d(2, 1, 3, padding=1),
    "response": lambda _: nn.LocalResponseNorm(5, 0.1, 0.75, 1.0),
    "mish": lambda _: nn.Mish(),
    "gelu": lambda _: nn.GELU(),
    "elu": lambda _: nn.ELU(),
}
CHANGES = {
    "silu": lambda y, _z, _: F.silu(y),
    "tanh": lambda y, _z, _: torch.tanh(y),
    "max": lambda y, _z, _: F.max_pool2d(y, 3, 1, 1),
    "mean": lambda y, _z, _: F.avg_pool2d(y, 3, 1, 1),
    "add": lambda y, z, _: F.relu(y + z),
    "cat": lambda y, z, layer: layer(torch.cat([z, y], 1)),
    "odd cat": lambda y, z, layer: layer(torch.cat([z[:, :1], y, z], 1)),
    "gate": lambda y, z, layer: y * torch.sigmoid(layer(z.mean((2, 3), keepdim=True))),
    "place gate": lambda y, z, layer: (
        torch.sigmoid(layer(torch.cat([y.amax(1, keepdim=True), z.mean(1, keepdim=True)], 1))) * y
    ),
    "product": lambda y, z, _: y * torch.tanh(z),
    "shuffle": lambda y, z, _: shuffled(torch.cat([y, z], 1), 2).chunk(2, 1)[1],
    "swap": lambda y, _z, _: torch.cat(y.split([1, y.shape[1] - 1], 1)[::-1], 1),
    "twice as large": lambda y, _z, layer: F.avg_pool2d(layer(y), 2),
    "repeated": lambda y, _z, _: F.max_pool2d(F.interpolate(y, scale_factor=(2, 3)), (2, 3)),
    "bilinear": lambda y, _z, _: F.interpolate(y, (13, 9), mode="bilinear", align_corners=True).amax((2, 3), True) + y,
}
LAYERS = st.sampled_from(sorted(MADE.keys() | CHANGES.keys()))


class Drawn(nn.Module):
    """Layers by their names on a pile of maps; what joins two takes the last one and the one in the middle."""

    def __init__(self, names, channels):
        super().__init__()
        self.names, self.stem = names, nn.Conv2d(3, channels, 3)
        self.layers = nn.ModuleList(MADE.get(name, lambda _: nn.Identity())(channels) for name in names)

    def forward(self, x):
        pile = [self.stem(x)]
        for name, layer in zip(self.names, self.layers, strict=True):
            use = CHANGES.get(name, lambda y, _, layer: layer(y))
            pile.append(use(pile[-1], pile[len(pile) // 2], layer))
        return pile[-1], pile[len(pile) // 2]


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(LAYERS, min_size=1, max_size=7),
    channels=st.sampled_from([2, 8, 16, 34]),
    lanes=st.sampled_from([n for n in (16, 8, 4) if n <= host().lanes]),
    threads=st.integers(1, 3),
    size=st.tuples(st.integers(5, 20), st.integers(5, 20)),
)
def test_random_networks_run(names, channels, lanes, threads, size):
    torch.manual_seed(0)
    model, x = Drawn(names, channels).eval(), torch.randn(2, 3, *size)
    program = planned(simplified(captured(model, [x])), Rules(narrowed(lanes), "fast"), threads)
    with torch.no_grad():
        torch.testing.assert_close(program.run(x), model(x), rtol=1e-3, atol=1e-4)
    assert all(line.runs != "torch" for line in program.plan.lines)
