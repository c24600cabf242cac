import pytest
import torch

from ninefold.sparse.copies import cast, copied


@pytest.mark.parametrize("shape", [(7,), (0, 4), (64, 27, 64), (3, 40_000), (70_000,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_copies_in_parts_are_copies(shape, dtype):
    x = torch.randn(shape)
    for source in (x, x.T if x.dim() == 2 else x.transpose(0, -1)):
        y = copied(source, dtype)
        assert y.is_contiguous()
        assert torch.equal(y, source.to(dtype))
        assert y.data_ptr() != source.data_ptr() or not source.numel()


def test_gradients_of_a_cast_have_the_dtype_of_its_argument():
    x = torch.randn(30, 2000, requires_grad=True)
    y = cast(x, torch.bfloat16)
    assert y.dtype == torch.bfloat16
    assert cast(y, torch.bfloat16) is y
    g = torch.randn(30, 2000).to(torch.bfloat16)
    (grad,) = torch.autograd.grad(y, x, g)
    assert torch.equal(grad, g.float())
    (second,) = torch.autograd.grad(cast(x, torch.bfloat16).float().square().sum(), x, create_graph=True)
    assert torch.autograd.grad(second.sum(), x)[0].eq(2).all()


def test_torchs_own_threads_take_no_part(monkeypatch):
    """Its threads share whatever has as many numbers as this."""
    sizes = []
    real = torch.Tensor.copy_
    monkeypatch.setattr(torch.Tensor, "copy_", lambda y, x: sizes.append(x.numel()) or real(y, x))
    copied(torch.randn(64, 27, 64), torch.bfloat16)
    assert sum(sizes) == 64 * 27 * 64
    assert max(sizes) < 2**15
