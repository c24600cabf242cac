"""OpenCV's module for networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

from ninefold.training.contest.peers.base import Peer, load
from ninefold.training.export import INPUT_NAME

if TYPE_CHECKING:
    from ninefold.training.contest.peers.base import Call, Task


@final
class OpenCv(Peer):
    """The engine that OpenCV chooses for the file, of those that it wrote itself."""

    name: ClassVar[str] = "opencv"

    def prepare(self, task: Task) -> Call:
        """Read the network. OpenCV's number of threads belongs to the process."""
        cv2 = load("cv2")
        cv2.setNumThreads(task.threads)
        network = cv2.dnn.readNetFromONNX(str(task.onnx))
        x = task.x.numpy()

        def call() -> object:
            network.setInput(x, INPUT_NAME)
            return network.forward()

        return call
