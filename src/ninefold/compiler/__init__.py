"""Whole networks as values: captured from torch, simplified, laid out and run on the kernels."""

from ninefold.compiler.capture import captured
from ninefold.compiler.compiled import Compiled, compile  # noqa: A004  # as torch and re call theirs
from ninefold.compiler.graph import Graph, Node, Value
from ninefold.compiler.program import Plan
from ninefold.compiler.run import run
from ninefold.compiler.saved import Loaded, load
from ninefold.compiler.simplify import simplified

__all__ = ["Compiled", "Graph", "Loaded", "Node", "Plan", "Value", "captured", "compile", "load", "run", "simplified"]
