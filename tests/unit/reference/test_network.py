"""Network: its gradients, its steps, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ninefold.errors import InvalidInput, UnknownName
from ninefold.reference import (
    SGD,
    Activation,
    AveragePool,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Network,
    cross_entropy,
    cross_entropy_backward,
)

LABELS = np.array([0, 2])


def every_layer(rng):
    return [
        Conv(1, 3, (3, 3), padding="same", rng=rng),
        Activation("leaky_relu"),
        MaxPool(2),
        Conv(3, 4, (2, 2), stride=2, padding=((0, 1), (1, 0)), rng=rng),
        Activation("relu"),
        AveragePool(2, stride=1, padding=1, count_include_pad=False),
        Flatten(),
        Activation("tanh"),
        Dense(36, 5, rng=rng),
        Activation("sigmoid"),
        Dense(5, 3, rng=rng),
        Activation("softmax"),
    ]


def test_the_gradients_of_all_layers_are_slopes_of_the_loss(rng, slope, close):
    network, x = Network(every_layer(rng), SGD(0.1)), rng.normal(size=(2, 1, 6, 6))
    values = network.forward(x)
    gradients = network.backward(cross_entropy_backward(values[-1], LABELS), values)
    for layer, of_layer in zip(network.layers, gradients, strict=True):
        for i, parameter in enumerate(layer.parameters):

            def loss(value, layer=layer, i=i):
                before = layer.parameters[i]
                layer.parameters[i] = value
                result = cross_entropy(network.forward(x)[-1], LABELS)
                layer.parameters[i] = before
                return result

            close(of_layer[i], slope(loss, parameter, 1.0), 1e-6)


def test_a_step_moves_every_parameter_against_its_gradient(rng):
    network, x = Network(every_layer(rng), SGD(0.1)), rng.normal(size=(2, 1, 6, 6))
    values = network.forward(x)
    gradients = network.backward(cross_entropy_backward(values[-1], LABELS), values)
    before = [list(layer.parameters) for layer in network.layers]
    assert network.step(x, LABELS) == cross_entropy(values[-1], LABELS)
    for layer, old, gradient in zip(network.layers, before, gradients, strict=True):
        for now, was, g in zip(layer.parameters, old, gradient, strict=True):
            np.testing.assert_array_equal(now, was - 0.1 * g)


def test_momentum_carries_from_step_to_step(rng):
    network = Network([Dense(2, 2, rng=rng)], SGD(0.1, momentum=0.5))
    x, labels = rng.normal(size=(4, 2)), np.array([0, 1, 1, 0])
    network.step(x, labels)
    velocity, weight = network.velocities[0][0], network.layers[0].parameters[0]
    logits = network.forward(x)[-1]
    gradient = cross_entropy_backward(logits, labels).T @ x
    network.step(x, labels)
    np.testing.assert_allclose(network.layers[0].parameters[0], weight - 0.1 * (0.5 * velocity + gradient), rtol=1e-12)


def test_the_same_seed_gives_the_same_network(rng):
    first, second = (Conv(1, 2, (3,), rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.parameters[0], second.parameters[0])
    assert (first.parameters[0] != Conv(1, 2, (3,), rng=rng).parameters[0]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: Network([], SGD(0.1)), "no layers"),
        (lambda rng: Conv(1, 8, 3, rng=rng), "kernel=3"),
        (lambda rng: Conv(0, 8, (3, 3), rng=rng), "is empty"),
        (lambda rng: Network([Dense(3, 2, rng=rng)], SGD(0.1)).forward(np.zeros((1, 4))), "does not meet"),
        (lambda rng: Network([Conv(1, 2, (3,), rng=rng)], SGD(0.1)).forward(np.zeros((1, 1, 2))), "does not fit"),
        (lambda rng: Network([Dense(3, 2, rng=rng)], SGD(0.1)).step(np.zeros((1, 3)), [2]), "there are 2 classes"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_in_one_sentence(rng, call, message):
    with pytest.raises(InvalidInput, match=message):
        call(rng)


def test_an_unknown_activation_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'relu'"):
        Activation("rellu")


def test_the_room_needs_no_torch():
    check = "import sys, ninefold.reference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.slow
def test_the_example_reads_digits_with_numpy_alone():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn, in the extra 'train'")
    script = Path(__file__).parents[3] / "examples" / "digits_numpy.py"
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script], env=one_core, capture_output=True, text=True, check=True)
    accuracy = float(re.search(r"test accuracy (\d\.\d+)", done.stdout)[1])
    assert accuracy >= 0.95
