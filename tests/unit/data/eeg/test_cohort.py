import numpy as np
import pytest

from ninefold.data.eeg.cohort import DeapCohort, SyntheticCohort, open_cohort, parse_numbers
from ninefold.data.eeg.deap import deap_files
from ninefold.data.eeg.synthetic import synthetic_files, synthetic_subject
from ninefold.errors import CorruptFile, InvalidInput, MissingData, UnknownName


@pytest.fixture
def folder(tmp_path):
    synthetic_files(tmp_path, "easy", [1, 2, 5], trials=2, seconds=1)
    return tmp_path


def test_people_are_made_up_by_number():
    cohort = SyntheticCohort("easy", [3, 1], trials=2, seconds=1, seed=4)
    assert cohort.names == ("s03", "s01")
    expected = synthetic_subject("easy", 3, trials=2, seconds=1, seed=4)
    np.testing.assert_array_equal(cohort.subject("s03").volts, expected.volts)


def test_people_are_read_from_a_folder(folder):
    assert open_cohort(str(folder)).names == ("s01", "s02", "s05")
    cohort = open_cohort(str(folder), (5, 1))
    assert cohort.names == ("s05", "s01")
    expected = synthetic_subject("easy", 5, trials=2, seconds=1)
    np.testing.assert_allclose(cohort.subject("s05").volts, expected.volts, rtol=1e-14)


def test_thirty_two_are_made_up_unless_told():
    assert len(open_cohort("synthetic:null").names) == 32
    assert open_cohort("synthetic:null", [7]).names == ("s07",)


def test_one_damaged_file_leaves_the_others(folder):
    path = folder / "s02.dat"
    path.write_bytes(path.read_bytes()[:1000])
    cohort = open_cohort(str(folder))
    with pytest.raises(CorruptFile, match=r"s02\.dat is a damaged pickle"):
        cohort.subject("s02")
    assert cohort.subject("s05").name == "s05"


def test_a_digest_changes_with_whatever_the_recordings_depend_on(folder):
    made = {"preset": "easy", "numbers": [1, 2], "trials": 2, "seconds": 1, "seed": 0}
    changes = [{}, {"preset": "null"}, {"trials": 3}, {"seconds": 2}, {"seed": 1}]
    digests = [SyntheticCohort(**made | change).digest("s01") for change in changes]
    digests.append(SyntheticCohort(**made).digest("s02"))
    digests += [DeapCohort(deap_files(folder)).digest(name) for name in ("s01", "s02")]
    assert len(set(digests)) == len(digests)
    assert SyntheticCohort(**made).digest("s01") == digests[0]


def test_a_digest_of_a_file_is_of_its_content(folder):
    before = open_cohort(str(folder)).digest("s01")
    content = bytearray((folder / "s01.dat").read_bytes())
    (folder / "s01.dat").rename(folder / "s07.dat")
    assert open_cohort(str(folder)).digest("s07") == before
    content[-100] ^= 1
    (folder / "s07.dat").write_bytes(content)
    assert open_cohort(str(folder)).digest("s07") != before


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(MissingData, match=r"has no file of s03, s04; it has those of s01, s02, s05"):
        open_cohort(str(folder), (1, 3, 4))
    with pytest.raises(MissingData, match=r"nowhere is no folder; wanted one of .+, or synthetic:realistic"):
        open_cohort(str(tmp_path / "nowhere"))
    with pytest.raises(UnknownName, match="no preset is called 'esy'; did you mean 'easy'"):
        open_cohort("synthetic:esy")


@pytest.mark.parametrize(
    ("text", "numbers"), [("3", (3,)), ("1-4,7", (1, 2, 3, 4, 7)), (" 5 , 2 - 3,2", (2, 3, 5)), ("01-02", (1, 2))]
)
def test_numbers_and_ranges_are_read(text, numbers):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "1,", "0", "4-2", "a", "1-", "-3", "1-2-3", "1.5", "²", "1-99999999"])
def test_other_text_is_refused(text):
    with pytest.raises(InvalidInput, match="wanted numbers and ranges, such as 1-4,7"):
        parse_numbers(text)
