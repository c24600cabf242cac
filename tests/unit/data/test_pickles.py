import os
import pickle
import random
from io import BytesIO

import numpy as np
import pytest

from ninefold.data.pickles import load_pickle
from ninefold.errors import CorruptFile


def load(content):
    return load_pickle(BytesIO(content), "x.pkl")


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">f4", "b1"])
def test_arrays_are_read_in_either_order(protocol, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    for written in (array, np.asfortranarray(array)):
        value = load(pickle.dumps({"a": written}, protocol))["a"].value
        assert value.dtype == array.dtype
        assert value.tolist() == array.tolist()


def test_arrays_as_older_numpy_writes_them_are_read():
    content = pickle.dumps(np.arange(3), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in content
    assert load(content).value.tolist() == [0, 1, 2]


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_exchanged_axes_are_read(protocol):
    array = np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2)
    assert load(pickle.dumps(array, protocol)).value.tolist() == array.tolist()


def test_plain_values_are_read():
    value = [1, 2.5, "text", None, True, {"a": (1,)}]
    assert load(pickle.dumps(value, 2)) == value


@pytest.mark.parametrize(
    ("harmful", "name"),
    [
        (Calls(os.system, "true"), rf"{os.name}.system"),
        (Calls(eval, "1"), r"(builtins|__builtin__).eval"),
        (Calls(np.load, "x"), r"numpy.load"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_anything_else_is_refused_by_name(harmful, name, protocol):
    with pytest.raises(CorruptFile, match=rf"x.pkl is a pickle that calls {name};"):
        load(pickle.dumps(harmful, protocol))


def test_a_dotted_name_does_not_reach_further():
    with pytest.raises(CorruptFile, match=r"calls numpy.ndarray.tofile"):
        load(b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.")


def test_arrays_of_objects_are_refused():
    with pytest.raises(CorruptFile, match="holds an array of 'O8'; wanted numbers"):
        load(pickle.dumps(np.array([None]), 2))


@pytest.mark.parametrize("protocol", [2, 5])
def test_damage_is_one_sentence(protocol):
    whole = pickle.dumps({"labels": list(range(300)), "data": np.arange(300, dtype=np.uint8)}, protocol)
    draw = random.Random(0)
    for _ in range(1500):
        content = bytearray(whole[: draw.randrange(len(whole) + 1)] if draw.random() < 0.5 else whole)
        for _ in range(draw.randrange(4) if content else 0):
            content[draw.randrange(len(content))] = draw.randrange(256)
        try:
            load(bytes(content))
        except CorruptFile as error:
            assert str(error).startswith("x.pkl ")  # noqa: PT017  # most damage is refused, some still reads


def test_a_huge_memo_index_asks_for_no_memory():
    with pytest.raises(CorruptFile, match="damaged pickle"):
        load(b"\x80\x02Nr\xff\xff\xff\x7fh\x01.")


def test_a_huge_promise_of_bytes_asks_for_no_memory():
    with pytest.raises(CorruptFile, match="damaged pickle"):
        load(b"\x80\x05\x96" + (1 << 60).to_bytes(8, "little") + b"few.")
