"""What is computed in a contest of sparse convolutions: finding pairs, single layers, whole networks."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from ninefold.networks import create
from ninefold.networks.sparse3d.voxel_backbone import VoxelBackBone8x
from ninefold.nn import SparseUNet
from ninefold.records import Logits
from ninefold.sparse import Sites, SparseTensor, SubMConv, kernel_map
from ninefold.spec import SparseSpec
from ninefold.training.contest.spconv_networks import PeerUNet, load_spconv, sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from ninefold.sparse import KernelMap
    from ninefold.training.contest.scans import Scan

    Call = Callable[[], Any]

FIRST_CALLS: Final = "first-calls"
KINDS: Final = ("maps", "layers", "networks", FIRST_CALLS)
WIDTHS: Final = (16, 32, 64, 128)
NETWORKS: Final[Mapping[str, tuple[str, ...]]] = {
    "lidar-crop": ("second",),
    "lidar-ring": ("minkunet14",),
    "room": ("minkunet14",),
    "sphere": (),
    "small-sphere": ("second", "minkunet14"),
}
MODES: Final = ("evaluation", "training forward", "forward and backward")
MAPS: Final = ("maps found", "maps known")
HOW: Final = *((maps, torch.float32) for maps in MAPS), (MAPS[1], torch.bfloat16)
_SUFFIXES: Final = {torch.float32: "", torch.bfloat16: ", bfloat16"}


class Case(NamedTuple):
    """What both compute.

    Args:
        ours: computes, and gives what can be compared.
        theirs: the same of spconv; None where it does not take part.
        order: where our rows are in spconv's result; None where they are in place.
        sizes: bytes of both results, where that is the question.
        flops: multiplications and additions of a call, where they were counted.
    """

    ours: Call
    theirs: Call | None = None
    order: Callable[[], Tensor] | None = None
    sizes: Callable[[], tuple[int, int | None]] | None = None
    flops: int | None = None


class Entry(NamedTuple):
    """A case that is not made yet.

    Args:
        kind: of `KINDS`.
        name: no two alike on one scan.
        make: the case; it is told whether spconv takes part.
    """

    kind: str
    name: str
    make: Callable[[bool], Case]


def entries(name: str, scan: Scan) -> Iterator[Entry]:
    """Give all cases of a scan.

    Args:
        name: of the scan.
        scan: what it is.
    """
    yield Entry("maps", "submanifold map, 3x3x3", partial(_map, scan, SparseSpec.of(scan.size, 3, kind="submanifold")))
    yield Entry("maps", "strided map, 3x3x3", partial(_map, scan, SparseSpec.of(scan.size, 3, stride=2, padding=1)))
    for width, mode, (maps, dtype) in product(WIDTHS, MODES[1:], HOW):
        make = partial(layer_case, scan, width, mode, maps, dtype=dtype)
        case = f"submanifold {width}->{width}, {mode.removeprefix('training ')}, {maps}"
        yield Entry("layers", case + _SUFFIXES[dtype], make)
    for network, mode, (maps, dtype) in product(NETWORKS[name], MODES, HOW):
        make = partial(network_case, scan, network, mode, maps, dtype=dtype)
        yield Entry("networks", f"{network}, {mode}, {maps}{_SUFFIXES[dtype]}", make)
    for network in NETWORKS[name]:
        yield Entry(FIRST_CALLS, f"{network}, first call", partial(network_case, scan, network, MODES[0], MAPS[0]))


def _map(scan: Scan, spec: SparseSpec, against: bool) -> Case:
    """Find sites and pairs from coordinates in any order; what is compared is how many pairs there are."""

    def ours() -> KernelMap:
        return kernel_map(Sites.of(scan.coords, scan.size, 1)[0], spec)

    def theirs() -> Any:
        spconv: Any = load_spconv()
        moves = map(list, (spec.kernel, spec.stride, spec.padding, spec.dilation, (0, 0, 0)))
        is_submanifold = spec.kind == "submanifold"
        native = spconv.ConvAlgo.Native
        return spconv.ops.get_indice_pairs(scan.coords, 1, list(scan.size), native, *moves, subm=is_submanifold)

    def sizes() -> tuple[int, int | None]:
        return ours().bytes, sum(part.nbytes for part in theirs()[1:]) if against else None

    def count() -> Tensor:
        return torch.tensor([len(ours().in_rows)])  # of a submanifold map both keep half

    def their_count() -> Tensor:
        counts: Tensor = theirs()[2].sum()
        return counts

    return Case(count, their_count if against else None, sizes=sizes)


def layer_case(
    scan: Scan, width: int, mode: str, maps: str, against: bool, *, dtype: torch.dtype = torch.float32
) -> Case:
    """Run a submanifold convolution of 3x3x3, whose input has a gradient too.

    Args:
        scan: where.
        width: channels in and out.
        mode: of `MODES`.
        maps: of `MAPS`.
        against: whether spconv takes part; it does in float32 only, as it has no other on a CPU.
        dtype: of all numbers.
    """
    torch.manual_seed(0)
    layer = SubMConv(width, width, bias=False).to(dtype)
    x = torch.randn(len(scan.coords), width).to(dtype).requires_grad_(mode == MODES[2])
    passes = 3 if mode == MODES[2] else 1  # two gradients, of as many products each
    flops = 2 * passes * width**2 * layer.map(Sites.of(scan.coords, scan.size, 1)[0]).count
    peer = sequence if against and dtype == torch.float32 else None
    return _case(scan, layer, x, (mode, maps), peer)._replace(flops=flops)


def network_case(
    scan: Scan, network: str, mode: str, maps: str, against: bool, *, dtype: torch.dtype = torch.float32
) -> Case:
    """Run a network.

    Args:
        scan: what it reads.
        network: see `sparse_network`.
        mode: of `MODES`.
        maps: of `MAPS`.
        against: as in `layer_case`, and so is dtype.
        dtype: see there.
    """
    model = sparse_network(network).to(dtype)
    x = torch.randn(len(scan.coords), next(model.parameters()).shape[-1]).to(dtype)
    peer: Any = PeerUNet if isinstance(model, SparseUNet) else sequence
    return _case(scan, model, x, (mode, maps), peer if against and dtype == torch.float32 else None)


def sparse_network(name: str) -> nn.Module:
    """Give a network of a contest, with weights that are always the same.

    Args:
        name: "second" for its encoder, or a network of the zoo that is a `SparseUNet`.
    """
    torch.manual_seed(0)
    return VoxelBackBone8x() if name == "second" else create(name)


def _case(
    scan: Scan, model: nn.Module, x: Tensor, how: tuple[str, str], peer_of: Callable[[Any], nn.Module] | None
) -> Case:
    mode, maps = how
    model.train(mode != MODES[0])
    ours = _used(model, _our_forward(scan, model, x, maps), mode)
    if peer_of is None:
        return Case(ours)
    peer = peer_of(model).train(mode != MODES[0])
    forward = _their_forward(scan, peer, x, maps)

    def order() -> Tensor:
        y = forward()
        return Sites.of(y.indices, y.spatial_shape, 1)[1]

    theirs = _used(peer, lambda: forward().features, mode)
    return Case(ours, theirs, None if mode == MODES[2] else order)


def _our_forward(scan: Scan, model: nn.Module, x: Tensor, maps: str) -> Call:
    """Give a call that finds sites and maps, or one that finds none, as its sites keep them."""
    sites, order = Sites.of(scan.coords, scan.size, 1)
    own = (x if maps == MAPS[0] else x[order]).detach().requires_grad_(x.requires_grad)

    def run() -> Tensor:
        own.grad = None
        if maps == MAPS[0]:
            return _rows(model(SparseTensor.of(own, scan.coords, scan.size, 1)))
        return _rows(model(SparseTensor(own, sites, (1,) * len(sites.size))))

    if maps == MAPS[1]:
        with torch.no_grad():
            run()
    return run


def _rows(y: Any) -> Tensor:
    last: Any = y[-1] if isinstance(y, list) else y
    rows: Tensor = last.scores if isinstance(last, Logits) else last.features
    return rows


def _their_forward(scan: Scan, peer: nn.Module, x: Tensor, maps: str) -> Call:
    """Give the like of spconv, which can use submanifold maps again and refuses to do so with strided ones."""
    spconv: Any = load_spconv()
    own, known = x.detach().requires_grad_(x.requires_grad), {}

    def run() -> Any:
        own.grad = None
        return peer(spconv.SparseConvTensor(own, scan.coords, list(scan.size), 1, indice_dict=dict(known)))

    if maps == MAPS[1]:
        with torch.no_grad():
            known |= {key: pairs for key, pairs in run().indice_dict.items() if pairs.is_subm}
    return run


def _used(model: nn.Module, forward: Call, mode: str) -> Call:
    """Give a call that uses a module as a mode says; it gives the result, or the gradient of the first weight."""
    trains = mode == MODES[2]

    def run() -> Tensor:
        with torch.set_grad_enabled(trains):
            y: Tensor = forward()
            if trains:
                model.zero_grad()
                y.square().mean().backward()
            gradient = next(model.parameters()).grad
            return y if gradient is None else gradient

    return run
