"""Every layer computes what spconv 2.3.8 computes, where that is installed: values and gradients, on one thread."""

import importlib
import inspect
import warnings

import pytest
import torch

from ninefold.sparse import spconv

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    real = pytest.importorskip("spconv.pytorch", reason="spconv itself is not installed (the extra `bench` has it)")

SIZE = {1: [40], 2: [9, 11], 3: [7, 6, 8], 4: [4, 5, 3, 4]}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # with two, spconv's sums are wrong
    ops = importlib.import_module("spconv.pytorch.ops")
    monkeypatch.setattr(ops, "get_current_stream", lambda: 0)  # its backward asks CUDA even on a CPU
    yield
    torch.set_num_threads(before)


MODULES = [
    "",
    ".conv",
    ".core",
    ".functional",
    ".hash",
    ".identity",
    ".modules",
    ".ops",
    ".pool",
    ".spatial",
    ".tables",
    ".utils",
]
# What steers or logs CUDA kernels, what spconv does not implement either, and records that only layers make.
INTERNAL = {
    *(
        "CUDAKernelTimer",
        "PrintCurrentTime",
        "SpConvTensorMeta",
        "SparseConvolutionBase",
        "ThrustSortAllocator",
        "main",
    ),
    *("fused_indice_conv", "identity_decorator", "IndiceData", "ImplicitGemmIndiceData"),
}


def written_there(module):
    """Give the public functions and classes that a module of spconv defines."""
    things = {name: thing for name, thing in vars(module).items() if not name.startswith("_")}
    kinds = inspect.isfunction, inspect.isclass
    own = {n for n, t in things.items() if any(k(t) for k in kinds) and t.__module__ == module.__name__}
    return {name for name in own - INTERNAL if not name.endswith("Function")}


@pytest.mark.parametrize("name", MODULES)
def test_every_name_is_where_upstream_has_it_and_takes_what_upstream_takes(name):
    theirs = importlib.import_module(f"spconv.pytorch{name}")
    ours = importlib.import_module(f"ninefold.sparse.spconv.pytorch{name}")
    for thing in sorted(written_there(theirs)):
        wanted, came = (arguments(getattr(module, thing)) for module in (theirs, ours))
        assert list(came) == list(wanted), thing
        for argument, default in wanted.items():
            if isinstance(default, int | float | str | None):
                assert came[argument] == default, (thing, argument)


def arguments(thing):
    parameters = inspect.signature(thing.__init__ if inspect.isclass(thing) else thing).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def drawn(dims, channels=5, share=0.3, seed=0):
    torch.manual_seed(seed)
    indices = (torch.rand(2, *SIZE[dims]) < share).nonzero().int()
    indices = indices[torch.randperm(len(indices))].contiguous()
    return indices, torch.randn(len(indices), channels, dtype=torch.float64)


def both(name, *arguments, **options):
    ours, theirs = getattr(spconv, name)(*arguments, **options), getattr(real, name)(*arguments, **options)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    ours.load_state_dict(theirs.state_dict())
    return ours.double(), theirs.double()


def computed(package, layers, indices, features, dims):
    """Give sorted indices, features in that order, and gradients of a sum that weights every output differently."""
    features = features.clone().requires_grad_()
    x = package.SparseConvTensor(features, indices.clone(), SIZE[dims], 2)
    for layer in layers:
        x = layer(x)
    order = torch.unique(x.indices, dim=0, return_inverse=True)[1].argsort()
    y = x.features[order]
    weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y)
    parameters = [p for layer in layers for p in layer.parameters()]
    gradients = torch.autograd.grad((y * weights).sum(), [features, *parameters])
    return x.indices[order], list(x.spatial_shape), y, *gradients


def assert_equal(pairs, dims, **options):
    indices, features = drawn(dims, **options)
    ours = computed(spconv, [one for one, _ in pairs], indices, features, dims)
    theirs = computed(real, [other for _, other in pairs], indices, features, dims)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("dims", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        ("SubMConv", (5, 7, 3), {}),
        ("SubMConv", (5, 7, 3), {"stride": 2, "padding": 1, "dilation": 2, "bias": False}),
        ("SubMConv", (5, 7, 1), {"stride": 2}),
        ("SparseConv", (5, 7, 3, 2, 1), {}),
        ("SparseConv", (5, 7, 2, 2), {"bias": False}),
        ("SparseConv", (5, 7, 3), {"padding": 2, "dilation": 2}),
        ("SparseConv", (5, 7, 1), {}),
        ("SparseConv", (5, 7, 1, 2), {}),
        ("SparseConvTranspose", (5, 7, 3, 2, 1), {}),
        ("SparseConvTranspose", (5, 7, 3, 2), {"dilation": 2}),
        ("SparseMaxPool", (2,), {}),
        ("SparseMaxPool", (3, 2, 1), {}),
    ],
)
def test_a_layer(kind, arguments, options, dims):
    assert_equal([both(f"{kind}{dims}d", *arguments, **options)], dims)


