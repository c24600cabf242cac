"""Sparse convolutions in contest with spconv: finding pairs, single layers, whole networks.

Both are called in turn in this process, spconv on one thread: with more, its sums on a CPU are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from ninefold.errors import UnknownName
from ninefold.networks import create
from ninefold.networks.sparse3d.voxel_backbone import VoxelBackBone8x
from ninefold.nn import SparseUNet
from ninefold.records import Logits
from ninefold.sparse import Sites, SparseTensor, SubMConv, conv, kernel_map
from ninefold.spec import SparseSpec
from ninefold.training.contest.rounds import alternate, torch_threads
from ninefold.training.contest.scans import SCANS
from ninefold.training.contest.spconv_networks import PeerUNet, load_spconv, sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from ninefold.sparse import KernelMap
    from ninefold.training.contest.scans import Scan

    Call = Callable[[], Any]

KINDS: Final = ("maps", "layers", "networks")
WIDTHS: Final = (16, 32, 64, 128)
NETWORKS: Final[Mapping[str, tuple[str, ...]]] = {
    "lidar-crop": ("second",),
    "lidar-ring": ("minkunet14",),
    "room": ("minkunet14",),
    "sphere": (),
}
MODES: Final = ("evaluation", "training forward", "forward and backward")


class Rules(NamedTuple):
    """How a contest goes.

    Args:
        kinds: of `KINDS`.
        against: whether spconv takes part.
        threads: of ours, >= 1.
        rounds: of three timed calls of both, >= 1.
    """

    kinds: tuple[str, ...] = KINDS
    against: bool = True
    threads: int = 1
    rounds: int = 4


@dataclass(frozen=True, slots=True)
class Row:
    """How one case went.

    Args:
        scan: its name.
        sites: active cells.
        case: what was computed.
        threads: of ours; spconv has one.
        ours_ms: median of the timed calls.
        ours_min_ms: the shortest.
        spconv_ms: as ours; None where it did not take part, as in the others.
        spconv_min_ms: as ours.
        ratio: spconv's median in parts of ours: above 1 we are faster.
        max_rel_error: largest difference between both results, relative to the largest value; of a map, of the numbers
            of pairs.
        map_bytes: of a map: memory of our pairs.
        spconv_map_bytes: of spconv's.
    """

    scan: str
    sites: int
    case: str
    threads: int
    ours_ms: float
    ours_min_ms: float
    spconv_ms: float | None = None
    spconv_min_ms: float | None = None
    ratio: float | None = None
    max_rel_error: float | None = None
    map_bytes: int | None = None
    spconv_map_bytes: int | None = None


class Case(NamedTuple):
    """What both compute.

    Args:
        name: of the case.
        ours: computes, and gives what can be compared.
        theirs: the same of spconv; None where it does not take part.
        order: where our rows are in spconv's result; None where they are in place.
        sizes: bytes of both results, where that is the question.
    """

    name: str
    ours: Call
    theirs: Call | None
    order: Callable[[], Tensor] | None = None
    sizes: Callable[[], tuple[int, int | None]] | None = None


def contest(name: str, rules: Rules) -> Iterator[Row]:
    """Compare on one scan, case by case.

    Args:
        name: of `SCANS`.
        rules: cases, threads and rounds.

    Raises:
        UnknownName: when there is no such scan or kind of case.
        MissingExtra: when spconv is to take part and is not installed.
    """
    for kind in rules.kinds:
        if kind not in KINDS:
            raise UnknownName.among("kind of sparse contest", kind, KINDS)
    scan = scan_of(name)
    if rules.against:
        load_spconv()
    for case in _cases(name, scan, rules):
        yield _row(name, scan, case, rules)


def scan_of(name: str) -> Scan:
    """Make a scan.

    Raises:
        UnknownName: when there is none of that name.
    """
    if name not in SCANS:
        raise UnknownName.among("scan", name, SCANS)
    return SCANS[name]()


def _cases(name: str, scan: Scan, rules: Rules) -> Iterator[Case]:
    if "maps" in rules.kinds:
        yield _map("submanifold map, 3x3x3", scan, SparseSpec.of(scan.size, 3, kind="submanifold"), rules)
        yield _map("strided map, 3x3x3", scan, SparseSpec.of(scan.size, 3, stride=2, padding=1), rules)
    for width in WIDTHS if "layers" in rules.kinds else ():
        for backward in (False, True):
            yield _layer(scan, width, rules, backward=backward)
    for network in NETWORKS[name] if "networks" in rules.kinds else ():
        for mode in MODES:
            yield network_case(scan, network, mode, rules)


def _row(name: str, scan: Scan, case: Case, rules: Rules) -> Row:
    calls = {"ours": _on_threads(rules.threads, case.ours)}
    if case.theirs is not None:
        calls["spconv"] = _on_threads(1, case.theirs)
    error = None if case.theirs is None else _error(case)
    times = alternate(calls, rules.rounds)
    ours, theirs = times["ours"], times.get("spconv")
    map_bytes, their_bytes = (None, None) if case.sizes is None else case.sizes()
    return Row(
        scan=name,
        sites=len(scan.coords),
        case=case.name,
        threads=rules.threads,
        ours_ms=1e3 * ours.median,
        ours_min_ms=1e3 * ours.least,
        spconv_ms=None if theirs is None else 1e3 * theirs.median,
        spconv_min_ms=None if theirs is None else 1e3 * theirs.least,
        ratio=None if theirs is None else theirs.median / ours.median,
        max_rel_error=error,
        map_bytes=map_bytes,
        spconv_map_bytes=their_bytes,
    )


def _error(case: Case) -> float:
    ours, theirs = case.ours(), _on_threads(1, case.theirs or case.ours)()
    theirs = theirs if case.order is None else theirs[case.order()]
    return float((ours - theirs).abs().max() / theirs.abs().max())


def _on_threads(count: int, call: Call) -> Call:
    def run() -> Any:
        with torch_threads(count):
            return call()

    return run


def _map(name: str, scan: Scan, spec: SparseSpec, rules: Rules) -> Case:
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
        return ours().bytes, sum(part.nbytes for part in theirs()[1:]) if rules.against else None

    def count() -> Tensor:
        return torch.tensor([len(ours().in_rows)])  # of a submanifold map both keep half

    def their_count() -> Tensor:
        counts: Tensor = theirs()[2].sum()
        return counts

    return Case(name, count, their_count if rules.against else None, sizes=sizes)


def _layer(scan: Scan, width: int, rules: Rules, *, backward: bool) -> Case:
    """Convolve where the pairs are known."""
    torch.manual_seed(0)
    sites, order = Sites.of(scan.coords, scan.size, 1)
    pairs = kernel_map(sites, SparseSpec.of(scan.size, 3, kind="submanifold"))
    features = torch.randn(len(order), width)
    x, own = features[order].requires_grad_(backward), features.clone().requires_grad_(backward)
    layer = SubMConv(width, width, bias=False)
    name = f"submanifold {width}->{width}, {'forward and backward' if backward else 'forward'}"

    def ours() -> Tensor:
        return _gone_through(lambda: conv(x, layer.weight, None, pairs), x, backward=backward)

    if not rules.against:
        return Case(name, ours, None)
    spconv: Any = load_spconv()
    peer = sequence(layer)
    known = peer(spconv.SparseConvTensor(features, scan.coords, list(scan.size), 1))

    def theirs() -> Tensor:
        given = known.replace_feature(own)
        return _gone_through(lambda: peer(given).features, own, backward=backward)

    return Case(name, ours, theirs, lambda: order)


def _gone_through(forward: Call, x: Tensor, *, backward: bool) -> Tensor:
    """Give the result, or the input's gradient of the sum of its squares."""
    with torch.set_grad_enabled(backward):
        y: Tensor = forward()
        if not backward:
            return y
        x.grad = None
        y.square().sum().backward()
        gradient: Tensor = x.grad
        return gradient


