"""OpenVINO on its CPU plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, final

from ninefold.training.contest.peers.base import Peer, load

if TYPE_CHECKING:
    from ninefold.training.contest.peers.base import Call, Task

# For one call at a time, and in float32 where the processor has shorter formats too.
_SETTINGS: Final = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}


@final
class OpenVino(Peer):
    """Input and output are shared with numpy, not copied."""

    name: ClassVar[str] = "openvino"

    def prepare(self, task: Task) -> Call:
        """Compile the network."""
        core = load("openvino").Core()
        settings = _SETTINGS | {"INFERENCE_NUM_THREADS": task.threads}
        request = core.compile_model(str(task.onnx), "CPU", settings).create_infer_request()
        given = [task.x.numpy()]
        return lambda: request.infer(given, share_inputs=True, share_outputs=True)[0]
