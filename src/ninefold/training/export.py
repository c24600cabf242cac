"""A network as an ONNX file, for runtimes other than torch. Needs the extra `export`."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import torch

from ninefold.errors import InvalidInput, MissingExtra, NinefoldError, Unsupported
from ninefold.storage import write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

INPUT_NAME: Final = "images"
OUTPUT_NAME: Final = "scores"
LEAST_OPSET: Final = 18
_AVERAGES: Final = (torch.ops.aten.avg_pool2d.default, torch.ops.aten.avg_pool3d.default)


def export_onnx(
    model: nn.Module,
    path: Path,
    example: Tensor,
    *,
    opset: int = LEAST_OPSET,
    any_batch: bool = True,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Write a network, as it computes in evaluation, to one ONNX file.

    The file's input is called `images` and its output `scores`. Weights are inside; what the exporter notes of source
    files is not.

    Args:
        model: from images to one tensor, or to a record that in evaluation holds one.
        path: of the file.
        example: float32 (N, C, H, W); the file takes pictures of this size, and its numbers do not matter.
        opset: of ONNX, >= 18.
        any_batch: whether the file takes any number of pictures, or only N.
        facts: what to keep in the file's metadata, by name.

    Raises:
        MissingExtra: when the packages of the extra `export` are not installed.
        InvalidInput: when the opset is out of range, or the network refuses the example.
        Unsupported: when torch cannot export the network, or not to that opset.
        StorageFull: when the disk has no room; an older file is as it was.
    """
    newest = _package("onnx").defs.onnx_opset_version()
    _package("onnxscript")
    if not LEAST_OPSET <= opset <= newest:
        raise InvalidInput(f"opset={opset} came; wanted {LEAST_OPSET} to {newest}, which the installed onnx knows")
    modes = [(module, module.training) for module in model.modules()]
    try:
        with _quiet():
            program = _exported(model.eval(), example, opset, any_batch=any_batch)
    finally:
        for module, is_training in modes:
            module.training = is_training
    if program.model.opset_imports[""] != opset:
        raise Unsupported(f"this network cannot be written in opset {opset}; use {program.model.opset_imports['']}")
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # paths of source files, as they are on this machine
    program.model.metadata_props.clear()
    program.model.metadata_props.update(facts or {})
    write_bytes(path, program.model_proto.SerializeToString())


def _exported(model: nn.Module, example: Tensor, opset: int, *, any_batch: bool) -> Any:
    # An example of one picture would fix the batch: torch.export takes sizes of 1 for constants.
    images = example.repeat(2, 1, 1, 1) if any_batch and len(example) == 1 else example
    free = {0: torch.export.Dim("batch")} if any_batch else None
    try:
        graph = torch.export.export(model, (images,), dynamic_shapes=(free,))
        _check_averages(graph.graph)
        return torch.onnx.export(
            graph,
            dynamic_shapes=(free,),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    except NinefoldError:
        raise
    except Exception as error:  # torch names no common class for what it cannot export
        reason = str(error).strip().partition("\n")[0]
        raise Unsupported(f"torch cannot export this network ({type(error).__name__}: {reason})") from error


def _check_averages(graph: torch.fx.Graph) -> None:
    """Refuse averages over another number than the window's: the exporter writes them as plain averages."""
    for node in graph.nodes:
        if node.target in _AVERAGES and len(node.args) > 6 and node.args[6] is not None:
            raise Unsupported(
                f"ONNX has no average with divisor_override={node.args[6]} (node {node.name}); scale a plain average"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns of its own parts, and of torchvision, which is not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra.of(name, "export") from error
