"""`baseline`: what it prints for people and for machines."""

import json

from ninefold.app.main import run


def test_the_table_has_the_classifier_and_the_majority(capsys):
    assert run(["baseline", "lda", "--data", "digits"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:6] for line in out.splitlines()[2:]] == [
        ["lda", "digits", "1,258", "359", "64", "0.9666"],
        ["majority", "digits", "1,258", "359", "64", "0.0585"],
    ]
    assert err == ""


def test_the_document_has_an_object_per_line(capsys):
    assert run(["baseline", "knn", "--data", "digits", "--limit", "200", "--json"]) == 0
    found, majority = json.loads(capsys.readouterr().out)
    assert (found["model"], found["train"], majority["model"], majority["train"]) == ("knn", 200, "majority", 200)
    assert found["accuracy"] > majority["accuracy"]


def test_a_source_of_points_is_misuse(capsys):
    assert run(["baseline", "svm", "--data", "lidar-scenes"]) == 2
    assert "'lidar-scenes' holds points" in capsys.readouterr().err
