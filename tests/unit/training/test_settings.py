from pathlib import Path

import pytest

from ninefold.errors import InvalidInput, RunError, UnknownName
from ninefold.records import Card
from ninefold.training import Settings
from ninefold.training.schedule import rate

FULL = Settings(
    "lenet5", "folder", Path("/pictures"), 5, 32, 0.2, "adamw", "step", 0.0, ("flip",), 7, (28, 30), 2, 2, 2, "bf16"
)


def card(**more):
    return Card("net", "classic", "classify", "", 2000, "", (3, 32, 32), 10, 1, 1, **more)


@pytest.mark.parametrize("settings", [FULL, Settings("lenet5", "digits")])
def test_yaml_gives_back_what_was_written(settings):
    assert Settings.from_yaml(settings.to_yaml()) == settings


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": 2.5}, "epochs=2.5"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, f"seed={2**63}"),
        ({"size": (0, 3)}, r"size=\(0, 3\)"),
        ({"size": (3,)}, r"size=\(3,\)"),
        ({"workers": -1}, "workers=-1"),
        ({"devices": 0}, "devices=0"),
        ({"network": ""}, "network=''"),
        ({"batch_size": 9, "devices": 2}, "batch_size=9 cannot be dealt evenly to 2"),
    ],
)
def test_a_value_out_of_range_is_named(wrong, named):
    with pytest.raises(InvalidInput, match=named):
        Settings(**{"network": "lenet5", "data": "digits", **wrong})


@pytest.mark.parametrize("name", ["optimizer", "schedule", "precision"])
def test_an_unknown_choice_lists_the_known_ones(name):
    with pytest.raises(UnknownName, match=f"no {name} is called 'lion'"):
        Settings("lenet5", "digits", **{name: "lion"})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a: [", "not YAML"),
        ("- 1", "holds list"),
        (FULL.to_yaml() + "speed: 1\n", "unknown keys: speed"),
        (FULL.to_yaml().replace("seed: 7\n", ""), "missing keys: seed"),
        (FULL.to_yaml().replace("seed: 7", "seed: seven"), "seed='seven'"),
        (FULL.to_yaml().replace("- flip", "- 3"), r"augment=\(3,\)"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_a_settings_file_that_cannot_be_used_says_why(text, named):
    with pytest.raises(RunError, match=named):
        Settings.from_yaml(text)


def test_the_input_size_follows_the_network_then_the_source_then_the_card():
    settings = Settings("net", "data")
    assert settings.input_size(card(fixed_size=True), (8, 8)) == (32, 32)
    assert settings.input_size(card(), (28, 28)) == (28, 28)
    assert settings.input_size(card(), None) == (32, 32)
    assert Settings("net", "data", size=(40, 48)).input_size(card(), (28, 28)) == (40, 48)


def test_a_size_that_the_network_cannot_take_is_refused():
    with pytest.raises(InvalidInput, match=r"takes pictures of \(32, 32\) only"):
        Settings("net", "data", size=(28, 28)).input_size(card(fixed_size=True), (28, 28))
    with pytest.raises(InvalidInput, match="from 24 pixels a side"):
        Settings("net", "data").input_size(card(smallest=24), (8, 8))


def test_the_rate_rises_and_falls_as_the_schedule_says():
    cosine = [rate(Settings("net", "data", lr=1.0), step, 1000) for step in range(1000)]
    assert cosine.index(max(cosine)) in (49, 50)
    assert max(cosine) > 0.98
    assert 0 < cosine[-1] < 1e-5
    step = [rate(Settings("net", "data", lr=1.0, schedule="step"), step, 100) for step in (0, 49, 50, 74, 75, 99)]
    assert step == [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    assert rate(Settings("net", "data", lr=0.3, schedule="constant"), 5, 10) == 0.3
