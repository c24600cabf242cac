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
        list[str] | None,
        typer.Argument(metavar="[SCAN]...", help="lidar-crop, lidar-ring, room, sphere, small-sphere; else all."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Of maps, layers, networks, first-calls; else all.")
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Only cases with this in their name; may come again.")
    ] = None,
    against: Annotated[Literal["spconv"] | None, typer.Option(help="The peer; else ours alone.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="That may compute, of ours; spconv has one.")] = 1,
    rounds: Rounds = 4,
    memory: Annotated[bool, typer.Option("--memory", help="Measure memory too, each in a process of its own.")] = False,
    as_json: AsLines = False,
    _debug: Debug = False,
) -> None:
    """Time sparse convolutions: finding pairs, single layers, and networks.

    Layers and networks are timed twice: finding their maps in every call, and with maps that are known. Ours and spconv
    are called in turn in this process, and their results compared. The ratio is spconv's median in parts of ours: above
    1 we are faster. Of a network, the first call of a new process is timed as well, beside those behind it.
    """
    from ninefold.training.contest.scans import SCANS
    from ninefold.training.contest.sparse import Rules, contest
    from ninefold.training.contest.sparse_cases import KINDS
    from ninefold.training.contest.sparse_memory import with_peaks

    rules = Rules(_names(only) or KINDS, tuple(case or ()), against is not None, threads, rounds)
    for name in scans or SCANS:
        rows = (with_peaks(row) if memory else row for row in contest(name, rules))
        if as_json:
            for row in rows:
                print_line(asdict(row))
        else:
            _print_sparse(name, list(rows))


@bench.command("race")
def race(
    scan: Annotated[str, typer.Argument(metavar="[SCAN]", help="As of `bench sparse`.")] = "lidar-crop",
    calls: Annotated[int, typer.Option(min=1, help="Of either, on two threads.")] = 20,
    as_json: AsLines = False,
    _debug: Debug = False,
) -> None:
    """Count wrong sums of sparse convolutions on two threads, ours and spconv's.

    A submanifold convolution, 64 -> 64, is computed once on one thread and then again and again on two. Wrong is a row
    that differs by more than 1e-5 of the largest value.
    """
    from ninefold.training.contest.sparse_race import races

    found = list(races(scan, calls))
    if as_json:
        for each in found:
            print_line(asdict(each))
        return
    print_rows(
        ("contestant", "calls", "not the same bits", "wrong", "wrong rows at most", "error"),
        [
            (r.contestant, r.calls, r.other_calls, r.wrong_calls, r.most_wrong_rows, _number(r.max_rel_error))
            for r in found
        ],
    )


@bench.command("eeg")
def eeg(
    trials: Annotated[int, typer.Option(min=1, help="Of 60 s with 3 s of rest, 32 channels, at 128 Hz.")] = 40,
    rounds: Rounds = 2,
    as_json: AsLines = False,
    _debug: Debug = False,
) -> None:
    """Time differential entropy of one person's trials, on one thread.

    Beside ours: SciPy over whole trials, the loops of the published script, and a filter for every window, as toolboxes
    do it, which is timed on one trial. All are called in turn in this process, and their results compared. The ratio is
    a contestant's median in parts of ours: above 1 we are faster.
    """
    from ninefold.training.contest.eeg import contest

    rows = contest(rounds, trials)
    if as_json:
        for row in rows:
            print_line(asdict(row))
        return
    print_rows(
        ("contestant", "median ms", "least ms", "in parts of ours", "of least", "error, nats", "trials timed"),
        [
            (
                row.contestant,
                *map(_number, (row.ms, row.min_ms, row.ratio, row.min_ratio, row.max_abs_error)),
                round(row.share * trials),
            )
            for row in rows
        ],
    )


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


def _print_sparse(name: str, rows: "list[SparseRow]") -> None:
    if not rows:
        say(f"{name} has none of these cases")
        return
    first, peak = rows[0], max(row.fma_peak_gflops for row in rows)
    typer.echo(
        f"{name}, {_count(first.sites, 'site')}; {_count(first.threads, 'thread')}, spconv's 1; "
        f"FMA peak {peak:.0f} GFLOP/s"
    )
    shown = {
        "case": [row.case for row in rows],
        "median ms": [_number(row.ours_ms) for row in rows],
        "least": [_number(row.ours_min_ms) for row in rows],
        "later": [_number(row.later_ms) for row in rows],
        "spconv": [_number(row.spconv_ms) for row in rows],
        "its least": [_number(row.spconv_min_ms) for row in rows],
        "ratio": [_number(row.ratio) for row in rows],
        "error": [_number(row.max_rel_error) for row in rows],
        "GFLOP/s": [_number(row.gflops) for row in rows],
        "its GFLOP/s": [_number(row.spconv_gflops) for row in rows],
        "map's bytes": ["" if row.map_bytes is None else f"{row.map_bytes:,}" for row in rows],
        "its bytes": ["" if row.spconv_map_bytes is None else f"{row.spconv_map_bytes:,}" for row in rows],
        "MiB": [_mib(row.peak_mib) for row in rows],
        "its MiB": [_mib(row.spconv_peak_mib) for row in rows],
    }
    filled = {title: column for title, column in shown.items() if any(column)}
    print_rows(tuple(filled), zip(*filled.values(), strict=True))


def _mib(found: float | str | None) -> str:
    return f"{found:.0f}" if isinstance(found, float) else found or ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value < 0.01 else f"{value:.2f}"
