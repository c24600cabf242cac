import errno
import os
import struct
import zlib

import pytest
import torch
from PIL import Image

from ninefold.data.images import PIXEL_LIMIT, read_image, suffixes, write_png
from ninefold.errors import CorruptFile, InvalidInput, MissingData, StorageFull
from ninefold.records import Sample


def png_header(width, height):
    """A PNG file that claims a size and holds nothing."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\1IDAT"


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_back(tmp_path, channels):
    image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    write_png(Sample(image, 0, "x"), tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").equal(image)
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(
    ("mode", "colour", "wanted"),
    [
        ("1", 1, [255]),
        ("L", 9, [9]),
        ("I;16", 0x1280, [0x12]),
        ("P", 0, [0, 0, 0]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 255), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [255, 255, 255]),
        ("LA", (9, 0), [255]),
    ],
)
def test_every_mode_becomes_grey_or_colour(tmp_path, mode, colour, wanted):
    Image.new(mode, (4, 2), colour).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    assert image.shape == (len(wanted), 2, 4)
    assert image[:, 1, 3].tolist() == wanted


def test_a_transparent_grey_stays_grey_and_shows_white(tmp_path):
    Image.new("L", (2, 2), 9).save(tmp_path / "x.png", transparency=9)
    assert read_image(tmp_path / "x.png").flatten().tolist() == [255] * 4


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "x.jpg")
    assert read_image(tmp_path / "x.jpg")[:, 4, 4].tolist() == [255, 255, 255]


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("L", (3, 3), grey) for grey in (10, 200)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "x.gif").unique().tolist() == [10]


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.new("L", (4, 2))
    picture.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.save(tmp_path / "x.png", exif=exif)
    image = read_image(tmp_path / "x.png")
    assert image.shape == (1, 4, 2)
    assert image[0, 0].tolist() == [0, 255]


def test_floating_point_pictures_are_refused(tmp_path):
    Image.new("F", (2, 2)).save(tmp_path / "x.tiff")
    with pytest.raises(CorruptFile, match=r"x.tiff holds 'F' pixels"):
        read_image(tmp_path / "x.tiff")


@pytest.mark.parametrize(("width", "height"), [(PIXEL_LIMIT // 8 + 1, 8), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_before_decoding(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_header(width, height))
    with pytest.raises(CorruptFile, match=rf"bomb.png is refused before decoding it: .*{width * height}"):
        read_image(tmp_path / "bomb.png")


def test_the_limit_holds_when_pillows_own_is_switched_off(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(png_header(20_000, 20_000))
    with pytest.raises(CorruptFile, match=r"bomb.png has 20000 x 20000 pixels, over the limit of 89,478,485"):
        read_image(tmp_path / "bomb.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(MissingData, match="there is no picture file"):
            read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".webp", ".tiff"])
def test_a_damaged_picture_is_named(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    torch.manual_seed(0)
    Image.fromarray(torch.randint(0, 256, (40, 40, 3), dtype=torch.uint8).numpy()).save(path)
    whole = path.read_bytes()
    for length in (0, 3, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFile, match=rf"x{suffix} (is no picture|cannot be read as a picture)"):
            read_image(path)


def test_postscript_is_not_handed_to_another_program(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.eps")
    with pytest.raises(CorruptFile, match="is no picture of a kind that Pillow decodes"):
        read_image(tmp_path / "x.eps")
    assert ".eps" not in suffixes()
    assert {".png", ".jpg", ".jpeg", ".bmp", ".webp"} <= suffixes()


def test_a_picture_of_two_channels_is_not_written(tmp_path):
    with pytest.raises(InvalidInput, match="odd/1 has 2 channels"):
        write_png(Sample(torch.zeros(2, 3, 3, dtype=torch.uint8), 0, "odd/1"), tmp_path / "x.png")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def full(_self, _path, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(StorageFull, match=r"x.png could not be written: the disk is full"):
        write_png(Sample(torch.zeros(1, 2, 2, dtype=torch.uint8), 0, "x"), path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.png"]
