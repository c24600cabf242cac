"""Small networks of every kind, and a check that a graph gives torch's numbers."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_flatten

import ninefold
from ninefold.compiler import captured, run, simplified


def made_alive(model):
    """Give a model whose batch norms and biases are not what they are born as."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            layer.running_mean.uniform_(-0.5, 0.5)
            layer.running_var.uniform_(0.5, 1.5)
            if layer.affine:
                layer.weight.data.uniform_(0.5, 1.5)
                layer.bias.data.uniform_(-0.5, 0.5)
    return model.eval()


def are_same(got, wanted, tolerance=1e-5):
    """Hold two nested results to be of one structure and to be the same numbers."""
    got, structure = tree_flatten(got)
    wanted, wanted_structure = tree_flatten(wanted)
    assert structure == wanted_structure
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def alive():
    return made_alive


@pytest.fixture
def same():
    return are_same


@pytest.fixture
def simple():
    """Capture and simplify a model, check both graphs against it, and give the simplified one."""

    def check(model, *inputs):
        model = made_alive(model)
        graph = captured(model, inputs)
        fewer = simplified(graph)
        with torch.no_grad():
            wanted = model(*[x.clone() if isinstance(x, torch.Tensor) else x for x in inputs])
        are_same(run(graph, *inputs), wanted)
        are_same(run(fewer, *inputs), wanted)
        return fewer

    return check


class Attention(nn.Module):
    """Pixels as tokens, one attention layer, back to a map."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.stem(x)
        tokens = x.flatten(2).transpose(1, 2)
        mixed, _ = self.attention(*[self.norm(tokens)] * 3, need_weights=False)
        return x + mixed.transpose(1, 2).reshape(x.shape)


class UNet(nn.Module):
    """Down, up by repetition and by a transposed convolution, concatenation."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.deep = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.SiLU())
        self.up = nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Conv2d(12, 2, 1)

    def forward(self, x):
        a = self.down(x)
        b = F.relu(self.norm(self.up(self.deep(a))))
        return F.interpolate(self.head(torch.cat([a, b], 1)), scale_factor=2)


class ShuffleUnit(nn.Module):
    """Split, depthwise, concatenation, channel shuffle."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = nn.Sequential(
            *(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
            *(nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4)),
        )

    def forward(self, x):
        kept, changed = self.first(x).chunk(2, 1)
        y = torch.cat([kept, self.branch(changed)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class InPlace(nn.Module):
    """Everything that changes a tensor in place, also through a view."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        y = F.relu_(self.norm(self.conv(x)))
        y += 1
        y.view(-1)[:3].mul_(2)
        y[:, 0] = 3.0
        return y.clamp_(0, 6)


class SharedWeights(nn.Module):
    """One convolution used three times, once with batch norm behind it; one head at two scales."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        y = F.relu(self.norm(self.conv(x)))
        return self.conv(y), self.conv(F.max_pool2d(y, 2))


class SeveralInputs(nn.Module):
    """Two inputs, one of them in a dict, and a nested answer that holds an input and a None."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(2, 4, 1)

    def forward(self, x, extra):
        y = self.a(x) + self.b(extra["y"])
        return {"sum": y, "rest": [extra["y"], None], "mean": (y.mean((2, 3)),)}


class SqueezeExcite(nn.Module):
    """Dilation, groups, an odd padding, a gate per channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, (3, 2), dilation=(1, 2), padding="same", groups=2)
        self.pad = nn.ZeroPad2d((0, 1, 2, 0))
        self.next = nn.Conv2d(8, 8, 3, 2)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1))

    def forward(self, x):
        y = F.leaky_relu(self.next(self.pad(F.gelu(self.conv(x)))), 0.1)
        return F.avg_pool2d(y * torch.sigmoid(self.gate(y)), 3, 2, 1, count_include_pad=False)


class Solids(nn.Module):
    """Three spatial axes, then one."""

    def __init__(self):
        super().__init__()
        self.solid = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ELU(), nn.MaxPool3d(2))
        self.line = nn.Sequential(nn.ConvTranspose1d(4, 3, 3, 2), nn.BatchNorm1d(3), nn.Tanh(), nn.AvgPool1d(2))

    def forward(self, x):
        return self.line(self.solid(x).flatten(2))


class OwnOperator(nn.Module):
    """Ninefold's own operator and its asymmetric padding."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x):
        y = ninefold.conv2d(x, self.weight, padding=((0, 1), (2, 1)))
        return ninefold.conv_transpose2d(y, self.weight, stride=2)


