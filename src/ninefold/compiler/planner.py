"""From a simplified graph to a program: kernels with their memory, and torch where no kernel takes a node."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod
from operator import ge
from typing import TYPE_CHECKING, final

import torch

from ninefold.compiler.choice import Choice
from ninefold.compiler.decide import Joined, Left, decide, homes, unfused
from ninefold.compiler.places import Places, Spot, placed
from ninefold.compiler.program import Compute, Fetch, Line, Plan, Program, TorchCall
from ninefold.compiler.tuning import Trial, packed_size
from ninefold.kernels.llvm.convert import FromBlocks, Spread, ToBlocks
from ninefold.kernels.llvm.kernel import Kernel, blocks_of, build
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.memory import buffer, copied
from ninefold.kernels.llvm.plan import Plan as NativePlan
from ninefold.kernels.llvm.plan import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from ninefold.compiler.choice import Layouts, Rules
    from ninefold.compiler.decide import Decision
    from ninefold.compiler.graph import Graph, Node
    from ninefold.compiler.program import Stage
    from ninefold.compiler.tuning import Tuner
    from ninefold.kernels.llvm.compiled import Library
    from ninefold.kernels.llvm.kernel import Border


def planned(graph: Graph, rules: Rules, threads: int, tuner: Tuner | None = None) -> Program:
    """Plan a graph: choose kernels, lay out maps, share memory, compile.

    Args:
        graph: simplified; its inputs are (N, ...) with the same N >= 1.
        rules: what choices depend on.
        threads: that may compute, >= 1.
        tuner: measures which kernel is best for a layer; None leaves it to the rules.
    """
    return _Planner(unfused(graph), rules, threads, tuner).program()


@dataclass(frozen=True, slots=True)
class _Run:
    """One kernel, on spots instead of addresses."""

    kernel: Kernel
    x: Spot
    y: Spot
    residual: Spot | None = None
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None

    @property
    def spots(self) -> list[Spot]:
        return [spot for spot in (self.x, self.y, self.residual) if spot]


@dataclass(frozen=True, slots=True)
class _Give:
    """Torch's tensor is copied into planes."""

    name: str
    spot: Spot

    @property
    def spots(self) -> list[Spot]:
        return [self.spot]


@dataclass(frozen=True, slots=True)
class _Call:
    """A node is computed by torch, from what lies in planes."""

    node: Node | None
    spots: list[Spot] = field(default_factory=list)


