"""Checkpoints that nobody has to download: the published names and shapes of tensors, filled with numbers from a seed.

`checkpoints/NAME.json.gz` belongs to the network NAME of the zoo:

    source     whose names these are, and which code computed the scores: project, version or commit, file
    tensors    {published name: shape}
    input      (N, C, H, W) of the picture, from `picture`
    scores     what the original code, in evaluation, computed from `filled(tensors)`; null where only names are kept

It is written once, by `write`, where the original code is at hand; the tests need only the file.
"""

import gzip
import json
import zlib
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent / "checkpoints"


def filled(tensors):
    """Give a state dict: every tensor's numbers depend on its name and shape alone."""
    return {name: _numbers(name, tuple(shape)) for name, shape in tensors.items()}


def picture(shape):
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def read(name):
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def names():
    return sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*.json.gz"))


def write(name, source, original, shape=None):
    """Keep names and shapes of an original network and, for a picture of that shape, its scores.

    `original` is a torch module in the published form; it gets the numbers of `filled`.
    """
    tensors = {key: list(value.shape) for key, value in original.state_dict().items()}
    scores = None
    if shape:
        original.load_state_dict(filled(tensors))
        with torch.no_grad():
            scores = original.eval()(picture(shape)).tolist()
    content = {"source": source, "tensors": tensors, "input": shape, "scores": scores}
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))


def _numbers(name, shape):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        numbers = random.uniform(0.5, 1.5, shape)
    elif len(shape) < 2:
        numbers = 0.1 * random.standard_normal(shape)
    else:
        numbers = random.standard_normal(shape, np.float32) * (2 / np.prod(shape[1:])) ** 0.5
    return torch.from_numpy(np.asarray(numbers, np.float32))
