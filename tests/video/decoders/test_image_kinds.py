"""Images of every kind that Pillow reads: right, or refused."""

import numpy as np
import pytest
from PIL import Image

from paddlevideo.utils.errors import DataError
from paddlevideo.video.decoders import FrameFolder
from video.conftest import numbers_of, write_frames

PNG = "img_{:05}.png"


def read_one(folder, suffix=PNG):
    return FrameFolder(str(folder), suffix).read([0])[0]


def test_16_bit_grey_gives_the_upper_byte(tmp_path):
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    Image.fromarray(values).save(tmp_path / "img_00001.png")
    expected = np.repeat((values >> 8).astype(np.uint8)[..., None], 3, 2)
    assert np.array_equal(read_one(tmp_path), expected)


def test_16_bit_grey_cases(shared_dir):
    folder = shared_dir / "cases/frames/grey16"
    suffix = next(iter(sorted(folder.glob("*.png")))).name.replace("00001", "{:05}")
    clip = FrameFolder(str(folder), suffix).read([0, 1, 2])
    assert (
        clip.reshape(3, -1).min(1).tolist() == clip.reshape(3, -1).max(1).tolist() == [20, 40, 60]
    )


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "1"])
def test_8_bit_kinds(tmp_path, mode):
    Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode).save(tmp_path / "img_00001.png")
    assert (read_one(tmp_path) == 255).all()


def test_cmyk(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "img_00001.jpg")
    assert (read_one(tmp_path, "img_{:05}.jpg") > 250).all()


def test_floats_are_refused(tmp_path):
    Image.new("F", (4, 4), 0.5).save(tmp_path / "img_00001.tif")
    with pytest.raises(DataError, match=r"img_00001\.tif: .*no known range"):
        read_one(tmp_path, "img_{:05}.tif")


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_turned_as_exif_says(tmp_path, orientation, turns):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(tmp_path / "img_00001.png", exif=exif)
    assert np.array_equal(read_one(tmp_path), np.rot90(image, turns))


def test_numbers_from_zero(tmp_path):
    folder = write_frames(tmp_path / "f", 4)
    for number in range(4):
        (folder / f"img_{number + 1:05}.jpg").rename(folder / f"img_{number:05}.jpg")
    clip = FrameFolder(str(folder), num_frames=4, start_index=0).read([0, 3])
    assert numbers_of(clip) == [0, 3]
    (folder / "img_00001.jpg").unlink()
    hint = "img_00000.jpg: start_index: 0 counts from there"
    with pytest.raises(DataError, match=hint):
        FrameFolder(str(folder))
    with pytest.raises(DataError, match=hint):
        FrameFolder(str(folder), num_frames=3).read([0])
