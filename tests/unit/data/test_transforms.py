import numpy as np
import pytest
import torch

from ninefold.data.transforms import AUGMENTATIONS, Pipeline, resize
from ninefold.errors import InvalidInput, UnknownName
from ninefold.records import Sample


def pictures(count=6, shape=(1, 16, 24), seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [Sample(torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8), i, f"x/{i}") for i in range(count)]


def plain(size=(16, 24), channels=1, augment=()):
    return Pipeline(size, channels, (0.0,), (1.0,), augment)


def test_a_batch_is_normalised_per_channel():
    samples = pictures(shape=(3, 4, 4))
    batch = Pipeline((4, 4), 3, (0.1, 0.2, 0.3), (0.5, 0.25, 1.0))(samples)
    assert (batch.images.dtype, batch.images.shape) == (torch.float32, (6, 3, 4, 4))
    assert batch.images[2, 1, 3, 0].item() == pytest.approx((int(samples[2].image[1, 3, 0]) / 255 - 0.2) / 0.25)
    assert batch.labels.tolist() == list(range(6))
    assert batch.names[5] == "x/5"


def test_grey_is_repeated_and_colour_is_weighed():
    image = torch.tensor([255, 0, 51], dtype=torch.uint8).view(3, 1, 1)
    (grey,) = plain((1, 1), 1)([Sample(image, 0, "")]).images
    assert grey.item() == pytest.approx(0.299 + 0.114 * 0.2)
    (colour,) = plain((1, 1), 3)([Sample(image[:1], 0, "")]).images
    assert colour.flatten().tolist() == [1, 1, 1]


def test_other_channel_changes_are_refused():
    with pytest.raises(InvalidInput, match="pictures of 2 channels do not turn into 3"):
        plain(channels=3)(pictures(shape=(2, 16, 24)))


def test_a_picture_of_the_right_size_is_unchanged():
    samples = pictures()
    assert (plain()(samples).images * 255).round().to(torch.uint8).equal(torch.stack([s.image for s in samples]))


def test_resize_halves_by_a_tent_and_keeps_constants():
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    half = resize(ramp, (4, 4))
    assert half[0, 0, 1].tolist() == pytest.approx([0.7143, 2.5, 4.5, 6.2857], abs=1e-3)
    assert resize(torch.full((1, 1, 9, 7), 0.25), (5, 5)).unique().tolist() == pytest.approx([0.25])


def test_another_aspect_is_covered_and_cut_at_the_centre():
    image = torch.zeros(1, 1, 10, 40)
    image[..., 15:25] = 1  # the middle square
    assert resize(image, (10, 10)).equal(torch.ones(1, 1, 10, 10))
    assert resize(torch.zeros(1, 3, 100, 37), (64, 32)).shape == (1, 3, 64, 32)


def test_pictures_of_different_sizes_make_one_batch():
    samples = [*pictures(2, (1, 16, 24)), *pictures(2, (3, 50, 31))]
    together = plain((16, 24), 3)(samples).images
    alone = torch.cat([plain((16, 24), 3)([sample]).images for sample in samples])
    assert together.equal(alone)


def test_no_samples_make_an_empty_batch():
    assert plain(augment=tuple(AUGMENTATIONS))([], []).images.shape == (0, 1, 16, 24)


def test_without_seeds_nothing_is_augmented():
    samples = pictures()
    assert plain(augment=tuple(AUGMENTATIONS))(samples).images.equal(plain()(samples).images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_depends_on_the_samples_seed_alone(name):
    samples, seeds = pictures(), [3, 1, 4, 2**63 - 1, 5, 9]
    pipeline = plain(augment=(name,))
    together = pipeline(samples, seeds).images
    alone = torch.cat([pipeline([s], [seed]).images for s, seed in zip(samples, seeds, strict=True)])
    assert together.equal(alone)
    assert not together.equal(pipeline(samples, [s - 1 for s in seeds]).images)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_keeps_shape_and_range(name):
    images = plain(augment=(name,))(pictures(50), range(50)).images
    assert images.shape == (50, 1, 16, 24)
    assert images.min() >= 0
    assert images.max() <= 1


def test_flip_mirrors_about_half_of_the_pictures():
    images = torch.rand(400, 1, 4, 4)
    flipped = AUGMENTATIONS["flip"](images, np.arange(400, dtype=np.uint64))
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert (mirrored | (flipped == images).flatten(1).all(1)).all()
    assert 160 < mirrored.sum() < 240


def moves(name):
    """Find by how much a lone bright pixel in the middle moved, for many keys."""
    images = torch.zeros(2000, 1, 16, 24)
    images[:, :, 8, 12] = 1
    moved = AUGMENTATIONS[name](images, np.arange(2000, dtype=np.uint64))
    _, _, rows, columns = moved.nonzero(as_tuple=True)
    return set(zip((rows - 8).tolist(), (columns - 12).tolist(), strict=True))


@pytest.mark.parametrize("name", ["crop", "shift"])
def test_crop_and_shift_reach_every_place_up_to_an_eighth_of_the_size(name):
    assert moves(name) == {(row, column) for row in range(-2, 3) for column in range(-3, 4)}


def test_crop_brings_in_black_and_shift_repeats_the_edge():
    white, keys = torch.ones(50, 1, 16, 16), np.arange(50, dtype=np.uint64)
    assert AUGMENTATIONS["crop"](white, keys).min() == 0
    assert AUGMENTATIONS["shift"](white, keys).min() == 1


def test_rotate_turns_by_up_to_ten_degrees_about_the_centre_whatever_the_aspect():
    images = torch.zeros(500, 1, 41, 81)
    images[:, :, 20, 70] = 1  # 30 pixels right of the centre
    turned = AUGMENTATIONS["rotate"](images, np.arange(500, dtype=np.uint64))[:, 0]
    mass = turned.sum((1, 2))
    rows = (turned.sum(2) * torch.arange(41.0)).sum(1) / mass - 20
    columns = (turned.sum(1) * torch.arange(81.0)).sum(1) / mass - 40
    angles = torch.atan2(rows, columns).rad2deg()
    assert torch.allclose(torch.hypot(rows, columns), torch.tensor(30.0), atol=0.6)
    assert 9 < angles.max() < 10.5
    assert -10.5 < angles.min() < -9


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"augment": ("flop",)}, UnknownName, "no augmentation is called 'flop'; did you mean 'flip'"),
        ({"augment": ("flip", "flip")}, InvalidInput, "names an augmentation twice"),
        ({"size": (0, 4)}, InvalidInput, r"size=\(0, 4\)"),
        ({"mean": (0.1, 0.2)}, InvalidInput, r"mean=\(0.1, 0.2\) does not fit 3 channels"),
        ({"std": (0.0,)}, InvalidInput, "not above 0"),
    ],
)
def test_impossible_pipelines_are_refused(change, error, sentence):
    with pytest.raises(error, match=sentence):
        Pipeline(**{"size": (4, 4), "channels": 3, "mean": (0.0,), "std": (1.0,), **change})


def test_seeds_and_samples_must_be_as_many():
    with pytest.raises(InvalidInput, match="6 samples came with 2 seeds"):
        plain()(pictures(), [1, 2])
