import pytest
import torch

from ninefold.sparse import spconv


def test_weights_of_the_first_version_keep_what_they_compute():
    net = spconv.SparseSequential(
        spconv.SubMConv2d(3, 5, 3, bias=False), torch.nn.BatchNorm1d(5), spconv.SubMConv2d(5, 4, 1)
    )
    first, last = torch.randn(3, 3, 3, 5), torch.randn(1, 1, 5, 4)
    state = {**net.state_dict(), "0.weight": first, "2.weight": last}
    net.load_state_dict(spconv.converted_from_1(net, state))
    rows = torch.ones(1, 4, 4).nonzero().int()
    x = spconv.SparseConvTensor(torch.randn(16, 3), rows, [4, 4], 1)
    wide = net[0](x)
    dense = torch.nn.functional.conv2d(x.dense(), first.permute(3, 2, 0, 1), padding=1)
    torch.testing.assert_close(wide.dense(), dense)
    torch.testing.assert_close(net[2](wide).features, wide.features @ last[0, 0] + net[2].bias)


@pytest.mark.parametrize(
    ("layout", "shape", "axes"),
    [
        ("RSCK", (3, 3, 2, 4), (3, 0, 1, 2)),
        ("RSKC", (3, 3, 4, 2), (2, 0, 1, 3)),
        ("KRSC", (4, 3, 3, 2), (0, 1, 2, 3)),
    ],
)
def test_weights_of_a_named_layout_are_turned_once(monkeypatch, layout, shape, axes):
    monkeypatch.setattr(spconv.constants, "SAVED_WEIGHT_LAYOUT", layout)
    layer, weight = spconv.SubMConv2d(2, 4, 3, bias=False), torch.randn(shape)
    layer.load_state_dict({"weight": weight})
    assert torch.equal(layer.weight, weight.permute(axes))


def load_turned(self, state_dict, prefix, local_metadata, *rest):
    """Load as detection code makes every sparse layer load: weights without a version are of the older layout."""
    for hook in self._load_state_dict_pre_hooks.values():
        hook(state_dict, prefix, local_metadata, *rest)
    for name, parameter in self._parameters.items():
        came = state_dict[prefix + name]
        with torch.no_grad():
            parameter.copy_(came if local_metadata.get("version") == 2 else came.movedim(-1, 0))


def test_the_common_base_can_be_patched_to_load_another_version(monkeypatch):
    monkeypatch.setattr(spconv.SparseModule, "_version", 2)
    monkeypatch.setattr(spconv.SparseModule, "_load_from_state_dict", load_turned)
    net, other = (spconv.SparseSequential(spconv.SubMConv3d(2, 4, 3)) for _ in range(2))
    net.load_state_dict(other.state_dict())
    assert torch.equal(net[0].weight, other[0].weight)
    weight = torch.randn(3, 3, 3, 2, 4)
    net.load_state_dict({"0.weight": weight, "0.bias": torch.zeros(4)})
    assert torch.equal(net[0].weight, weight.movedim(-1, 0))