@final
class _Planner:
    def __init__(self, graph: Graph, rules: Rules, threads: int, tuner: Tuner | None) -> None:
        self._graph, self._rules, self._threads, self._tuner = graph, rules, threads, tuner
        self._decisions = decide(graph, rules)
        self._homes = homes(self._decisions)
        self._events: list[_Run | _Give | _Call] = []
        self._blocks: dict[str, Spot] = {}
        self._planes: dict[str, Spot] = {}
        self._lines: list[Line] = []
        self._taken: dict[str, str] = {}  # by the value computed: the kernel, as a table shows it

    def program(self) -> Program:
        """Write the program."""
        for node, decision in zip(self._graph.nodes, self._decisions.of, strict=True):
            self._plan(node, decision)
            self._tell(node, decision)
        returned = [self._in_planes(output.name) for output in self._graph.outputs if output.name]
        self._events.append(_Call(None, [spot for spot in returned if spot]))  # what is returned is needed to the end
        runs = [event for event in self._events if isinstance(event, _Run)]
        library = build([run.kernel for run in runs], self._rules.target) if runs else None
        places = placed([event.spots for event in self._events], self._graph.pictures)
        packed = _Packed()
        stages = tuple(self._stages(places, library, packed))
        plan = Plan(tuple(self._lines), len(runs), packed.bytes, places.bytes, self._threads)
        return Program(self._without_weights(), stages, self._views(places), plan, (places, library, packed))

    def _without_weights(self) -> Graph:
        """Give the graph with those constants only that torch reads: kernels have the others in their own order."""
        left = zip(self._graph.nodes, self._decisions.of, strict=True)
        read = {name for node, decision in left if isinstance(decision, Left) for name in node.inputs}
        read.update(output.name for output in self._graph.outputs)
        constants = {name: tensor for name, tensor in self._graph.constants.items() if name in read}
        return replace(self._graph, constants=constants)

    def _plan(self, node: Node, decision: Decision) -> None:
        if isinstance(decision, Choice):
            self._compute(node, decision)
        elif isinstance(decision, Joined):
            self._join(node, decision)
        elif isinstance(decision, Left):
            spots = [self._in_planes(name) for name in node.inputs]
            self._events.append(_Call(node, [spot for spot in spots if spot]))

    def _compute(self, node: Node, choice: Choice) -> None:
        x = self._given(choice.x) if choice.planar else self._in_blocks(choice.x)
        y = self._spot(node.outputs[0])
        residual = self._in_blocks(choice.residual) if choice.residual else None
        spots = {"x": x, "y": y, "residual": residual}
        layouts = {name: spot.layout for name, spot in spots.items() if spot and spot.layout}
        bias = blocks_of(self._constant(choice.bias), self._rules.target.lanes) if choice.bias else None
        kernels = {choice.make(layouts): choice.why}
        kernels |= {other.make(layouts): other.why for other in choice.others if _fits(other.border, layouts)}
        runs = [_Run(kernel, x, y, residual, bias=bias) for kernel in kernels]
        tuned = self._tuned(runs, choice) if self._tuner and len(runs) > 1 else None
        run = tuned or runs[0]
        self._taken[node.outputs[0]] = f"{kernels[run.kernel]}, tuned" if tuned else choice.why
        self._events.append(replace(run, weight=self._weight(choice, run.kernel) if choice.weight else None))

    def _tuned(self, runs: list[_Run], choice: Choice) -> _Run | None:
        """Give the run that a measurement prefers, now or earlier; None if there was no time for one."""
        pictures = min(self._graph.pictures, self._threads)  # a thread takes pictures one after the other
        kernels = [run.kernel for run in runs]

        def trial() -> Trial:
            library, packed = build(kernels, self._rules.target), _Packed()
            places = placed([runs[0].spots], pictures)
            # All read the same numbers: packing each kernel's weights would cost more than timing it.
            shape = choice.weight_shape or self._graph.shape(choice.weight)
            weight = buffer(max(packed_size(kernel, shape, self._rules.target.lanes) for kernel in kernels))
            for numbers in (weight, *places.memory.values()):
                numbers.fill(1.0)  # what was never written is no memory of its own, and read faster
            steps = [replace(self._step(run, places, library, packed), weight=weight.ctypes.data) for run in runs]
            plans = [NativePlan([step], self._threads) for step in steps]
            return Trial(plans, list(places.memory.values()), (library, packed, weight))

        best = self._tuner.pick(kernels, (pictures, self._threads), trial)
        return runs[kernels.index(best)] if best else None

    def _weight(self, choice: Choice, kernel: Kernel) -> np.ndarray:
        weight = self._constant(choice.weight)
        return kernel.pack(weight.reshape(choice.weight_shape or weight.shape))

    def _constant(self, name: str) -> np.ndarray:
        array: np.ndarray = self._graph.constants[name].detach().numpy()
        return array

    def _join(self, node: Node, joined: Joined) -> None:
        whole = self._spot(node.outputs[0])
        before = 0
        for part in joined.parts:
            spot = self._in_blocks(part)
            if spot.inside != whole:
                to = self._part(whole, part, before)
                self._events.append(_Run(Spread(spot.layout, to.layout), spot, to))
            before += self._decisions.maps(part)[0]

    # Where values lie.

    def _spot(self, name: str) -> Spot:
        """Give where a value that kernels compute lies in blocks."""
        if name not in self._blocks:
            home = self._homes.get(name)
            self._blocks[name] = self._own(name) if home is None else self._part(self._spot(home[0]), name, home[1])
        return self._blocks[name]

    def _own(self, name: str) -> Spot:
        channels, height, width = self._decisions.maps(name)
        layout = Blocked(channels, height, width, self._rules.target.lanes, self._decisions.border(name))
        # The zeros behind the last part are never written, so nobody else may have written there.
        return Spot(name, layout, layout.size, stays=name in self._decisions.filled)

    def _part(self, whole: Spot, name: str, before: int) -> Spot:
        channels, height, width = self._decisions.maps(name)
        layout = Blocked(channels, height, width, self._rules.target.lanes, whole.layout.border)
        return Spot(name, layout, layout.size, whole, before // layout.lanes * layout.block)

    def _in_blocks(self, name: str) -> Spot:
        """Give where a value lies in blocks, and see to it that it does."""
        root = self._decisions.root(name)
        if root not in self._decisions.native and root not in self._blocks:
            x, y = self._given(root), self._spot(root)
            self._events.append(_Run(ToBlocks(y.layout), x, y))
        return self._spot(root)

    def _given(self, name: str) -> Spot:
        """Give the planes into which a tensor of torch's is copied, and see to it that it is."""
        if name not in self._planes:
            size = prod(self._decisions.maps(name))
            self._planes[name] = Spot(f"{name} in planes", None, size)
            self._events.append(_Give(name, self._planes[name]))
        return self._planes[name]

    def _in_planes(self, name: str) -> Spot | None:
        """Give the planes of a value that kernels compute, for torch, and see to it that they are there."""
        root = self._decisions.root(name)
        if root not in self._decisions.native:
            return None
        if root not in self._planes:
            x = self._spot(root)
            # Torch's results may be views of these planes, so nothing else is ever put there.
            self._planes[root] = Spot(f"{root} in planes", None, prod(self._decisions.maps(root)), stays=True)
            self._events.append(_Run(FromBlocks(x.layout), x, self._planes[root]))
        return self._planes[root]

    def _views(self, places: Places) -> dict[str, torch.Tensor]:
        """Give every value that lies in planes as a tensor, also by its other names."""
        named = {name: self._planes.get(self._decisions.root(name)) for name in self._graph.values}
        rows = {name: torch.from_numpy(places.planes(spot)) for name, spot in named.items() if spot}
        return {name: tensor.unflatten(1, self._graph.shape(name)[1:]) for name, tensor in rows.items()}

    # What runs.

    def _stages(self, places: Places, library: Library | None, packed: _Packed) -> Iterator[Stage]:
        for is_native, events in groupby(self._events, lambda event: isinstance(event, _Run)):
            if is_native:
                steps = [self._step(event, places, library, packed) for event in events]
                yield Compute(NativePlan(steps, self._threads))
                continue
            for event in events:
                if isinstance(event, _Give):
                    yield Fetch(event.name)
                elif event.node is not None:
                    yield TorchCall(event.node)

    def _step(self, run: _Run, places: Places, library: Library, packed: _Packed) -> Step:
        residual = run.residual
        return Step(
            library.addresses[run.kernel.name],
            run.kernel.grid,
            x=places.address(run.x),
            weight=packed.address(run.weight),
            bias=packed.address(run.bias),
            y=places.address(run.y),
            residual=places.address(residual) if residual else 0,
            pictures=places.pictures,
            strides=(places.stride(run.x), places.stride(run.y), places.stride(residual) if residual else 0),
            scratch=run.kernel.scratch,
        )

    def _tell(self, node: Node, decision: Decision) -> None:
        kernels = {Joined: "written in place", Left: "torch"}
        is_kernel = isinstance(decision, Choice)
        runs = self._taken[node.outputs[0]] if is_kernel else kernels.get(type(decision), "no work")
        why = decision.reason if isinstance(decision, Left) else ""
        shape = self._graph.shape(node.outputs[0]) if node.outputs[0] else ()
        self._lines.append(Line(", ".join(node.outputs), str(node.operation), shape, runs, why))


def _fits(border: Border, layouts: Layouts) -> bool:
    """Whether maps were laid out with the zeros that a kernel reads."""
    return "x" not in layouts or all(map(ge, layouts["x"].border, border))


@final
class _Packed:
    """Weights in the order in which kernels read them."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def address(self, values: np.ndarray | None) -> int:
        """Keep an aligned copy and give its address; 0 for none."""
        if values is None:
            return 0
        self.arrays.append(copied(values))
        return int(self.arrays[-1].ctypes.data)

    @property
    def bytes(self) -> int:
        """Count them all."""
        return sum(array.nbytes for array in self.arrays)
