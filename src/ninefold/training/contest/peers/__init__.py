"""One file per runtime that networks are compared with. Importing this needs none of them."""

from typing import Final

from ninefold.training.contest.peers.base import Call, Peer, Task
from ninefold.training.contest.peers.channels_last import ChannelsLast
from ninefold.training.contest.peers.eager import Eager
from ninefold.training.contest.peers.inductor import Inductor
from ninefold.training.contest.peers.ncnn import Ncnn
from ninefold.training.contest.peers.onnxruntime import OnnxRuntime
from ninefold.training.contest.peers.opencv import OpenCv
from ninefold.training.contest.peers.openvino import OpenVino

_ALL: Final = (OpenVino(), OnnxRuntime(), Ncnn(), OpenCv(), Eager(), ChannelsLast(), Inductor())
PEERS: Final[dict[str, Peer]] = {peer.name: peer for peer in _ALL}

__all__ = ["PEERS", "Call", "Peer", "Task"]
