"""ONNX Runtime on its CPU provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from ninefold.training.contest.peers.base import Peer, load
from ninefold.training.export import INPUT_NAME

if TYPE_CHECKING:
    from ninefold.training.contest.peers.base import Call, Task


@final
class OnnxRuntime(Peer):
    """All graph optimizations on, as they are by default."""

    name: ClassVar[str] = "onnxruntime"

    def prepare(self, task: Task) -> Call:
        """Open a session."""
        runtime = load("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = task.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        session = runtime.InferenceSession(str(task.onnx), options, providers=["CPUExecutionProvider"])
        given = {INPUT_NAME: task.x.numpy()}
        return lambda: session.run(None, given)[0]
