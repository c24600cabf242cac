"""The public door: torch's arguments, more paddings, and sentences for what cannot be right."""

import pytest
import torch
from torch.nn import functional as F

import ninefold
from ninefold.errors import InvalidInput, InvalidSpec, UnknownName
from ninefold.ops import conv
from ninefold.spec import ConvSpec

DENSE = {1: (ninefold.conv1d, F.conv1d), 2: (ninefold.conv2d, F.conv2d), 3: (ninefold.conv3d, F.conv3d)}
TRANSPOSED = {
    1: (ninefold.conv_transpose1d, F.conv_transpose1d),
    2: (ninefold.conv_transpose2d, F.conv_transpose2d),
    3: (ninefold.conv_transpose3d, F.conv_transpose3d),
}


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("dims", DENSE)
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one picture", "batch"])
def test_takes_the_positional_arguments_of_torch(dims, batch):
    ours, theirs = DENSE[dims]
    arguments = (draw(*batch, 4, *[7] * dims), draw(6, 2, *[3] * dims), draw(6), 2, (1,) * dims, 1, 2)
    torch.testing.assert_close(ours(*arguments), theirs(*arguments))


@pytest.mark.parametrize("dims", TRANSPOSED)
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one picture", "batch"])
def test_takes_the_positional_arguments_of_torch_transposed(dims, batch):
    ours, theirs = TRANSPOSED[dims]
    arguments = (draw(*batch, 4, *[3] * dims), draw(4, 3, *[2] * dims), draw(6), 2, 1, (1,) * dims, 2, 3)
    torch.testing.assert_close(ours(*arguments), theirs(*arguments))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_takes_the_paddings_that_torch_names(padding):
    x, weight = draw(2, 3, 6, 7), draw(4, 3, 3, 3)
    torch.testing.assert_close(
        ninefold.conv2d(x, weight, padding=padding, dilation=2), F.conv2d(x, weight, padding=padding, dilation=2)
    )


@pytest.mark.parametrize(
    ("padding", "padded"), [("full", (2, 2, 1, 1)), (((0, 1), (2, 1)), (2, 1, 0, 1))], ids=["full", "per side"]
)
def test_takes_paddings_that_torch_does_not(padding, padded):
    x, weight = draw(2, 3, 5, 5), draw(4, 3, 2, 3)
    torch.testing.assert_close(ninefold.conv2d(x, weight, padding=padding), F.conv2d(F.pad(x, padded), weight))


def test_never_returns_a_view_of_its_input():
    x = draw(1, 1, 3, 3)
    y = ninefold.conv2d(x, torch.ones(1, 1, 1, 1, dtype=x.dtype), engine="im2col")
    torch.testing.assert_close(y, x)
    assert y.data_ptr() != x.data_ptr()


def test_casts_in_an_autocast_region_as_torch_does():
    x, weight, bias = draw(1, 2, 5, 5), draw(3, 2, 3, 3), draw(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = ninefold.conv2d(x.float(), weight.bfloat16(), bias.float(), engine="reference")
        assert half.dtype == F.conv2d(x.float(), weight.bfloat16(), bias.float()).dtype == torch.bfloat16
        assert ninefold.conv2d(x, weight, bias).dtype == F.conv2d(x, weight, bias).dtype == torch.float64
    torch.testing.assert_close(half.double(), F.conv2d(x, weight, bias), rtol=0, atol=0.1)


@pytest.mark.parametrize("engine", ["im2col", "fft"])
def test_engines_compute_in_their_own_dtype_inside_autocast(engine):
    x, weight = draw(1, 64, 8, 8).bfloat16(), draw(8, 64, 3, 3).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ninefold.conv2d(x, weight, engine=engine)
    torch.testing.assert_close(inside, ninefold.conv2d(x, weight, engine=engine), rtol=0, atol=0)


def test_a_spec_says_everything_that_arguments_say():
    x, weight = draw(2, 4, 3, 3), draw(4, 3, 3, 3)
    spec = ConvSpec.of(x.shape, weight.shape, stride=2, transposed=True, output_padding=1)
    torch.testing.assert_close(conv(x, weight, None, spec), F.conv_transpose2d(x, weight, stride=2, output_padding=1))


def test_shapes_are_known_without_data():
    x, weight = torch.empty(2, 3, 8, 8, device="meta"), torch.empty(4, 3, 3, 3, device="meta")
    assert ninefold.conv2d(x, weight, stride=2).shape == (2, 4, 3, 3)
    with pytest.raises(InvalidSpec, match="does not fit into an input"):
        ninefold.conv2d(x, torch.empty(4, 3, 9, 9, device="meta"))


X, W = torch.zeros(2, 4, 5, 5), torch.zeros(6, 2, 3, 3)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: ninefold.conv2d(X.numpy(), W), InvalidInput, "x is a ndarray; give a torch.Tensor"),
        (
            lambda: ninefold.conv2d(X, W.double(), groups=2),
            InvalidInput,
            "of torch.float32 and weight of torch.float64",
        ),
        (lambda: ninefold.conv2d(X, W, torch.zeros(6).half(), groups=2), InvalidInput, "and bias of torch.float16"),
        (lambda: ninefold.conv2d(X.int(), W.int(), groups=2), InvalidInput, "x is of torch.int32; convert it"),
        (lambda: ninefold.conv2d(X, W.to("meta"), groups=2), InvalidInput, "x is on cpu and weight on meta"),
        (lambda: ninefold.conv2d(X[0, 0], W), InvalidInput, r"\(5, 5\) .* 4 axes each, or 3 for an x without"),
        (lambda: ninefold.conv3d(X, W), InvalidInput, "wanted 3 spatial axes"),
        (lambda: ninefold.conv2d(X, W, groups=1.5), InvalidInput, "groups=1.5 is no integer"),
        (lambda: ninefold.conv2d(X, W), InvalidSpec, r"\(6, 2, 3, 3\) does not meet an input of 4 channels"),
        (
            lambda: ninefold.conv2d(X, W, torch.zeros(5), groups=2),
            InvalidSpec,
            r"of shape \(5,\) does not meet 6 output",
        ),
        (lambda: ninefold.conv2d(X, W, groups=2, dilation=9), InvalidSpec, "does not fit into an input"),
        (lambda: ninefold.conv2d(X, W, groups=2, padding="circular"), InvalidSpec, "padding='circular' is no mode"),
        (lambda: ninefold.conv2d(X, W, groups=2, stride=1.5), InvalidSpec, "stride=1.5 does not fit 2 spatial axes"),
        (
            lambda: ninefold.conv2d(X, W, groups=2, padding=None),
            InvalidSpec,
            "padding=None does not fit 2 spatial axes",
        ),
        (lambda: ninefold.conv2d(X, W, groups=2, engine=None), UnknownName, "no engine is called 'None'"),
        (lambda: ninefold.conv2d(X, W, groups=2, engine="ftt"), UnknownName, "'ftt'; did you mean 'fft'"),
        (
            lambda: conv(X, W, None, ConvSpec.of((1, 4, 5, 5), W.shape, groups=2)),
            InvalidSpec,
            r"x of shape \(2, 4, 5, 5\) came, and the spec wants \(1, 4, 5, 5\)",
        ),
    ],
)
def test_one_sentence_says_what_cannot_be_right(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
