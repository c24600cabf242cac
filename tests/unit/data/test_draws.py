import numpy as np

from ninefold.data.draws import mix, uniform


def test_mix_gives_the_published_splitmix_values():
    # the first three outputs of SplitMix64 seeded with 1234567, as other implementations give them
    step = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + i * step) % 2**64 for i in range(3)], np.uint64)
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_mix_tells_the_order_of_its_words():
    assert mix(1, 2) != mix(2, 1)


def test_uniform_fills_the_unit_interval_evenly():
    values = uniform(np.arange(20_000, dtype=np.uint64), "flip", 2)
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / 4000 - 1).max() < 0.06
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.02


def test_uniform_gives_each_purpose_its_own_numbers():
    keys = np.arange(1000, dtype=np.uint64)
    assert abs(np.corrcoef(uniform(keys, "crop", 1).T, uniform(keys, "shift", 1).T)[0, 1]) < 0.1


def test_a_key_decides_its_numbers_whatever_its_neighbours():
    keys = np.array([5, 2**63 - 1, 9], np.uint64)
    assert (uniform(keys, "crop", 2)[1:2] == uniform(keys[1:2], "crop", 2)).all()
