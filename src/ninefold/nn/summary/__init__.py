"""A network, layer by layer: kernel, output shape, parameters, work and receptive field, without computing a number."""

from ninefold.nn.summary.stages import StageRow, by_stage
from ninefold.nn.summary.summarize import Summary, summarize
from ninefold.nn.summary.trace import LayerRow

__all__ = ["LayerRow", "StageRow", "Summary", "by_stage", "summarize"]
