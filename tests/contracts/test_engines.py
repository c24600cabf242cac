"""Every engine that accepts a spec agrees with the reference, forward and all gradients; a refusal is raised."""

from collections import Counter
from math import prod

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ninefold.errors import InvalidSpec, Unsupported
from ninefold.ops import ENGINES, conv
from ninefold.ops.engine import DTYPES
from ninefold.ops.engines import Depthwise, Direct, Fft, Winograd
from ninefold.ops.engines.planned import Planned
from ninefold.reference.conv import bias_gradient, input_gradient, run, weight_gradient
from ninefold.spec import ConvSpec

CPU = torch.device("cpu")
NAMES = [engine.name for engine in ENGINES]

# Largest error allowed, by dtype and by how many products are summed; in parts of the largest sum of absolute products,
# or of the square of the largest number, since a Fourier transform mixes all of them into every sum.
TOLERANCES = {
    torch.float64: {16: 1e-15, 256: 4e-15, 65536: 2e-14},
    torch.float32: {16: 5e-7, 256: 2e-6, 65536: 1e-5},
    torch.bfloat16: {16: 8e-3, 256: 8e-3, 65536: 8e-3},
    torch.float16: {16: 1e-3, 256: 2e-3, 65536: 4e-3},
}

GRID = {
    "1x1": ConvSpec.of((2, 3, 4, 5), (6, 3, 1, 1)),
    "3x3, same": ConvSpec.of((2, 3, 6, 5), (4, 3, 3, 3), padding="same"),
    "even kernel, same": ConvSpec.of((2, 3, 6, 5), (4, 3, 2, 4), padding="same"),
    "full": ConvSpec.of((1, 2, 3, 3), (2, 2, 2, 3), padding="full"),
    "stride beyond the kernel": ConvSpec.of((2, 3, 9, 8), (4, 3, 2, 1), stride=3),
    "stride that leaves elements over": ConvSpec.of((1, 2, 8, 9), (3, 2, 3, 3), stride=(2, 3), padding=1),
    "dilation": ConvSpec.of((1, 2, 9, 9), (3, 2, 3, 2), dilation=(2, 3), padding=2),
    "depthwise": ConvSpec.of((2, 4, 6, 6), (4, 1, 3, 3), padding=1, groups=4),
    "depthwise with a multiplier": ConvSpec.of((2, 3, 6, 6), (6, 1, 3, 3), groups=3),
    "groups": ConvSpec.of((2, 4, 5, 5), (6, 2, 3, 3), groups=2),
    "padding per side": ConvSpec.of((2, 2, 4, 4), (3, 2, 3, 3), padding=((0, 1), (2, 1)), stride=(1, 2)),
    "more padding than kernel": ConvSpec.of((1, 2, 3, 3), (2, 2, 2, 2), padding=((4, 3), (0, 5))),
    "only padding is met": ConvSpec.of((1, 1, 1), (1, 1, 1), padding=((2, 0),), stride=3),
    "batch of none": ConvSpec.of((0, 3, 5, 5), (4, 3, 3, 3), padding=1),
    "axes of length 1": ConvSpec.of((1, 2, 1, 1), (3, 2, 3, 3), padding=1),
    "no elements, only padding": ConvSpec.of((2, 2, 0), (3, 2, 3), padding=2),
    "3x3 over more channels than a block": ConvSpec.of((2, 19, 9, 7), (21, 19, 3, 3), padding=1),
    "groups of whole blocks": ConvSpec.of((2, 32, 5, 5), (32, 16, 3, 3), stride=(2, 1), groups=2),
    "depthwise, one axis": ConvSpec.of((1, 20, 12), (20, 1, 5), stride=2, padding=((2, 1),), groups=20),
    "one axis": ConvSpec.of((2, 3, 12), (4, 3, 5), stride=2, padding=((1, 2),)),
    "three axes": ConvSpec.of((2, 2, 4, 5, 3), (3, 2, 2, 3, 2), stride=(1, 2, 1), padding=((0, 1), (1, 1), (1, 0))),
    "transposed": ConvSpec.of((2, 4, 3, 4), (4, 3, 3, 3), transposed=True),
    "transposed, output padding": ConvSpec.of(
        (2, 4, 3, 4), (4, 3, 3, 3), transposed=True, stride=2, padding=1, output_padding=1
    ),
    "transposed, output padding of a stride": ConvSpec.of(
        (2, 4, 3), (4, 3, 2), transposed=True, stride=1, dilation=3, output_padding=2
    ),
    "transposed, output padding under the cut": ConvSpec.of(
        (2, 4, 3), (4, 3, 3), transposed=True, stride=2, dilation=5, padding=((0, 1),), output_padding=4
    ),
    "transposed, groups, one axis": ConvSpec.of((2, 4, 5), (4, 3, 3), transposed=True, stride=3, groups=2),
    "transposed, padding per side": ConvSpec.of(
        (1, 2, 3, 3), (2, 3, 3, 2), transposed=True, stride=2, padding=((0, 2), (1, 0))
    ),
    "transposed, all is cut but the output padding": ConvSpec.of(
        (1, 1, 2), (1, 1, 1), transposed=True, stride=1, dilation=3, padding=((3, 0),), output_padding=2
    ),
    "transposed, 3x3 with padding": ConvSpec.of((1, 18, 5, 6), (18, 9, 3, 3), transposed=True, padding=1),
    "transposed, depthwise": ConvSpec.of((2, 18, 4, 5), (18, 1, 3, 3), transposed=True, stride=2, groups=18),
    "transposed, three axes": ConvSpec.of(
        (1, 2, 2, 3, 2), (2, 1, 2, 2, 3), transposed=True, stride=(1, 2, 2), output_padding=(0, 1, 1)
    ),
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Sums this small only wait for their threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tensors(spec, dtype, device=CPU):
    generator = torch.Generator().manual_seed(0)
    shapes = (spec.input_shape, spec.weight_shape, (spec.out_channels,), spec.output_shape)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(device, dtype) for shape in shapes]


