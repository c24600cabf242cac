"""`models`, `summary` and `data`: what they print for people and for machines."""

import json

import pytest
from PIL import Image

from ninefold import data, networks
from ninefold.app.main import run


def document(capsys, *arguments):
    assert run([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def printed(capsys, *arguments):
    assert run(arguments) == 0
    return capsys.readouterr().out


def test_models_lists_what_the_cards_say(capsys):
    table = printed(capsys, "models")
    for card in networks.cards():
        line = next(line for line in table.splitlines() if line.split()[:1] == [card.name])
        assert f"{card.parameters:,}" in line
        assert f"{card.macs:,}" in line


def test_models_tells_all_about_one(capsys):
    card = networks.card("lenet5")
    text = printed(capsys, "models", "lenet5")
    for fact in (card.paper, card.link, card.published, *card.differences):
        assert fact in text
    assert document(capsys, "models", "lenet5")["parameters"] == card.parameters


def test_models_of_one_family(capsys):
    assert {card["family"] for card in document(capsys, "models", "--family", "classic")} == {"classic"}


def test_models_are_limited_and_sorted(capsys):
    small = document(capsys, "models", "--max-params", "0.3M", "--sort", "macs")
    assert [card["name"] for card in small] == [
        card.name for card in sorted(networks.cards(), key=lambda card: card.macs) if card.parameters <= 300_000
    ]
    assert all(card["params"] == networks.card(card["name"]).parameters for card in small)
    best = document(capsys, "models", "--sort", "top1")
    assert best[0]["top1"] == max(card.top1 for card in networks.cards() if card.top1)


@pytest.mark.parametrize("wrong", [["--max-params", "5T"], ["--max-params", ""], ["--sort", "speed"]])
def test_an_impossible_limit_or_order_is_refused(capsys, wrong):
    assert run(["models", *wrong]) == 2
    assert repr(wrong[1]) in capsys.readouterr().err


def test_a_summary_by_stage_adds_the_layers_up(capsys):
    layers = document(capsys, "summary", "resnet20")
    stages = document(capsys, "summary", "resnet20", "--by", "stage")
    assert [row["name"] for row in stages["rows"]] == ["conv1", "bn1", "stage1", "stage2", "stage3", "head"]
    for key in ("parameters", "macs"):
        assert sum(row[key] for row in stages["rows"]) == sum(row[key] for row in layers["rows"]) == stages[key]
    assert sum(row["layers"] for row in stages["rows"]) == len(layers["rows"])
    lines = printed(capsys, "summary", "resnet20", "--by", "stage").splitlines()
    assert lines[-1] == "memory: 1.03 MiB of weights, and up to 0.188 MiB of values at a time"


def test_summary_shows_the_concatenation_before_the_classifier(capsys):
    rows = document(capsys, "summary", "parallel_conv", "--input", "3x224x224")["rows"]
    concat = next(row for row in rows if row["kind"] == "concat")
    assert concat["output_shape"] == [192, 224, 224]
    assert concat["parameters_so_far"] == 6912


def test_summary_takes_channels_and_classes(capsys):
    summary = document(capsys, "summary", "resnet20", "--input", "1x28x28", "--classes", "7")
    assert summary["input_shape"] == [1, 28, 28]
    assert summary["rows"][-1]["output_shape"] == [7]


def test_the_table_of_a_summary_is_readable_at_100_columns(capsys):
    lines = printed(capsys, "summary", "parallel_conv", "--input", "3x224x224").splitlines()
    assert max(map(len, lines)) <= 100
    assert not any(line != line.rstrip() or "\x1b" in line for line in lines)
    concat = next(line for line in lines if "concat" in line).split()
    assert concat == ["backbone.block", "concat", "192x224x224", "0", "0", "5x5"]
    total = next(line for line in lines if line.startswith(" total")).split()
    card = networks.card("parallel_conv")
    assert total == ["total", f"{card.parameters:,}", f"{card.macs:,}"]


def test_data_lists_every_source(capsys):
    assert [card["name"] for card in document(capsys, "data")] == [card.name for card in data.cards()]
    table = printed(capsys, "data")
    assert all(card.title in table for card in data.cards())


def test_data_counts_the_pictures_of_a_source(capsys):
    digits = document(capsys, "data", "digits")
    source = data.open_source("digits")
    assert digits["classes"] == list(source.classes)
    for split, counts in digits["counts"].items():
        assert sum(counts) == len(source.split(split))
        assert counts[3] == (source.split(split).labels == 3).sum()
    assert source.card.split_rule in printed(capsys, "data", "digits")


def test_a_source_of_ones_own_files_is_described_without_them(capsys):
    assert document(capsys, "data", "folder")["needs_dir"] is True
    assert data.card("folder").split_rule in printed(capsys, "data", "folder")


@pytest.mark.parametrize("count", [1, 4])
def test_data_writes_test_pictures_named_with_their_class(tmp_path, capsys, count):
    written = document(capsys, "data", "digits", "--pictures", str(tmp_path / "new"), "--count", str(count))["pictures"]
    test = data.open_source("digits").split("test")
    truth = {test[i].name.replace("/", "_"): test[i] for i in range(len(test))}
    assert len(written) == count
    for path in written:
        label, _, name = path.rsplit("/", 1)[1].removesuffix(".png").partition("-")
        assert truth[name].label == int(label)
        with Image.open(path) as picture:
            assert picture.tobytes() == truth[name].image.numpy().tobytes()