class Pooled(nn.Module):
    """Windows over the edge, divisors, and a pooling whose places are used."""

    def forward(self, x):
        a = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
        b = F.avg_pool2d(x, 2, ceil_mode=True)
        c = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2, divisor_override=2)
        d, places = F.max_pool2d(x, 2, return_indices=True)
        return a, b, c, d, places, F.adaptive_avg_pool2d(x, (3, 4)), F.adaptive_avg_pool2d(x, 2)


class Gates(nn.Module):
    """Gates per channel from dense layers and by expansion, gates per place, a normalisation over channels."""

    def __init__(self):
        super().__init__()
        self.stem, self.places = nn.Conv2d(3, 20, 3), nn.Conv2d(2, 1, 3, padding=1)
        self.dense = nn.Sequential(nn.Linear(20, 5), nn.SELU(), nn.Linear(5, 20), nn.Sigmoid())
        self.norm = nn.LocalResponseNorm(5, 0.1, 0.75, 2.0)

    def forward(self, x):
        x = self.norm(F.mish(self.stem(x)))
        n, c, _, _ = x.shape
        x = x * self.dense(F.adaptive_avg_pool2d(x, 1).view(n, c)).view(n, c, 1, 1).expand_as(x)
        best = torch.max(x, 1, keepdim=True)[0]
        x = F.relu(x * torch.sigmoid(self.places(torch.cat([x.mean(1, keepdim=True), best], 1))) + x)
        return x * F.softplus(F.adaptive_max_pool2d(x, 1))


class Moves(nn.Module):
    """Channels in other orders and places, groups of all sizes, maps of other sizes."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, padding=1)
        self.grouped, self.wider = nn.Conv2d(24, 12, 1, groups=3), nn.Conv2d(12, 24, 3, padding=1, groups=12)
        self.up = nn.ConvTranspose2d(24, 20, 4, 2, 1, groups=4)
        self.mixed = nn.ModuleList(nn.Conv2d(5, 5, k, padding=k // 2, groups=5) for k in (1, 3, 5, 7))

    def forward(self, x):
        x = self.stem(x)
        y = F.channel_shuffle(self.wider(self.grouped(x)), 3)
        y = F.gelu(self.up(torch.cat([y[:, 7:], x[:, :7]], 1)), approximate="tanh")
        y = torch.cat([layer(part) for layer, part in zip(self.mixed, y.split(5, 1), strict=True)], 1)
        larger = F.interpolate(x, y.shape[2:], mode="bilinear", align_corners=True)
        return torch.cat([F.interpolate(x, size=(41, 30)).amax((2, 3)), (y * larger[:, :1]).mean((2, 3))], 1)


IMAGES = (2, 3, 17, 14)
HAND_WRITTEN = {
    "attention": (Attention, [(1, 3, 8, 8)]),
    "unet": (UNet, [(2, 3, 16, 12)]),
    "shuffle": (ShuffleUnit, [IMAGES]),
    "in place": (InPlace, [IMAGES]),
    "shared weights": (SharedWeights, [(1, 4, 9, 9)]),
    "squeeze and excite": (SqueezeExcite, [(2, 4, 15, 12)]),
    "solids": (Solids, [(1, 2, 4, 6, 5)]),
    "own operator": (OwnOperator, [IMAGES]),
    "pooled": (Pooled, [IMAGES]),
    "gates": (Gates, [IMAGES]),
    "moves": (Moves, [IMAGES]),
}


@pytest.fixture(params=HAND_WRITTEN)
def written(request):
    """A hand-written network and an input, by turns."""
    model, shapes = HAND_WRITTEN[request.param]
    return model(), [torch.randn(shape) for shape in shapes]


@pytest.fixture
def examples():
    """Give hand-written networks by name."""
    return SimpleNamespace(
        ShuffleUnit=ShuffleUnit, SeveralInputs=SeveralInputs, SqueezeExcite=SqueezeExcite, Gates=Gates, Moves=Moves
    )