def network_case(scan: Scan, network: str, mode: str, rules: Rules) -> Case:
    """Run a network from coordinates in any order; its kernel maps are found in every call.

    Args:
        scan: what it reads.
        network: "second", or a network of the zoo that is a `SparseUNet`.
        mode: of `MODES`.
        rules: whether spconv takes part.
    """
    torch.manual_seed(0)
    model = VoxelBackBone8x() if network == "second" else create(network)
    x = torch.randn(len(scan.coords), next(model.parameters()).shape[-1])

    def ours() -> Tensor:
        y = model(SparseTensor.of(x, scan.coords, scan.size, 1))
        result: Tensor = y.scores if isinstance(y, Logits) else y[-1].features
        return result

    case = Case(f"{network}, {mode}", _used(model, ours, mode), None)
    if not rules.against:
        return case
    spconv: Any = load_spconv()
    peer = PeerUNet(model) if isinstance(model, SparseUNet) else sequence(model)

    def theirs() -> Any:
        return peer(spconv.SparseConvTensor(x, scan.coords, list(scan.size), 1))

    def order() -> Tensor:
        y = theirs()
        return Sites.of(y.indices, y.spatial_shape, 1)[1]

    in_order = None if mode == MODES[2] else order
    return case._replace(theirs=_used(peer, lambda: theirs().features, mode), order=in_order)


def _used(model: nn.Module, forward: Call, mode: str) -> Call:
    """Give a call that uses a network as a mode says; it gives the result, or the first layer's gradient."""
    model.train(mode != MODES[0])
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
