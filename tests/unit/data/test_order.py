from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ninefold.data.order import GlobalBatches
from ninefold.errors import InvalidInput


def indices(batches):
    return [index for index, _ in chain.from_iterable(batches)]


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 4), st.booleans())
def test_processes_together_see_exactly_the_single_process_batches(length, share, world, shuffle):
    size = share * world
    if shuffle and length < size and length % world:
        return  # refused, see below
    alone = list(GlobalBatches(length, size, seed=3, epoch=1, shuffle=shuffle))
    ranks = [list(GlobalBatches(length, size, 3, 1, rank, world, shuffle)) for rank in range(world)]
    assert {len(batches) for batches in ranks} == {len(alone)}
    for step, batch in enumerate(alone):
        parts = [batches[step] for batches in ranks]
        assert list(chain.from_iterable(parts)) == batch
        assert max(map(len, parts)) - min(map(len, parts)) <= (0 if shuffle else 1)


@given(st.integers(1, 60), st.integers(1, 20))
def test_evaluation_sees_every_picture_once_in_order(length, size):
    batches = GlobalBatches(length, size, seed=0, epoch=0, shuffle=False)
    assert indices(batches) == list(range(length))
    assert len(list(batches)) == len(batches)


def test_training_leaves_out_an_incomplete_last_batch():
    batches = list(GlobalBatches(10, 4, seed=0, epoch=0))
    assert [len(batch) for batch in batches] == [4, 4]
    assert len(set(indices(batches))) == 8


def test_training_on_less_than_one_batch_keeps_it():
    assert sorted(indices(GlobalBatches(3, 4, seed=0, epoch=0))) == [0, 1, 2]


def test_drop_last_can_be_chosen():
    assert len(indices(GlobalBatches(10, 4, seed=0, epoch=0, drop_last=False))) == 10
    assert len(indices(GlobalBatches(10, 4, seed=0, epoch=0, shuffle=False, drop_last=True))) == 8


def test_the_order_is_a_permutation_that_seed_and_epoch_decide():
    order = GlobalBatches(500, 1, seed=7, epoch=2).permutation()
    assert sorted(order.tolist()) == list(range(500))
    assert (order == GlobalBatches(500, 50, seed=7, epoch=2, rank=1, world=2).permutation()).all()
    for seed, epoch in ((7, 3), (8, 2)):
        assert (order != GlobalBatches(500, 1, seed=seed, epoch=epoch).permutation()).any()


def test_a_samples_seed_depends_on_seed_epoch_and_index_alone():
    alone = dict(chain.from_iterable(GlobalBatches(40, 8, seed=1, epoch=5)))
    shared = dict(chain.from_iterable(GlobalBatches(40, 20, seed=1, epoch=5, rank=1, world=2)))
    assert all(alone[index] == seed for index, seed in shared.items())
    assert len(set(alone.values())) == 40
    assert all(0 <= seed < 2**63 for seed in alone.values())
    later = dict(chain.from_iterable(GlobalBatches(40, 8, seed=1, epoch=6)))
    assert all(alone[index] != later[index] for index in alone)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"batch_size": 6, "world": 4}, "batch_size=6 cannot be shared equally by 4 processes"),
        ({"length": 0}, "length=0"),
        ({"rank": 2, "world": 2}, "rank=2, world=2"),
        ({"seed": -1}, "seed=-1"),
        (
            {"length": 3, "world": 2},
            "3 pictures are less than one batch of 8, and 2 processes cannot share them equally",
        ),
    ],
)
def test_impossible_batches_are_refused(arguments, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        GlobalBatches(**{"length": 20, "batch_size": 8, "seed": 0, "epoch": 0, **arguments})
