"""ncnn, which takes one picture at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from ninefold.training.contest.peers.base import Peer, load

if TYPE_CHECKING:
    from pathlib import Path

    from ninefold.training.contest.peers.base import Call, Task


@final
class Ncnn(Peer):
    """The network is written by `ncnn_file`, with batch norms folded and activations in the layers before them."""

    name: ClassVar[str] = "ncnn"

    def prepare(self, task: Task) -> Call:
        """Write the network and load it."""
        ncnn = load("ncnn")
        from ninefold.training.contest.peers.ncnn_file import write

        outputs = write(task.model, task.x[:1], task.folder)
        network = _network(ncnn, task.folder, task.threads)
        pictures = [np.ascontiguousarray(picture) for picture in task.x.numpy()]
        shape = (len(pictures), *outputs[1:])

        def call() -> np.ndarray:
            return np.stack([_run(ncnn, network, picture) for picture in pictures]).reshape(shape)

        return call


def _network(ncnn: Any, folder: Path, threads: int) -> Any:
    network = ncnn.Net()
    network.opt.num_threads = threads
    network.opt.use_vulkan_compute = False
    for kind in ("packed", "storage", "arithmetic"):
        setattr(network.opt, f"use_fp16_{kind}", False)  # float32 as everybody else
    network.load_param(str(folder / "network.param"))
    network.load_model(str(folder / "network.bin"))
    return network


def _run(ncnn: Any, network: Any, picture: np.ndarray) -> np.ndarray:
    extractor = network.create_extractor()
    extractor.input("x", ncnn.Mat(picture))
    _, y = extractor.extract("y")
    return np.array(y)
