import os
import pickle
import pickletools
import tracemalloc

import numpy as np
import pytest

from ninefold.data.eeg.deap import CHANNELS, deap_files, read_deap, write_deap
from ninefold.errors import CorruptFile, InvalidInput, MissingData


def numbers(trials=3, samples=512, channels=40):
    rng = np.random.default_rng(0)
    return 10 * rng.normal(size=(trials, channels, samples)), rng.uniform(1, 9, (trials, 4))


def dump(path, data, labels, protocol=2, **more):
    path.write_bytes(pickle.dumps({"labels": labels, "data": data, **more}, protocol))
    return path


def test_what_is_written_is_what_python_2_pickled(tmp_path):
    data, ratings = numbers()
    path = tmp_path / "s01.dat"
    write_deap(path, data * 1e-6, ratings)
    with path.open("rb") as file:
        content = pickle.load(file, encoding="latin1")
    assert list(content) == ["labels", "data"]
    assert content["data"].dtype == content["labels"].dtype == np.float64
    np.testing.assert_allclose(content["data"], data, rtol=1e-15)
    np.testing.assert_array_equal(content["labels"], ratings)
    with pytest.raises(UnicodeDecodeError):
        pickle.loads(path.read_bytes())


def test_what_is_written_has_no_opcode_younger_than_python_2(tmp_path):
    write_deap(tmp_path / "s01.dat", *numbers())
    opcodes = [opcode for opcode, _, _ in pickletools.genops((tmp_path / "s01.dat").read_bytes())]
    assert max(opcode.proto for opcode in opcodes) == 2
    assert {opcode.name for opcode in opcodes if "STRING" in opcode.name} == {"SHORT_BINSTRING", "BINSTRING"}
    assert not [opcode.name for opcode in opcodes if "UNICODE" in opcode.name or "BYTES" in opcode.name]


def test_the_electrodes_are_read_in_volts(tmp_path):
    data, ratings = numbers()
    path = tmp_path / "s07.dat"
    write_deap(path, data * 1e-6, ratings)
    subject = read_deap(path)
    assert (subject.name, subject.hertz, subject.rest, subject.channels) == ("s07", 128, 3, CHANNELS)
    np.testing.assert_allclose(subject.volts, data[:, :32] * 1e-6, rtol=1e-12)
    np.testing.assert_array_equal(subject.ratings, ratings)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4"])
def test_files_saved_again_are_read_whatever_their_protocol(protocol, dtype, tmp_path):
    data, ratings = (values.astype(dtype) for values in numbers())
    subject = read_deap(dump(tmp_path / "s01.dat", data, np.asfortranarray(ratings), protocol))
    assert subject.volts.dtype == subject.ratings.dtype == np.float64
    assert subject.volts.flags.c_contiguous
    np.testing.assert_allclose(subject.volts, data[:, :32] * 1e-6, rtol=1e-6)
    np.testing.assert_array_equal(subject.ratings, ratings)


def test_a_file_is_read_within_twice_its_size(tmp_path):
    path = tmp_path / "s01.dat"
    write_deap(path, *numbers(trials=8, samples=8064))
    tracemalloc.start()
    read_deap(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.1 * path.stat().st_size


def spoiled(where, value):
    data, ratings = numbers()
    (data if len(where) == 3 or isinstance(where[1], slice) else ratings)[where] = value
    return data, ratings


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (numbers(channels=31), r"data of shape \(3, 31, 512\) and labels of shape \(3, 4\); wanted"),
        ((numbers()[0], numbers(trials=4)[1]), r"labels of shape \(4, 4\)"),
        ((numbers()[0][0], numbers()[1]), r"data of shape \(40, 512\)"),
        (numbers(samples=384), "3 s of rest at 128 Hz are as long"),
        (numbers(trials=0), "0 trials"),
        (spoiled((1, 2, 5), np.nan), "s01, trial 2: channel F3 holds a sample that is no number"),
        (spoiled((2, 31, 0), -np.inf), "s01, trial 3: channel O2 holds a sample that is no number"),
        (spoiled((0, slice(4, 5)), 2.5), "s01, trial 1: channel FC5 is flat at 2.5e-06 V"),
        (spoiled((0, slice(4, 5)), np.inf), "s01, trial 1: channel FC5 holds a sample that is no number"),
        (spoiled((2, 1), 0.5), "s01, trial 3: arousal is rated 0.5; wanted 1 to 9"),
        (spoiled((0, 3), np.nan), "s01, trial 1: liking is rated nan"),
        ((numbers()[0].astype(int), numbers()[1]), "data is of type int64; wanted an array of float64"),
        ((numbers()[0].astype(np.float16), numbers()[1]), "data is of type float16"),
        ((numbers()[0].tolist(), numbers()[1]), "data is of type list"),
        ((numbers()[0].astype(object), numbers()[1]), "holds an array of 'O8'; wanted numbers"),
    ],
)
def test_wrong_content_is_one_sentence_naming_the_file(content, sentence, tmp_path):
    path = dump(tmp_path / "s01.dat", *content, protocol=4)
    with pytest.raises(CorruptFile, match=sentence) as caught:
        read_deap(path)
    assert str(path) in str(caught.value)


def test_a_dict_of_anything_more_is_refused(tmp_path):
    with pytest.raises(CorruptFile, match=r"is a dict of data, labels, more; wanted data and labels only"):
        read_deap(dump(tmp_path / "s01.dat", *numbers(), more=1))
    (tmp_path / "s02.dat").write_bytes(pickle.dumps([1], 2))
    with pytest.raises(CorruptFile, match="holds a list; wanted a dict"):
        read_deap(tmp_path / "s02.dat")


def test_a_harmful_file_is_refused_by_name_and_not_run(tmp_path):
    path = tmp_path / "s01.dat"
    path.write_bytes(b"cos\nmkdir\n(V%s\ntR." % os.fsencode(tmp_path / "made"))
    with pytest.raises(CorruptFile, match=r"calls os\.mkdir"):
        read_deap(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("part", [0, 1, 100, 200, 0.5, 0.999])
def test_a_truncated_file_is_refused(part, tmp_path):
    path = tmp_path / "s01.dat"
    write_deap(path, *numbers())
    whole = path.read_bytes()
    path.write_bytes(whole[: part if isinstance(part, int) else int(part * len(whole))])
    with pytest.raises(CorruptFile, match="is a damaged pickle"):
        read_deap(path)


def test_a_far_too_large_file_is_refused_unread(tmp_path):
    path = tmp_path / "s01.dat"
    path.touch()
    os.truncate(path, 1 << 40)  # takes no room on the disk
    with pytest.raises(CorruptFile, match=r"has 1,099,511,627,776 bytes, over the limit"):
        read_deap(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(MissingData, match=r"s01\.dat is not there"):
        read_deap(tmp_path / "s01.dat")


def test_only_forty_channels_are_written(tmp_path):
    with pytest.raises(InvalidInput, match=r"volts have shape \(3, 32, 512\)"):
        write_deap(tmp_path / "s01.dat", *numbers(channels=32))
    assert not list(tmp_path.iterdir())


def test_files_are_found_by_number_among_others(tmp_path):
    for name in ("s10.dat", "s02.dat", "s02.mat", "readme.txt", "xs03.dat", "s04.dat.zip"):
        (tmp_path / name).touch()
    assert {number: path.name for number, path in deap_files(tmp_path).items()} == {2: "s02.dat", 10: "s10.dat"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingData, match=r"holds no s01\.dat"):
        deap_files(tmp_path / "empty")
