"""Convolution and the layers around it in NumPy: the definition, and every gradient derived by hand.

This room is the oracle of the others, and a text to learn from. Read `definition`, `windows`, `conv`, `gradients`,
`im2col`; then `pooling`, `dense`, `activations`, `losses`, `sgd`; then `layers` and `network`, which join them.
"""

from ninefold.reference.activations import (
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from ninefold.reference.conv import (
    bias_gradient,
    conv_transpose,
    convolve,
    convolve_single,
    correlate,
    correlate_single,
    flip,
    input_gradient,
    run,
    weight_gradient,
)
from ninefold.reference.definition import correlate_loops
from ninefold.reference.dense import dense, dense_backward
from ninefold.reference.gradients import (
    input_gradient_by_full_convolution,
    insert_zeros,
    weight_gradient_by_valid_correlation,
)
from ninefold.reference.im2col import col2im, correlate_by_columns, im2col
from ninefold.reference.layers import Activation, AveragePool, Conv, Dense, Flatten, Layer, MaxPool
from ninefold.reference.losses import (
    cross_entropy,
    cross_entropy_backward,
    mean_squared_error,
    mean_squared_error_backward,
)
from ninefold.reference.network import Network
from ninefold.reference.pooling import average_pool, average_pool_backward, max_pool, max_pool_backward
from ninefold.reference.sgd import SGD
from ninefold.reference.sparse import (
    Rulebook,
    rulebook,
    site_table,
    sparse_convolve,
    sparse_input_gradient,
    sparse_pool,
    sparse_pool_backward,
    sparse_weight_gradient,
)

__all__ = [
    "SGD",
    "Activation",
    "AveragePool",
    "Conv",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool",
    "Network",
    "Rulebook",
    "average_pool",
    "average_pool_backward",
    "bias_gradient",
    "col2im",
    "conv_transpose",
    "convolve",
    "convolve_single",
    "correlate",
    "correlate_by_columns",
    "correlate_loops",
    "correlate_single",
    "cross_entropy",
    "cross_entropy_backward",
    "dense",
    "dense_backward",
    "flip",
    "im2col",
    "input_gradient",
    "input_gradient_by_full_convolution",
    "insert_zeros",
    "leaky_relu",
    "leaky_relu_backward",
    "max_pool",
    "max_pool_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "relu",
    "relu_backward",
    "rulebook",
    "run",
    "sigmoid",
    "sigmoid_backward",
    "site_table",
    "softmax",
    "softmax_backward",
    "sparse_convolve",
    "sparse_input_gradient",
    "sparse_pool",
    "sparse_pool_backward",
    "sparse_weight_gradient",
    "tanh",
    "tanh_backward",
    "weight_gradient",
    "weight_gradient_by_valid_correlation",
]