@pytest.mark.parametrize("name", ["SparseConv3d", "SparseConvTranspose3d"])
def test_rows_that_share_a_site_are_summed_and_get_the_same_on_the_way_back(name):
    indices, features = drawn(3)
    twice = torch.cat([indices, indices[::3]]), torch.cat([features, features.flip(0)[: len(indices[::3])]])
    pairs = [both(name, 5, 7, 3, 2, 1, indice_key="a"), both("SparseInverseConv3d", 7, 4, 3, "a")]
    for count in (1, 2):
        ours, theirs = zip(*pairs[:count], strict=True)
        torch.testing.assert_close(computed(spconv, ours, *twice, 3), computed(real, theirs, *twice, 3))


@pytest.mark.parametrize("first", [("SparseConv3d", 5, 5, 3, 2, 1), ("SparseMaxPool3d", 3, 2, 1)])
def test_an_inverse_convolution_leads_back_to_the_rows_as_they_came(first):
    name, *arguments = first
    layers = [
        both("SubMConv3d", 5, 5, 3, indice_key="a"),
        both(name, *arguments, indice_key="b"),
        both("SubMConv3d", 5, 4, 3, indice_key="c"),
        both("SparseInverseConv3d", 4, 5, 3, "b"),
        both("SubMConv3d", 5, 3, 3, indice_key="a"),
    ]
    assert_equal(layers, 3)
    indices, features = drawn(3)
    x = spconv.SparseConvTensor(features, indices, SIZE[3], 2)
    for ours, _ in layers:
        x = ours(x)
    assert torch.equal(x.indices, indices)


def test_a_maximum_begins_at_zero_and_rows_that_reach_it_get_the_whole_gradient():
    indices, features = drawn(3)
    pair = both("SparseMaxPool3d", 2)
    for values in (-features.abs(), torch.ones_like(features)):
        ours, theirs = (computed(p, [m], indices, values, 3) for p, m in zip((spconv, real), pair, strict=True))
        torch.testing.assert_close(ours, theirs)


def test_layers_begin_with_the_same_weights():
    for name, arguments in (("SubMConv3d", (4, 8, 3)), ("SparseConv2d", (3, 5, (3, 1)))):
        drawn_weights = []
        for package in (spconv, real):
            torch.manual_seed(0)
            drawn_weights.append(dict(getattr(package, name)(*arguments).named_parameters()))
        torch.testing.assert_close(*drawn_weights)


def test_tensors_give_the_same_grids_and_sums():
    indices, features = drawn(2)
    ours, theirs = (p.SparseConvTensor(features, indices, SIZE[2], 2) for p in (spconv, real))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spconv indexes with a list
        assert torch.equal(ours.dense(), theirs.dense())
        assert torch.equal(ours.dense(channels_first=False), theirs.dense(channels_first=False))
    assert torch.equal((ours + ours.minus() + features).features, features)
    dense = ours.dense(channels_first=False)
    one, other = spconv.SparseConvTensor.from_dense(dense), real.SparseConvTensor.from_dense(dense)
    assert torch.equal(one.indices, other.indices)
    assert torch.equal(one.features, other.features)


@pytest.mark.parametrize(("most", "per_voxel"), [(500, 3), (20, 2), (500, 1)])
def test_points_go_into_the_same_voxels(most, per_voxel):
    torch.manual_seed(0)
    points = torch.rand(600, 4) * torch.tensor([5.0, 4.0, 3.0, 1.0]) - 0.5
    theirs = importlib.import_module("spconv.pytorch.utils").PointToVoxel
    arguments = ([0.5, 0.4, 0.3], [0, 0, 0, 4, 3.2, 2.1], 4, most, per_voxel)
    one, other = spconv.utils.PointToVoxel(*arguments), theirs(*arguments, torch.device("cpu"))
    assert (one.grid_size, one.grid_stride) == (other.grid_size, other.grid_stride)
    torch.testing.assert_close((one.vsize, one.coors_range), (other.vsize, other.coors_range))
    torch.testing.assert_close(one.generate_voxel_with_id(points), other.generate_voxel_with_id(points))
