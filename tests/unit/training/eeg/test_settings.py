import pytest

from ninefold.errors import InvalidInput, RunError, UnknownName
from ninefold.training.eeg import EegSettings, holds, preset
from ninefold.training.eeg.folder import open_folder


def test_the_majority_is_always_asked_and_bands_stand_from_low_to_high():
    settings = EegSettings("synthetic:null", models=("lda", "lda"), bands=("gamma", "theta"))
    assert settings.models == ("lda", "majority")
    assert settings.bands == ("theta", "gamma")


def test_the_paper_is_a_preset_whose_values_can_be_replaced():
    settings = EegSettings("folder", **(preset("paper") | {"target": "arousal", "models": ("lda",)}))
    assert (settings.protocol, settings.folds, settings.recipe, settings.models) == (
        "segment-kfold",
        10,
        "paper",
        ("lda", "majority"),
    )
    with pytest.raises(UnknownName, match="no preset is called 'papr'; did you mean 'paper'"):
        preset("papr")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": "joy"}, "no target is called 'joy'"),
        ({"bands": ("delta",)}, "no band is called 'delta'"),
        ({"bands": ()}, "no band came"),
        ({"models": ("resnet",)}, "no model is called 'resnet'"),
        ({"protocol": "loso"}, "no protocol is called 'loso'"),
        ({"baseline": "removed"}, "did you mean 'remove'"),
        ({"phase": "linear"}, "no phase is called"),
        ({"recipe": "slow"}, "no recipe is called"),
        ({"folds": 1}, "folds=1 came"),
        ({"epochs": 0}, "epochs=0 came"),
        ({"null_subjects": -1}, "null_subjects=-1 came"),
        ({"seed": -1}, "seed=-1 came"),
        ({"window": 0.0}, "window=0 "),
        ({"overlap": 1.0}, "overlap=1 "),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused_by_name(wrong, said):
    with pytest.raises(InvalidInput, match=said):
        EegSettings("synthetic:null", **wrong)


def test_a_folder_goes_on_with_the_same_settings_only(tmp_path):
    settings, others = EegSettings("synthetic:null"), EegSettings("synthetic:null", seed=1)
    open_folder(settings, tmp_path / "study")
    open_folder(settings, tmp_path / "study")
    assert holds(settings, tmp_path / "study")
    assert not holds(others, tmp_path / "study")
    with pytest.raises(RunError, match="was started with seed=0, and seed=1 came"):
        open_folder(others, tmp_path / "study")


@pytest.mark.parametrize(
    ("text", "said"), [("[", "cannot be read"), ("3", "holds int"), ("network: a", "with data=None")]
)
def test_a_folder_of_something_else_is_refused(text, said, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(RunError, match=said):
        open_folder(EegSettings("synthetic:null"), tmp_path)
    assert (tmp_path / "config.yaml").read_text() == text
