import pytest
import torch

from ninefold import sparse
from ninefold.errors import Unsupported
from ninefold.sparse import Sites, kernel_map
from ninefold.spec import SparseSpec

SPECS = {
    "submanifold": {"kernel": 3, "kind": "submanifold"},
    "submanifold of 5, dilated": {"kernel": (1, 5, 3), "kind": "submanifold", "dilation": (1, 1, 2)},
    "strided": {"kernel": 3, "stride": 2, "padding": 1},
    "tiles": {"kernel": 2, "stride": 2},
    "transposed": {"kernel": 3, "stride": 2, "kind": "transposed"},
    "pointwise": {"kernel": 1, "kind": "submanifold"},
}
CHANNELS = [(4, 16, 1), (16, 16, 1), (20, 33, 1), (64, 64, 2), (32, 128, 4), (3, 1, 1), (20, 20, 20), (144, 144, 144)]
CHANNELS += [(40, 24, 8), (24, 36, 12), (20, 60, 20), (60, 20, 20)]  # groups that fill no vector


def sites(size=(12, 20, 24), share=0.25):
    torch.manual_seed(0)
    return Sites.of((torch.rand(2, *size) < share).nonzero(), size, 2)[0]


def drawn(spec, in_channels, out_channels, groups):
    pairs = kernel_map(sites(), SparseSpec.of((12, 20, 24), **SPECS[spec]))
    x = torch.randn(len(pairs.inputs), in_channels, requires_grad=True)
    weight = torch.randn(out_channels, *pairs.kernel, in_channels // groups, requires_grad=True)
    return pairs, x, weight, torch.randn(len(pairs.outputs), out_channels)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("in_channels", "out_channels", "groups"), CHANNELS)
def test_values_and_gradients_are_those_of_matrix_products_in_float64(spec, in_channels, out_channels, groups):
    pairs, x, weight, grad = drawn(spec, in_channels, out_channels, groups)
    ours = torch.autograd.grad((y := sparse.conv(x, weight, None, pairs, "llvm")), (x, weight), grad)
    exact_x, exact_weight = (t.detach().double().requires_grad_() for t in (x, weight))
    exact = sparse.conv(exact_x, exact_weight, None, pairs, "gather_gemm_scatter")
    theirs = torch.autograd.grad(exact, (exact_x, exact_weight), grad.double())
    for one, other in zip((y, *ours), (exact, *theirs), strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
@pytest.mark.parametrize("channels", [(20, 33, 1), (33, 20, 1), (40, 24, 8)])
def test_half_precision_is_summed_in_float32_and_rounded_once(dtype, share, channels):
    pairs, x, weight, grad = drawn("strided", *channels)
    halves = [tensor.detach().to(dtype).requires_grad_() for tensor in (x, weight)]
    wide = [tensor.detach().double().requires_grad_() for tensor in halves]
    y, exact = (sparse.conv(*leaves, None, pairs, e) for leaves, e in ((halves, "llvm"), (wide, "gather_gemm_scatter")))
    ours = torch.autograd.grad(y, halves, grad.to(dtype))
    theirs = torch.autograd.grad(exact, wide, grad.to(dtype).double())
    for one, other in zip((y, *ours), (exact, *theirs), strict=True):
        assert one.dtype == dtype
        assert ((one - other).abs() <= share * other.abs() + 1e-5 * other.abs().max()).all()


def test_bfloat16_numbers_may_begin_anywhere():
    pairs, *numbers = drawn("tiles", 16, 32, 1)
    x, weight, grad = (tensor.detach().to(torch.bfloat16) for tensor in numbers)
    moved = [torch.cat([t.new_zeros(1), t.flatten()])[1:].view_as(t).requires_grad_() for t in (x, weight, grad)]
    found = []
    for a, w, g in ((x.requires_grad_(), weight.requires_grad_(), grad), moved):
        y = sparse.conv(a, w, None, pairs, "llvm")
        found.append([y, *torch.autograd.grad(y, (a, w), g.detach())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [(32, 48, 1), (144, 144, 144)])
def test_results_are_the_same_bit_for_bit_for_any_number_of_threads(channels, dtype):
    pairs, *numbers = drawn("submanifold", *channels)
    x, weight, grad = (tensor.detach().to(dtype).requires_grad_() for tensor in numbers)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 3, 2):
        torch.set_num_threads(threads)
        y = sparse.conv(x, weight, None, pairs, "llvm")
        found.append([y, *torch.autograd.grad(y, (x, weight), grad)])
    torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


def test_what_it_cannot_do_is_left_to_the_next_engine():
    pairs = kernel_map(sites(), SparseSpec.of((12, 20, 24), 3, kind="submanifold"))
    x, weight = (torch.randn(n, *k, 32, dtype=torch.float64) for n, k in ((len(pairs.inputs), ()), (32, (3, 3, 3))))
    with pytest.raises(Unsupported, match="float32 only"):
        sparse.conv(x, weight, None, pairs, "llvm")
    assert sparse.conv(x, weight, None, pairs).shape == (len(pairs.outputs), 32)
