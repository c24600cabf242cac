import pytest
import torch

from ninefold.sparse.engines.groups import gathered, spread, together


@pytest.mark.parametrize(("groups", "some"), [(6, 1), (6, 2), (6, 3), (6, 6)])
def test_a_spread_weight_multiplies_as_the_groups_do(groups, some):
    each_in, each_out = 4, 5
    x, weight = torch.randn(groups * each_in), torch.randn(groups * each_out, 3, each_in)
    by_group = torch.einsum("gc,gokc->gok", x.view(groups, -1), weight.unflatten(0, (groups, -1)))
    wide = spread(weight, groups, some).unflatten(0, (groups // some, -1))
    found = torch.einsum("rc,rokc->rok", x.view(groups // some, -1), wide)
    torch.testing.assert_close(found.flatten(0, 1), by_group.flatten(0, 1))


@pytest.mark.parametrize("some", [1, 2, 4])
def test_what_was_spread_is_gathered_again(some):
    weight = torch.randn(some * 5, 3, 4)
    wide = spread(weight, some, some)
    assert wide.shape == (some * 5, 3, some * 4)
    assert torch.equal(gathered(wide, some), weight)


def test_groups_are_taken_together_until_they_fill_a_vector():
    assert together(32, (2, 2), 16) == 8
    assert together(4, (12, 12), 16) == 1
    assert together(5, (2, 2), 16) == 5