def tolerance(dtype, length):
    return next(value for longest, value in TOLERANCES[dtype].items() if length <= longest)


def agree(got, wanted, allowed):
    assert got.is_contiguous()
    assert got.shape == wanted.shape
    error = np.abs(got.detach().double().cpu().numpy() - wanted).max(initial=0)
    assert error <= allowed, f"{error:.1e} is more than {allowed:.1e}"


def check(engine, spec, dtype, device=CPU):
    """Compare y and its three gradients with the definition."""
    x, weight, bias, grad = tensors(spec, dtype, device)
    leaves = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    y = conv(x, weight, bias, spec, engine)
    gradients = torch.autograd.grad(y, leaves, grad)
    assert {tensor.dtype for tensor in (y, *gradients)} == {dtype}
    arrays = [tensor.detach().double().cpu().numpy() for tensor in (x, weight, bias, grad)]
    largest = max(abs(array).max(initial=0) for array in arrays)
    for got, (definition, length) in zip((y, *gradients), definitions(spec), strict=True):
        scale = max(definition(*map(abs, arrays)).max(initial=0), largest**2)
        agree(got, definition(*arrays), scale * tolerance(dtype, length))


def definitions(spec):
    """Give y and its gradients as functions of x, w, b, g, each with the number of products in one of its sums."""
    first, second, *kernel = spec.weight_shape
    per_input, per_output = (second, first // spec.groups) if spec.transposed else (first // spec.groups, second)
    places = spec.batch * max(prod(spec.in_size), prod(spec.out_size))
    return (
        (lambda x, w, b, g: run(x, w, b, spec), per_output * prod(kernel) + 1),  # noqa: ARG005
        (lambda x, w, b, g: input_gradient(g, w, spec), per_input * prod(kernel)),  # noqa: ARG005
        (lambda x, w, b, g: weight_gradient(x, g, spec), places),  # noqa: ARG005
        (lambda x, w, b, g: bias_gradient(g), places),  # noqa: ARG005
    )


@st.composite
def specs(draw):
    """Draw a spec of any kind, small enough for the definition."""
    dims, transposed = draw(st.integers(1, 3)), draw(st.booleans())

    def each(low, high):
        return [draw(st.integers(low, high)) for _ in range(dims)]

    groups, multiples = draw(st.integers(1, 3)), (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    kernel, stride, dilation = each(1, 4), each(1, 3), each(1, 3)
    extra = [draw(st.integers(0, max(s, d) - 1)) if transposed else 0 for s, d in zip(stride, dilation, strict=True)]
    return {
        "x_shape": (draw(st.integers(1, 3)), groups * multiples[0], *each(1, 6)),
        "weight_shape": (groups * multiples[0 if transposed else 1], multiples[1 if transposed else 0], *kernel),
        "stride": stride,
        "padding": list(zip(each(0, 4), each(0, 4), strict=True)),
        "dilation": dilation,
        "groups": groups,
        "transposed": transposed,
        "output_padding": extra,
    }


def widest(engine):
    """Give the dtype in which an engine's sums are checked best."""
    return torch.float32 if isinstance(engine, Planned) else torch.float64


def first_accepted(name, *names):
    """Give an engine's dtype, and the first spec of the grid that it accepts."""
    engine = ENGINES[NAMES.index(name)]
    dtype = widest(engine)
    return next(GRID[n] for n in names if engine.why_not(GRID[n], CPU, dtype) is None), dtype


@st.composite
def specs_of_kind(draw, kind):
    """Draw a spec that an engine on generated kernels may take."""
    is_winograd = kind == Winograd.name
    dims, transposed = 2 if is_winograd else draw(st.integers(1, 2)), draw(st.booleans())

    def each(low, high):
        return [draw(st.integers(low, high)) for _ in range(dims)]

    channels = st.integers(8 if is_winograd else 1, 20)
    inputs, outputs = draw(channels), draw(channels)
    groups = inputs if kind == Depthwise.name else 1
    first, second = (inputs, outputs) if transposed else (outputs, inputs)
    return {
        "x_shape": (draw(st.integers(1, 3)), inputs, *each(1, 8)),
        "weight_shape": (*((inputs, 1) if groups > 1 else (first, second)), *((3, 3) if is_winograd else each(1, 4))),
        "stride": 1 if is_winograd else each(1, 3),
        "padding": list(zip(each(0, 4), each(0, 4), strict=True)),
        "dilation": 1 if is_winograd else each(1, 3),
        "groups": groups,
        "transposed": transposed,
    }


@pytest.mark.parametrize("name", GRID)
@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_agrees_with_the_definition_on_the_grid(engine, name):
    spec, dtype = GRID[name], widest(engine)
    if engine.why_not(spec, CPU, dtype) is None:
        check(engine.name, spec, dtype)


def check_drawn(engine, arguments):
    try:
        spec = ConvSpec.of(**arguments)
    except InvalidSpec:
        reject()
    if engine.why_not(spec, CPU, widest(engine)) is None:
        check(engine.name, spec, widest(engine))


@pytest.mark.parametrize("engine", [e for e in ENGINES if not isinstance(e, Planned)], ids=lambda engine: engine.name)
@settings(max_examples=150)
@given(arguments=specs())
def test_agrees_with_the_definition_on_drawn_specs(engine, arguments):
    check_drawn(engine, arguments)


@pytest.mark.parametrize("engine", [e for e in ENGINES if isinstance(e, Planned)], ids=lambda engine: engine.name)
@settings(max_examples=20)  # each is compiled
@given(data=st.data())
def test_agrees_with_the_definition_on_drawn_specs_of_its_own_kind(engine, data):
    check_drawn(engine, data.draw(specs_of_kind(engine.name)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_agrees_in_every_dtype(engine, dtype):
    wide = ConvSpec.of((4, 32, 12, 11), (16, 32, 3, 3), stride=(2, 1), padding=1)
    for spec in (wide, wide.input_gradient(), *GRID.values()):
        if engine.why_not(spec, CPU, dtype) is None:
            check(engine.name, spec, dtype)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_agrees_on_a_gpu(engine):
    device = torch.device("cuda")
    for spec in GRID.values():
        if engine.why_not(spec, device, torch.float64) is None:
            check(engine.name, spec, torch.float64, device)


@pytest.mark.parametrize("engine", NAMES)
def test_reads_any_memory_layout(engine):
    spec, dtype = first_accepted(engine, "groups", "depthwise", "3x3 over more channels than a block")
    x, weight, bias, grad = tensors(spec, dtype)
    plain = [tensor.requires_grad_() for tensor in (x, weight, bias)]
    wanted = torch.autograd.grad(conv(*plain, spec, engine), plain, grad)
    laid_out = [
        x.detach().to(memory_format=torch.channels_last),
        weight.detach().flip(3).flip(3).transpose(2, 3).contiguous().transpose(2, 3),
        bias.detach().repeat_interleave(2)[::2],
    ]
    assert not any(tensor.is_contiguous() for tensor in laid_out)
    leaves = [tensor.requires_grad_() for tensor in laid_out]
    got = torch.autograd.grad(conv(*leaves, spec, engine), leaves, grad.to(memory_format=torch.channels_last))
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2), (1, 2)])
@pytest.mark.parametrize("engine", NAMES)
def test_gives_only_the_gradients_that_are_wanted(engine, wanted):
    names = ("transposed, groups, one axis", "transposed, depthwise", "transposed, 3x3 with padding")
    spec, dtype = first_accepted(engine, *names)
    *operands, grad = tensors(spec, dtype)
    everything = [tensor.clone().requires_grad_() for tensor in operands]
    all_gradients = torch.autograd.grad(conv(*everything, spec, engine), everything, grad)
    some = [tensor.requires_grad_(index in wanted) for index, tensor in enumerate(operands)]
    gradients = torch.autograd.grad(conv(*some, spec, engine), [some[index] for index in wanted], grad)
    for index, gradient in zip(wanted, gradients, strict=True):
        torch.testing.assert_close(gradient, all_gradients[index], rtol=0, atol=0)


@pytest.mark.parametrize("engine", NAMES)
def test_needs_no_bias(engine):
    spec, dtype = first_accepted(engine, "groups", "depthwise", "3x3 over more channels than a block")
    x, weight, bias, _ = tensors(spec, dtype)
    wanted = conv(x, weight, bias, spec, engine) - bias[:, None, None]
    torch.testing.assert_close(conv(x, weight, None, spec, engine), wanted)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("engine", [e.name for e in ENGINES if not isinstance(e, Planned)])
def test_has_second_derivatives(engine, transposed):
    shape = (4, 1, 2) if transposed else (2, 2, 2)
    spec = ConvSpec.of((1, 4, 4), shape, stride=2, padding=((0, 1),), groups=2, transposed=transposed)
    operands = [tensor.requires_grad_() for tensor in tensors(spec, torch.float64)[:3]]
    assert torch.autograd.gradcheck(lambda *leaves: conv(*leaves, spec, engine), operands, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda *leaves: conv(*leaves, spec, engine), operands, fast_mode=True)


@pytest.mark.parametrize(
    "names",
    [("depthwise", "3x3 over more channels than a block"), ("transposed, depthwise", "transposed, 3x3 with padding")],
)
@pytest.mark.parametrize("engine", [e.name for e in ENGINES if isinstance(e, Planned)])
def test_has_second_derivatives_in_float32(engine, names):
    spec, dtype = first_accepted(engine, *names)

    def second(engine, dtype):
        x, weight, _, grad = tensors(spec, dtype)
        leaves = [tensor.requires_grad_() for tensor in (x, weight, grad)]
        first = torch.autograd.grad(conv(x, weight, None, spec, engine), leaves[:2], grad, create_graph=True)
        return torch.autograd.grad(sum(gradient.square().sum() for gradient in first), leaves)

    for ours, theirs in zip(second(engine, dtype), second("torch", torch.float64), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("engine", ENGINES, ids=NAMES)
def test_refuses_with_the_sentence_of_why_not(engine):
    huge = ConvSpec.of((1, 64, 512, 512), (64, 64, 31, 31))
    reason = engine.why_not(huge, CPU, torch.float32)
    assert (reason is None) == (engine.name not in (Fft.name, Winograd.name, Depthwise.name))
    if reason is not None:
        x, weight = torch.empty(huge.input_shape), torch.empty(huge.weight_shape)
        with pytest.raises(Unsupported) as refusal:
            conv(x, weight, None, huge, engine.name)
        assert str(refusal.value).startswith(reason)


def test_every_engine_accepts_the_kinds_that_it_is_for_and_the_last_accepts_everything():
    kinds = {(spec.dims, spec.transposed) for spec in GRID.values()}
    assert len(kinds) == 6
    flat = {(dims, transposed) for dims, transposed in kinds if dims < 3}
    wanted = {Winograd.name: {(2, False), (2, True)}, Direct.name: flat, Depthwise.name: flat}
    for engine in ENGINES:
        accepted = [spec for spec in GRID.values() if engine.why_not(spec, CPU, widest(engine)) is None]
        assert {(spec.dims, spec.transposed) for spec in accepted} == wanted.get(engine.name, kinds)
    assert len(accepted) == len(GRID)
    assert set(Counter(NAMES).values()) == {1}


@pytest.mark.parametrize("engine", [e for e in ENGINES if isinstance(e, Planned)], ids=lambda engine: engine.name)
def test_an_engine_on_generated_kernels_says_what_it_is_made_for(engine):
    spec = GRID["3x3, same"]
    assert "float32" in engine.why_not(spec, CPU, torch.float64)
    assert "CPUs" in engine.why_not(spec, torch.device("cuda"), torch.float32)
    assert "one or two axes" in engine.why_not(GRID["three axes"], CPU, torch.float32)


def test_winograd_takes_no_few_channels_and_no_stride():
    engine = Winograd()
    assert "at least 8 channels" in engine.why_not(GRID["3x3, same"], CPU, torch.float32)
    assert "stride 1 only" in engine.why_not(GRID["transposed, depthwise"], CPU, torch.float32)
