import pytest
import torch
from torch import nn

from ninefold import create
from ninefold.sparse import GlobalPool, SparseConv, SparsePool, SparseSequential, SparseTensor, SubMConv, spconv

CELLS = (40, 40, 40)


@pytest.fixture
def sites():
    picks = torch.randperm(40**3, generator=torch.Generator().manual_seed(0))[:300]
    axes = torch.unravel_index(picks, CELLS)
    return torch.stack([torch.zeros_like(picks), *axes], dim=1)


class OfSpconv(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = spconv.SparseSequential(
            spconv.SubMConv3d(4, 16, 3, indice_key="a"),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            spconv.SparseConv3d(16, 32, 3, 2, 1, indice_key="b"),
            spconv.SparseInverseConv3d(32, 8, 3, indice_key="b"),
            spconv.SparseMaxPool3d(2),
            spconv.SparseGlobalMaxPool(),
        )

    def forward(self, x):
        return self.net(spconv.SparseConvTensor(x.features, x.coords.int(), list(x.size), x.batch))


class OfLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = SubMConv(4, 16), SparseConv(16, 32, 3, stride=2, padding=1)
        self.pool, self.last = SparsePool("max", 2), GlobalPool("mean")

    def forward(self, x):
        y = self.first(x)
        return self.last(self.pool(self.second(y.with_features(y.features.relu() * 2))))


NETWORKS = {
    "layers": OfLayers,
    "sequential": lambda: SparseSequential(SubMConv(4, 16), nn.BatchNorm1d(16), nn.ReLU(), GlobalPool("max")),
    "minkunet14": lambda: create("minkunet14", classes=5, in_channels=4),
    "spconv": OfSpconv,
}


def scores_and_gradients(model, network, x):
    network.zero_grad()
    scores = model(x)
    scores = scores if isinstance(scores, torch.Tensor) else scores.scores
    scores.square().sum().backward()
    return [scores.detach(), *(parameter.grad for parameter in network.parameters())]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own, where a graph ends
@pytest.mark.parametrize("name", NETWORKS)
def test_torch_compile_calls_sparse_layers_as_they_are(name, sites):
    torch.manual_seed(0)
    network = NETWORKS[name]()
    x = SparseTensor.of(torch.randn(len(sites), 4), sites, CELLS)
    expected = scores_and_gradients(network, network, x)
    torch._dynamo.reset()
    for ours, theirs in zip(
        scores_and_gradients(torch.compile(network, backend="eager"), network, x), expected, strict=True
    ):
        assert torch.equal(ours, theirs)
