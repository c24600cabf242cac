import csv
import json

import pytest

from ninefold import data
from ninefold.data import write_png
from ninefold.errors import InvalidInput, MissingData, RunError, UnknownName
from ninefold.training import evaluate, predict
from ninefold.training.history import best, read_csv


def predictions(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_only_settings_and_weights_are_needed_and_the_result_is_the_same(finished):
    before = json.loads((finished / "report.json").read_text())
    for path in finished.iterdir():
        if path.name not in ("config.yaml", "model.safetensors"):
            path.unlink()
    report = evaluate(finished, progress="none")
    assert (report.value, report.loss, report.best_epoch) == (before["value"], before["loss"], before["best_epoch"])
    assert json.loads((finished / "report.json").read_text())["value"] == report.value


def test_the_best_epoch_is_measured_again_on_the_validation_pictures(finished):
    report = evaluate(finished, split="validation", progress="none")
    row = best(read_csv(finished / "metrics.csv"))
    assert (report.value, report.best_epoch) == (row["validation_accuracy"], row["epoch"])
    assert report.loss == pytest.approx(row["validation_loss"], rel=1e-5)
    assert (finished / "report-validation.json").exists()
    assert json.loads((finished / "report.json").read_text())["split"] == "test"


def test_predictions_agree_with_the_report(finished):
    rows = predictions(finished / "predictions.csv")
    report = json.loads((finished / "report.json").read_text())
    assert list(rows[0]) == ["name", "truth", "prediction", *(f"score_{i}" for i in range(10))]
    assert [row["name"] for row in rows[:2]] == ["digits/4", "digits/9"]
    assert sum(row["truth"] == row["prediction"] for row in rows) / len(rows) == pytest.approx(report["value"])
    for row in rows[:20]:
        scores = {name.removeprefix("score_"): float(row[name]) for name in list(row)[3:]}
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
        assert scores[row["prediction"]] == max(scores.values())


def test_a_picture_file_gets_the_scores_that_evaluation_gave_it(finished, tmp_path):
    sample = data.open_source("digits").split("test")[0]
    write_png(sample, tmp_path / "4.png")
    found = predict(finished, [tmp_path / "4.png"], top=3)[0]
    row = predictions(finished / "predictions.csv")[0]
    assert found.path == tmp_path / "4.png"
    assert found.classes[0][0] == row["prediction"]
    assert len(found.classes) == 3
    for name, probability in found.classes:
        assert probability == pytest.approx(float(row[f"score_{name}"]), abs=1e-5)


def test_top_names_no_more_classes_than_there_are(finished, tmp_path):
    write_png(data.open_source("digits").split("test")[0], tmp_path / "4.png")
    assert len(predict(finished, [tmp_path / "4.png"], top=99)[0].classes) == 10


def test_what_cannot_be_predicted_is_told(finished, tmp_path):
    with pytest.raises(MissingData, match=r"nothing\.png"):
        predict(finished, [tmp_path / "nothing.png"])
    with pytest.raises(InvalidInput, match="top=0"):
        predict(finished, [], top=0)


def test_what_cannot_be_evaluated_is_told(finished, tmp_path):
    with pytest.raises(RunError, match="is not there"):
        evaluate(tmp_path / "nothing", progress="none")
    with pytest.raises(RunError, match=r"has no config.yaml"):
        evaluate(tmp_path, progress="none")
    with pytest.raises(UnknownName, match="no split is called 'tset'"):
        evaluate(finished, split="tset", progress="none")
    with pytest.raises(UnknownName, match="no progress style is called 'loud'"):
        evaluate(finished, progress="loud")


def test_data_with_other_classes_is_refused(finished, monkeypatch):
    source = data.open_source("digits")
    renamed = type(source)(source.card, tuple("abcdefghij"), source.channels, source.size, source.splits)
    monkeypatch.setattr(data, "open_source", lambda *_: renamed)
    with pytest.raises(RunError, match="trained on the 10 classes 0, 1"):
        evaluate(finished, progress="none")
