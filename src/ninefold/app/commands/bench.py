"""`ninefold bench`: how fast this machine runs networks and layers, beside what others make of it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ninefold.app.screen import Debug, print_line, print_rows, say

if TYPE_CHECKING:
    from ninefold.training.contest.layers import Row
    from ninefold.training.contest.networks import Result, Standing
    from ninefold.training.contest.sparse import Row as SparseRow

AsLines = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON object per line and nothing else.")]
Threads = Annotated[int, typer.Option(min=1, help="That may compute, of every contestant.")]
Rounds = Annotated[int, typer.Option(min=1, help="Of three timed calls per contestant.")]

bench = typer.Typer(name="bench", help="Measure speed: networks and layers, Ninefold beside others.")


@bench.command("compile")
def compile_(
    networks: Annotated[
        list[str] | None, typer.Argument(metavar="[NETWORK]...", help="Benchmark networks; else all of them.")
    ] = None,
    threads: Threads = 1,
    batch: Annotated[int, typer.Option(min=1, help="Pictures per call.")] = 1,
    against: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Peers, such as openvino,torch; else all.")
    ] = None,
    rounds: Rounds = 10,
    precision: Annotated[Literal["fast", "exact"], typer.Option(help="Of ours.")] = "fast",
    memory: Annotated[bool, typer.Option("--memory", help="Measure memory too, each in a process of its own.")] = False,
    as_json: AsLines = False,
    _debug: Debug = False,
) -> None:
    """Time compiled networks beside other runtimes.

    All contestants run in this process, in turn, on the same pictures; first their results are compared with torch in
    float64. The ratio is the median of the best peer in parts of ours: above 1 we are faster.
    """
    from ninefold.training import benchmark_networks
    from ninefold.training.contest.memory import peaks
    from ninefold.training.contest.networks import Rules, contest
    from ninefold.training.contest.peers import PEERS

    peers = tuple(PEERS) if against is None else _names(against)
    rules = Rules(peers, threads, rounds, precision)
    names = networks or list(benchmark_networks.NETWORKS)
    models = [(name, benchmark_networks.create(name)) for name in names]
    for name, model in models:
        result = contest(name, model, benchmark_networks.picture(batch), rules)
        found = peaks(name, batch, rules) if memory else {}
        if as_json:
            print_line(asdict(result) | ({"peak_mib": found} if memory else {}))
        else:
            _print_result(result)
            if memory:
                rows = [(who, f"{mib:.0f}" if isinstance(mib, float) else mib) for who, mib in found.items()]
                print_rows(("contestant", "MiB at most"), rows)


@bench.command("conv")
def conv(
    layers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LAYER]...", help="CxHxW:OkKsSpPdDgG, as 64x56x56:128k3s2; else known ones."),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="NAME,NAME", help="Layers of these benchmark networks, on maps from 14x14 on."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Kernels of first, depthwise, direct, winograd; else every way."),
    ] = None,
    threads: Threads = 1,
    rounds: Rounds = 5,
    as_json: AsLines = False,
    _debug: Debug = False,
) -> None:
    """Time every way to compute a convolution of one picture.

    Engines go from tensor to tensor, as `ninefold.conv2d` does; kernels work by themselves on maps in blocks, as inside
    a compiled network. Rates count the definition's operations, so those of Winograd may lie above the peak.
    """
    from ninefold.training.contest.layers import LAYERS, contest, parse_layer
    from ninefold.training.contest.shapes import layers_of

    inside = (layer for name in _names(of) for layer in layers_of(name, least=14))
    names = list(dict.fromkeys([*(layers or ()), *inside])) or LAYERS
    for name in names:
        parse_layer(name)
    for name in names:
        rows = contest(name, threads, rounds, _names(only))
        if as_json:
            for row in rows:
                print_line(asdict(row))
        else:
            _print_layer(rows)


@bench.command("sparse")
def sparse(
    scans: Annotated[
        list[str] | None, typer.Argument(metavar="[SCAN]...", help="lidar-crop, lidar-ring, room, sphere; else all.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="Of maps, layers, networks; else all.")] = None,
    against: Annotated[Literal["spconv"] | None, typer.Option(help="The peer; else ours alone.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="That may compute, of ours; spconv has one.")] = 1,
    rounds: Rounds = 4,
    memory: Annotated[
        bool, typer.Option("--memory", help="Measure networks' memory, in processes of their own.")
    ] = False,
    as_json: AsLines = False,
    _debug: Debug = False,
) -> None:
    """Time sparse convolutions: finding pairs, single layers, and networks with their maps found in every call.

    Ours and spconv are called in turn in this process, and their results compared. The ratio is spconv's median in
    parts of ours: above 1 we are faster.
    """
    from ninefold.training.contest.scans import SCANS
    from ninefold.training.contest.sparse import KINDS, Rules, contest
    from ninefold.training.contest.sparse_memory import peaks

    rules = Rules(_names(only) or KINDS, against is not None, threads, rounds)
    for name in scans or SCANS:
        rows = contest(name, rules)
        if as_json:
            for row in rows:
                print_line(asdict(row))
        else:
            _print_sparse(list(rows))
        for peak in peaks(name, rules) if memory else ():
            if as_json:
                print_line(asdict(peak))
            else:
                typer.echo(f"{peak.case}, at most: {_mib(peak.ours_mib)}; spconv {_mib(peak.spconv_mib)}")


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").split(",") if name)


def _print_result(result: "Result") -> None:
    typer.echo(
        f"{result.network}, {_count(result.batch, 'picture')}, {_count(result.threads, 'thread')}; "
        f"FMA peak {result.fma_peak_gflops:.0f} GFLOP/s"
    )
    ours: Any = (result.ours_ms, result.ours_min_ms, result.max_rel_error)
    shown = [("ninefold", *map(_number, ours), "")]
    shown += [_contestant(name, peer, result.ours_ms) for name, peer in result.peers.items() if not peer.absent]
    print_rows(("contestant", "median ms", "least ms", "error", "in parts of ours"), shown)
    for name, peer in result.peers.items():
        if peer.absent:
            say(f"{name} did not run: {peer.absent}")
    if result.ours_absent:
        say(f"ninefold did not run: {result.ours_absent}")


def _contestant(name: str, peer: "Standing", ours: float | None) -> tuple[str, ...]:
    parts = f"{peer.ms / ours:.2f}" if peer.ms and ours else ""
    return name, _number(peer.ms), _number(peer.min_ms), _number(peer.max_rel_error), parts


def _print_layer(rows: "list[Row]") -> None:
    first = rows[0]
    typer.echo(f"{first.layer}, {_count(first.threads, 'thread')}; FMA peak {first.fma_peak_gflops:.0f} GFLOP/s")
    print_rows(
        ("way", "GFLOP/s", "best", "of peak", "error", "tile"),
        [
            (
                r.way,
                f"{r.gflops:.1f}",
                f"{r.best_gflops:.1f}",
                f"{r.share_of_peak:.0%}",
                _number(r.max_rel_error),
                r.tile,
            )
            for r in rows
        ],
    )


def _print_sparse(rows: "list[SparseRow]") -> None:
    first = rows[0]
    typer.echo(f"{first.scan}, {_count(first.sites, 'site')}; {_count(first.threads, 'thread')}, spconv's 1")
    print_rows(
        ("case", "median ms", "least", "spconv", "least", "ratio", "error", "bytes", "spconv"),
        [
            (
                row.case,
                *map(_number, (row.ours_ms, row.ours_min_ms, row.spconv_ms, row.spconv_min_ms, row.ratio)),
                _number(row.max_rel_error),
                *("" if size is None else f"{size:,}" for size in (row.map_bytes, row.spconv_map_bytes)),
            )
            for row in rows
        ],
    )


def _mib(found: float | str | None) -> str:
    return f"{found:.0f} MiB" if isinstance(found, float) else found or "did not take part"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value < 0.01 else f"{value:.2f}"
