"""Train a small CNN to read handwritten digits with nothing but NumPy.

The 1,797 pictures of 8x8 pixels come with scikit-learn, which is used for nothing else. Every fifth (index % 5 == 4)
is kept for the test and never trained on. Run it with: python examples/digits_numpy.py
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from ninefold.errors import MissingExtra
from ninefold.reference import SGD, Activation, Conv, Dense, Flatten, MaxPool, Network

EPOCHS, BATCH = 15, 32
LEARNING_RATE, MOMENTUM = 0.05, 0.9


# --8<-- [start:network]
def build(rng: np.random.Generator) -> Network:
    layers = [
        Conv(1, 16, (3, 3), padding="same", rng=rng),  # (N, 16, 8, 8)
        Activation("relu"),
        MaxPool(2),  # (N, 16, 4, 4)
        Conv(16, 32, (3, 3), padding="same", rng=rng),  # (N, 32, 4, 4)
        Activation("relu"),
        MaxPool(2),  # (N, 32, 2, 2)
        Flatten(),
        Dense(128, 10, rng=rng),
    ]
    return Network(layers, SGD(LEARNING_RATE, MOMENTUM))


# --8<-- [end:network]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Give the pictures, (1797, 1, 8, 8) from 0 to 1, and their labels."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra.of("scikit-learn", "train") from None
    data = load_digits()
    return data.images[:, None] / 16, data.target


# --8<-- [start:train]
def train(network: Network, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    for epoch in range(EPOCHS):
        network.sgd = SGD(LEARNING_RATE * (1 - epoch / EPOCHS), MOMENTUM)
        order = rng.permutation(len(images))
        losses = [
            network.step(images[batch], labels[batch]) for batch in np.split(order, range(BATCH, len(order), BATCH))
        ]
        print(f"epoch {epoch + 1:2}  loss {np.mean(losses):.4f}")


# --8<-- [end:train]


def main() -> None:
    images, labels = digits()
    test = np.arange(len(images)) % 5 == 4
    rng = np.random.default_rng(0)
    network = build(rng)
    start = perf_counter()
    train(network, images[~test], labels[~test], rng)
    seconds = perf_counter() - start
    accuracy = np.mean(network.predict(images[test]) == labels[test])
    print(f"test accuracy {accuracy:.4f} on {test.sum()} pictures after {seconds:.1f} seconds of training")


if __name__ == "__main__":
    main()
