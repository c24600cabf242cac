"""From a simplified graph to a program: kernels with their memory, and torch where no kernel takes a node."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from math import prod
from operator import ge
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from ninefold.compiler.budget import affordable
from ninefold.compiler.chaining import chained, chains
from ninefold.compiler.choice import Choice
from ninefold.compiler.decide import Joined, Left, decide, homes
from ninefold.compiler.places import Packed, Places, Spot, placed
from ninefold.compiler.pooling import pooled
from ninefold.compiler.program import Compute, Line, Plan, Program, Source, TorchCall
from ninefold.compiler.rounding import computed
from ninefold.compiler.tuning import Trial, packed_size
from ninefold.kernels.llvm.chain import Chain
from ninefold.kernels.llvm.convert import FromBlocks, Spread, ToBlocks
from ninefold.kernels.llvm.gather import Gather
from ninefold.kernels.llvm.kernel import Kernel, blocks_of, build
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.memory import buffer, give_back
from ninefold.kernels.llvm.plan import Plan as NativePlan
from ninefold.kernels.llvm.plan import Step
from ninefold.kernels.llvm.winograd import WinogradConv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
        graph: simplified; its inputs are (N, ...) with the same N >= 1. Its constants are taken out of it when kernels
            have them in their own order: twice all weights would be too many.
        rules: what choices depend on.
        threads: that may compute, >= 1.
        tuner: measures which kernel is best for a layer; None leaves it to the rules.
    """
    give_back()  # what simplifying left over
    limit, caps = rules.max_weight_bytes, None
    if limit is None:
        graph = pooled(graph, rules)  # by kernels whose weights are large
    else:
        caps = affordable(_Planner(graph, rules, threads, None).sizes(), limit // 4)
    return _Planner(graph, rules, threads, tuner, caps).program()


@dataclass(frozen=True, slots=True)
class _Run:
    """One kernel, on spots instead of addresses."""

    kernel: Kernel
    x: Spot
    y: Spot
    residual: Spot | None = None
    weight: Callable[[], np.ndarray] | None = None  # packs them
    bias: np.ndarray | None = None

    @property
    def spots(self) -> list[Spot]:
        return [spot for spot in (self.x, self.y, self.residual) if spot]


@dataclass(frozen=True, slots=True)
class _Give:
    """Torch's tensor is read as planes, where it lies or from a copy."""

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
    def __init__(
        self, graph: Graph, rules: Rules, threads: int, tuner: Tuner | None, caps: Sequence[int] | None = None
    ) -> None:
        self._graph, self._rules, self._threads, self._tuner = graph, rules, threads, tuner
        self._decisions = decide(graph, rules)
        self._homes = homes(self._decisions)
        self._events: list[_Run | _Give | _Call] = []
        self._blocks: dict[str, Spot] = {}
        self._planes: dict[str, Spot] = {}
        self._lines: list[Line] = []
        self._caps, self._sizes = caps, list[dict[Kernel, int]]()
        self._left = Counter[str]()  # of constants, how often they are still to be packed
        self._taken: dict[str, str] = {}  # by the value computed: the kernel, as a table shows it

    def sizes(self) -> list[dict[Kernel, int]]:
        """Give the kernels that are rivals for a layer with weights, and how many numbers these take, in order."""
        self._plan_all()
        return self._sizes

    def _plan_all(self) -> None:
        rows = {row[-1]: row for row in chains(self._decisions, self._homes)}
        waiting = {i for row in rows.values() for i in row[:-1]}
        decided = list(zip(self._graph.nodes, self._decisions.of, strict=True))
        for i, (node, decision) in enumerate(decided):
            if i in rows:
                nodes, choices = zip(*(decided[part] for part in rows[i]), strict=True)
                self._chain(nodes, choices)
            elif i not in waiting:
                self._plan(node, decision)
        for node, decision in decided:
            self._tell(node, decision)

    def program(self) -> Program:
        """Write the program."""
        self._plan_all()
        returned = [self._in_planes(output.name) for output in self._graph.outputs if output.name]
        self._events.append(_Call(None, [spot for spot in returned if spot]))  # what is returned is needed to the end
        runs = [event for event in self._events if isinstance(event, _Run)]
        library = build([run.kernel for run in runs], self._rules.target) if runs else None
        places = placed([event.spots for event in self._events], self._graph.pictures)
        rounds = any(isinstance(run.kernel, WinogradConv) for run in runs)
        graph, wanted = self._without_weights(), computed(self._graph) if rounds else None
        packed = Packed()
        stages = tuple(self._stages(places, library, packed))
        sums = (len(runs), packed.bytes, places.bytes, self._threads)
        plan = Plan(tuple(self._lines), *sums, max_weight_bytes=self._rules.max_weight_bytes)
        program = Program(graph, stages, self._views(places), plan, (places, library, packed))
        program.plan = replace(plan, error=wanted.error(program) if wanted else None)
        return program

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
        for each in (*choice.further, choice):  # the last one is what a table shows
            run = self._run(node, each)
            self._events.append(replace(run, weight=self._later(run.kernel, each) if each.weight else None))

    def _chain(self, nodes: Sequence[Node], choices: Sequence[Choice]) -> None:
        """Compute convolutions that follow each other in one kernel, or one after the other."""
        runs = [self._run(node, choice) for node, choice in zip(nodes, choices, strict=True)]
        fused = self._fused(runs, choices)
        if not fused:
            weights = [self._later(run.kernel, choice) for choice, run in zip(choices, runs, strict=True)]
            self._events += [replace(run, weight=weight) for run, weight in zip(runs, weights, strict=True)]
            return
        self._events.append(replace(fused, weight=self._later(fused.kernel, *choices)))
        for node in nodes[:-1]:
            self._taken[node.outputs[0]] = f"with {nodes[-1].outputs[0]}"

    def _fused(self, runs: Sequence[_Run], choices: Sequence[Choice]) -> _Run | None:
        """Give the one run that is better than several, by measurement or by rule, or None."""
        kernels, biases = [run.kernel for run in runs], [run.bias for run in runs if run.bias is not None]
        whole = replace(runs[-1], x=runs[0].x, bias=np.concatenate(biases) if biases else None)
        fused = [[replace(whole, kernel=kernel)] for kernel in chained(kernels, self._rules.target)]
        if not fused:
            return None
        numbers = sum(map(self._packed_size, choices, kernels))
        best = self._tuned([*fused, runs], numbers) if self._tuner else None
        (*_, run) = best or fused[0]
        if not isinstance(run.kernel, Chain):
            return None
        bands = f"chain of {len(runs)}, bands of {run.kernel.band} rows"
        self._taken[run.y.name] = bands + (", tuned" if best else "")
        return run

    def _run(self, node: Node, choice: Choice) -> _Run:
        """Give what computes a node, but for its weights."""
        x = self._given(choice.x) if choice.planar else self._in_blocks(choice.x)
        y = _every(self._spot(node.outputs[0]), choice)
        residual = _every(self._in_blocks(choice.residual), choice) if choice.residual else None
        spots = {"x": x, "y": y, "residual": residual}
        layouts = {name: spot.layout for name, spot in spots.items() if spot and spot.layout}
        bias = blocks_of(self._constant(choice.bias), self._rules.target.lanes) if choice.bias else None
        kernels = {choice.make(layouts): choice.why}
        kernels |= {other.make(layouts): other.why for other in choice.others if _fits(other.border, layouts)}
        sizes = {kernel: self._packed_size(choice, kernel) for kernel in kernels} if choice.weight else {}
        if sizes:
            self._sizes.append(sizes)
        if sizes and self._caps:
            cap = self._caps[len(self._sizes) - 1]
            kernels = {kernel: why for kernel, why in kernels.items() if sizes[kernel] <= cap}
        runs = [_Run(kernel, x, y, residual, bias=bias) for kernel in kernels]
        numbers = max(sizes.values(), default=0)
        tuned = self._tuned([[run] for run in runs], numbers) if self._tuner and len(runs) > 1 else None
        (run,) = tuned or runs[:1]
        self._taken[node.outputs[0]] = kernels[run.kernel] + (", tuned" if tuned else "")
        return run

    def _tuned(self, rivals: Sequence[Sequence[_Run]], numbers: int) -> Sequence[_Run] | None:
        """Give the runs that a measurement prefers, now or earlier; None if there was no time for one.

        Args:
            rivals: each one or more runs, all for the same results; the rule's first.
            numbers: of the largest weights of a run.
        """
        pictures = min(self._graph.pictures, self._threads)  # a thread takes pictures one after the other
        runs = [run for rival in rivals for run in rival]

        def trial() -> Trial:
            library, packed = build([run.kernel for run in runs], self._rules.target), Packed()
            places = placed([run.spots for run in runs], pictures)
            # All read the same numbers: packing each kernel's weights would cost more than timing it.
            weight = buffer(numbers)
            for each in (weight, *places.memory.values()):
                each.fill(1.0)  # what was never written is no memory of its own, and read faster

            def step(run: _Run) -> Step:
                return replace(self._step(run, places, library, packed), weight=weight.ctypes.data)

            plans = [NativePlan([step(run) for run in rival], self._threads) for rival in rivals]
            return Trial(plans, list(places.memory.values()), (library, packed, weight))

        before = [run.kernel for rival in rivals for run in rival[:-1]]
        kernels = [rival[-1].kernel for rival in rivals]
        best = self._tuner.pick(kernels, (pictures, self._threads, *before), trial) if self._tuner else None
        return rivals[kernels.index(best)] if best else None

    def _packed_size(self, choice: Choice, kernel: Kernel) -> int:
        shape = choice.weight_shape or self._graph.shape(choice.weight)
        return packed_size(kernel, shape, self._rules.target.lanes)

    def _later(self, kernel: Kernel, *choices: Choice) -> Callable[[], np.ndarray]:
        self._left.update(choice.weight for choice in choices)
        return partial(self._weights, kernel, choices)

    def _weights(self, kernel: Kernel, choices: Sequence[Choice]) -> np.ndarray:
        arrays = [choice.arranged(self._constant(choice.weight)) for choice in choices]
        packed = kernel.pack(arrays[0] if len(arrays) == 1 else np.concatenate([array.ravel() for array in arrays]))
        for choice in choices:
            self._left[choice.weight] -= 1
            if not self._left[choice.weight]:
                give_back(self._graph.constants.pop(choice.weight).nbytes)
        return packed

    def _constant(self, name: str) -> np.ndarray:
        array: np.ndarray = self._graph.constants[name].detach().numpy()
        return array

    def _join(self, node: Node, joined: Joined) -> None:
        whole = self._spot(node.outputs[0])
        before, copies = 0, 0
        for part in joined.parts:
            spot, channels = self._in_blocks(part), self._decisions.maps(part)[0]
            if before % whole.layout.lanes:
                kernel: Kernel = Gather(spot.layout, whole.layout, tuple(range(channels)), before)
                self._events.append(_Run(kernel, spot, whole))
            elif spot.inside != whole:
                to = self._part(whole, part, before)
                self._events.append(_Run(Spread(spot.layout, to.layout), spot, to))
            copies += before % whole.layout.lanes > 0 or spot.inside != whole
            before += channels
        parts = f"gather, {copies} of {len(joined.parts)} parts" if copies else "written in place"
        self._taken[node.outputs[0]] = parts

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
        (above, below, left, right), (down, across) = (
            whole.layout.border,
            self._decisions.frames.get(whole.name, (0, 0)),
        )
        under, behind = whole.layout.height - height - down, whole.layout.width - width - across
        border = (above + down, below + under, left + across, right + behind)
        layout = Blocked(channels, height, width, self._rules.target.lanes, border)
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

    def _stages(self, places: Places, library: Library | None, packed: Packed) -> Iterator[Stage]:
        given = {event.spot: event.name for event in self._events if isinstance(event, _Give)}
        for is_native, group in groupby(self._events, lambda event: isinstance(event, _Run)):
            events = list(group)
            if is_native:
                steps = [self._step(event, places, library, packed) for event in events]
                sources = (Source(i, given[event.x]) for i, event in enumerate(events) if event.x in given)
                yield Compute(NativePlan(steps, self._threads), tuple(sources))
            else:
                yield from (TorchCall(event.node) for event in events if isinstance(event, _Call) and event.node)

    def _step(self, run: _Run, places: Places, library: Library, packed: Packed) -> Step:
        residual = run.residual
        return Step(
            library.addresses[run.kernel.name],
            run.kernel.grid,
            x=places.address(run.x),
            weight=packed.address(run.weight() if run.weight else None),
            bias=packed.address(run.bias),
            y=places.address(run.y),
            residual=places.address(residual) if residual else 0,
            pictures=places.pictures,
            strides=(places.stride(run.x), places.stride(run.y), places.stride(residual) if residual else 0),
            scratch=run.kernel.scratch,
            chunk=run.kernel.chunk(places.pictures, self._threads),
        )

    def _tell(self, node: Node, decision: Decision) -> None:
        runs = self._taken.get(node.outputs[0], "torch" if isinstance(decision, Left) else "no work")
        why = decision.reason if isinstance(decision, Left) else ""
        shape = self._graph.shape(node.outputs[0]) if node.outputs[0] else ()
        self._lines.append(Line(", ".join(node.outputs), str(node.operation), shape, runs, why))


def _every(spot: Spot, choice: Choice) -> Spot:
    """Give the pixels of maps that a choice computes."""
    start, step = choice.pixels
    if step == (1, 1):
        return spot
    return replace(spot, layout=spot.layout.every(start, step), inside=spot, offset=0, stays=False)


def _fits(border: Border, layouts: Layouts) -> bool:
    """Whether maps were laid out with the zeros that a kernel reads."""
    return "x" not in layouts or all(map(ge, layouts["x"].border, border))
