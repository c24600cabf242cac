"""Training that starts from the weights of a file."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from ninefold import networks
from ninefold.errors import CorruptFile, InvalidInput, MissingData, RunError
from ninefold.training import Settings, train
from ninefold.training.checkpoint import read_checkpoint

STILL = 1e-12  # a learning rate that leaves weights where they are


def test_the_weights_of_the_file_are_the_first_weights(finished, tiny, tmp_path):
    weights = finished / "model.safetensors"
    train(tiny(epochs=1, lr=STILL, weight_decay=0.0, checkpoint=weights), tmp_path / "next", progress="none")
    for name, tensor in load_file(tmp_path / "next" / "model.safetensors").items():
        torch.testing.assert_close(tensor, load_file(weights)[name])


def test_what_the_file_has_in_another_shape_is_named(tiny, tmp_path, capfd):
    save_file(networks.create("lenet5", classes=5).state_dict(), tmp_path / "five.safetensors")
    train(tiny(epochs=1, checkpoint=tmp_path / "five.safetensors"), tmp_path / "run", progress="lines")
    assert "five.safetensors: output.weight, output.bias have other shapes in the file" in capfd.readouterr().err


def test_a_run_goes_on_when_the_file_is_gone(tiny, finished, tmp_path):
    weights, out = finished / "model.safetensors", tmp_path / "run"
    train(tiny(epochs=1, checkpoint=weights), out, progress="none")
    weights.unlink()
    train(tiny(epochs=2, checkpoint=weights), out, resume=True, progress="none")
    assert len(read_checkpoint(out / "last.ckpt")["history"]) == 2
    with pytest.raises(RunError, match="checkpoint=None came"):
        train(tiny(epochs=2), out, resume=True, progress="none")


@pytest.mark.parametrize(
    ("write", "error"),
    [
        (lambda path: path.unlink(missing_ok=True), MissingData),
        (lambda path: path.write_bytes(b"no weights"), CorruptFile),
        (lambda path: torch.save(networks.create("resnet20").state_dict(), path), InvalidInput),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_written(write, error, tiny, tmp_path):
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(error, match=r"weights\.pth"):
        train(tiny(checkpoint=path), tmp_path / "run", progress="none")
    assert not (tmp_path / "run").exists()


def test_the_path_is_kept_whole(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = Settings("lenet5", "digits", checkpoint=type(tmp_path)("weights.pth"))
    assert settings.checkpoint == tmp_path / "weights.pth"
    assert Settings.from_yaml(settings.to_yaml()) == settings
