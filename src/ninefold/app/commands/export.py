"""`ninefold export`: a network as an ONNX file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ninefold.app.commands.train import parse_size
from ninefold.app.screen import AsJson, Debug, print_json, say
from ninefold.errors import InvalidInput, Unsupported

if TYPE_CHECKING:
    from torch import nn

    from ninefold.records import Card

    # A network, (C, H, W) of its pictures, and what to keep in the file's metadata.
    Chosen = tuple[nn.Module, tuple[int, ...], dict[str, str]]


def export(
    network: Annotated[str, typer.Argument(metavar="RUN_OR_NETWORK", help="Folder of a run, or a network's name.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The ONNX file.")],
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Weights of a network given by its name; else fresh ones.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Of a network given by its name; else the published number.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Of the pictures; else as the run or the paper has them.")
    ] = None,
    opset: Annotated[int, typer.Option(help="Of ONNX, 18 or more.")] = 18,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Write a network, as it computes in evaluation, to an ONNX file.

    The file takes any number of pictures of one size as `images` and gives `scores`.
    """
    given = None if size is None else parse_size(size)
    import torch

    from ninefold.training.export import export_onnx

    run = Path(network)
    if run.is_dir() and (checkpoint is not None or classes is not None):
        raise InvalidInput(f"{network} is the folder of a run, which has its weights and classes; leave them out")
    model, shape, facts = _of_run(run) if run.is_dir() else _of_name(network, checkpoint, classes)
    shape = shape if given is None else (shape[0], *given)
    export_onnx(model, out, torch.zeros(1, *shape), opset=opset, facts=facts)
    told = {"file": out, "network": facts["network"], "input": shape, "opset": opset, "bytes": out.stat().st_size}
    if as_json:
        print_json(told)
    else:
        say(f"wrote {out}: {facts['network']} for pictures of {'x'.join(map(str, shape))}, {told['bytes']:,} bytes")


def _of_run(run: Path) -> "Chosen":
    from ninefold import networks
    from ninefold.training.folder import MODEL
    from ninefold.training.weights import load_weights

    model, card = load_weights(run / MODEL)
    _must_read_pictures(networks.card(card.network))
    facts = {name: json.dumps(getattr(card, name)) for name in ("classes", "mean", "std")}
    return model, (card.in_channels, *card.size), {"network": card.network, **facts}


def _of_name(name: str, checkpoint: Path | None, classes: int | None) -> "Chosen":
    from ninefold import networks
    from ninefold.training.progress import remarks

    card: Card = networks.card(name)
    _must_read_pictures(card)
    with remarks("lines"):
        model = networks.create(name, classes=classes, checkpoint=checkpoint).eval()
    if checkpoint is None:
        say(f"no --checkpoint came: the weights in the file are fresh, and {name} knows nothing yet")
    return model, card.input, {"network": name, "preprocessing": card.preprocessing}


def _must_read_pictures(card: "Card") -> None:
    if card.reads != "pictures":
        raise Unsupported(f"{card.name} reads {card.reads}, and ONNX has no sparse convolution; export another network")
