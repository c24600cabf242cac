"""`ninefold summary`: a network, layer by layer or stage by stage."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ninefold.app.screen import AsJson, Debug, print_json, print_rows, say, short
from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from ninefold.nn.summary import StageRow, Summary


def summary(
    network: Annotated[str, typer.Argument(metavar="NETWORK", help="A name that `ninefold models` lists.")],
    input_: Annotated[
        str | None, typer.Option("--input", metavar="CxHxW", help="Picture, as 3x224x224; else the published one.")
    ] = None,
    classes: Annotated[int | None, typer.Option(min=1, help="Scores per picture; else the published number.")] = None,
    by: Annotated[Literal["layer", "stage"], typer.Option(help="A line for each of these.")] = "layer",
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Show a network, layer by layer or stage by stage, at one picture size.

    Each line says kernel, stride, output shape, parameters, multiply-accumulates of one picture (MACs) and how many
    pixels one output value sees. Nothing is computed: shapes run through the network, no numbers.
    A network over points runs over the voxels that its MACs are counted on; each line says how many there are.
    """
    shape = None if input_ is None else parse_shape(input_)
    import torch

    from ninefold import networks
    from ninefold.nn.summary import by_stage, summarize

    card = networks.card(network)
    if card.reads != "pictures":
        if shape is not None:
            raise InvalidInput(f"--input {input_} came, and {network} reads {card.reads}; leave it out")
        from ninefold.app.sparse_summary import print_sparse_summary

        print_sparse_summary(card, classes, by=by, as_json=as_json)
        return
    shape = shape or card.input
    with torch.device("meta"):
        model = networks.create(network, classes=classes, in_channels=shape[0])
    result = summarize(model, shape)
    if as_json:
        print_json(asdict(result) | ({"rows": by_stage(result)} if by == "stage" else {}))
        return
    if by == "stage":
        _print_stages(result, by_stage(result))
    else:
        _print_layers(result)
    _print_totals(result)


def parse_shape(text: str) -> tuple[int, ...]:
    """Read (C, H, W) from text such as `3x224x224`.

    Raises:
        InvalidInput: when it is anything else.

    >>> parse_shape("3x224x224")
    (3, 224, 224)
    """
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InvalidInput(f"--input {text!r} is no picture size; write channels x height x width, such as 3x224x224")
    return tuple(map(int, parts))


def _print_stages(result: "Summary", stages: "list[StageRow]") -> None:
    titles = ("stage", "layers", "output", "params", "MACs", "sees", "largest output")
    rows = [
        (
            short(row.name),
            row.layers,
            _times(row.output_shape),
            row.parameters,
            row.macs,
            _times(row.receptive_field),
            row.largest_activation,
        )
        for row in stages
    ]
    print_rows(titles, rows, foot=("total", len(result.rows), "", result.parameters, result.macs, "", ""))


def _print_layers(result: "Summary") -> None:
    titles = ("layer", "kind", "kernel", "stride", "output", "params", "MACs", "sees")
    rows = [
        (
            short(row.name),
            row.kind,
            row.kernel and _times(row.kernel),
            row.stride and _times(row.stride),
            _times(row.output_shape),
            row.parameters,
            row.macs,
            _times(row.receptive_field),
        )
        for row in result.rows
    ]
    print_rows(titles, rows, foot=("total", "", "", "", "", result.parameters, result.macs, ""))


def _print_totals(result: "Summary") -> None:
    reached = result.rows[-1].parameters_so_far if result.rows else 0
    if reached < result.parameters:
        say(f"{result.parameters - reached:,} of the parameters are in no layer: evaluation does not reach them")
    picture = _times(result.input_shape)
    typer.echo(f"picture {picture}; largest output of a layer: {result.largest_activation:,} values")
    weights, activations = result.weight_bytes / 2**20, result.activation_bytes / 2**20
    typer.echo(f"memory: {weights:.3g} MiB of weights, and up to {activations:.3g} MiB of values at a time")


def _times(values: tuple[int, ...]) -> str:
    return "x".join(map(str, values))
