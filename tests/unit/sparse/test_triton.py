from itertools import pairwise

import pytest
import torch

from ninefold import sparse
from ninefold.errors import Unsupported
from ninefold.sparse import Sites, kernel_map
from ninefold.sparse.engine import Job
from ninefold.sparse.engines import triton
from ninefold.spec import SparseSpec

SPECS = {
    "submanifold": SparseSpec.of((6, 7, 8), 3, kind="submanifold"),
    "strided": SparseSpec.of((6, 7, 8), 3, stride=2, padding=1),
    "more offsets than are sorted by": SparseSpec.of((6, 7, 8), 5, kind="submanifold"),
}
CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
ENGINE = triton.Triton()


def drawn_map(spec, device="cpu"):
    torch.manual_seed(0)
    sites, _ = Sites.of((torch.rand(2, *spec.size) < 0.3).nonzero().to(device), spec.size, 2)
    return kernel_map(sites, spec)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_table_holds_every_pair_once_and_says_where_its_columns_belong(spec, swapped):
    pairs = drawn_map(spec).swapped if swapped else drawn_map(spec)
    *met, order = triton.table(pairs)
    assert sorted(order.tolist()) == list(range(len(pairs.outputs)))
    for k, row in enumerate(met):
        there = row >= 0
        i, o = pairs.pairs(k)
        assert sorted(zip(row[there].tolist(), order[there].tolist(), strict=True)) == sorted(
            zip(i.tolist(), o.tolist(), strict=True)
        )
    assert triton.table(pairs) is triton.table(pairs)


def test_rows_that_meet_alike_stand_side_by_side():
    *met, _ = triton.table(drawn_map(SparseSpec.of((6, 7, 8), (1, 1, 3), kind="submanifold")))
    alike = [tuple(column) for column in (torch.stack(met) >= 0).T.tolist()]
    assert len(alike) > len(set(alike)) == 4
    assert sum(one != other for one, other in pairwise(alike)) == 3


@pytest.mark.parametrize(
    ("job", "part"),
    [
        (Job(16, 16, 1, CUDA, torch.float64), "are of float64"),
        (Job(32, 32, 4, CUDA, torch.float32), "fewer than 16 channels"),
        (Job(16, 16, 1, CPU, torch.float32), "the tensors are on cpu"),
        (Job(16, 16, 1, CUDA, torch.float32), "cuda:0 has 7.5"),
    ],
)
def test_says_what_it_cannot_do(job, part, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(triton, "_is_installed", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert part in ENGINE.why_not(job)


def test_takes_new_devices_and_says_so_where_triton_is_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(triton, "_is_installed", lambda: True)
    job = Job(16, 16, 1, CUDA, torch.bfloat16)
    assert ENGINE.why_not(job) is None
    monkeypatch.setattr(triton, "_is_installed", lambda: False)
    assert "package 'triton'" in ENGINE.why_not(job)


def test_raises_its_reason_when_it_is_named():
    x, weight = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 1, 4, dtype=torch.float64)
    pairs = kernel_map(Sites.of(torch.tensor([[0, 1], [0, 2], [0, 6]]), (8,))[0], SparseSpec.of((8,), 1))
    with pytest.raises(Unsupported, match="are of float64"):
        sparse.conv(x, weight, None, pairs, "triton_tf32")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize(
    ("engine", "dtype", "allowed"),
    [
        ("triton", torch.float32, 1e-5),
        ("triton_tf32", torch.float32, 3e-3),
        ("triton", torch.float16, 2e-3),
        ("triton", torch.bfloat16, 1.6e-2),
    ],
)
def test_agrees_with_float64_on_a_gpu(engine, dtype, allowed, spec):
    pairs = drawn_map(spec, "cuda")
    for in_channels, out_channels, groups in ((4, 16, 1), (20, 33, 1), (64, 128, 2)):
        shapes = (len(pairs.inputs), in_channels), (out_channels, *pairs.kernel, in_channels // groups)
        leaves = [torch.randn(shape, device="cuda").to(dtype).requires_grad_() for shape in shapes]
        y = sparse.conv(*leaves, None, pairs, engine)
        grad = torch.randn_like(y)
        exact_leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
        exact = sparse.conv(*exact_leaves, None, pairs, "gather_gemm_scatter")
        ours = (y, *torch.autograd.grad(y, leaves, grad))
        theirs = (exact, *torch.autograd.grad(exact, exact_leaves, grad.double()))
        for one, other in zip(ours, theirs, strict=True):
            assert (one - other).abs().max() <= allowed * other.abs().max()
