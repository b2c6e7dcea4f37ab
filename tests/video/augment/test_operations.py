"""Each operation against Pillow where Pillow defines it, else against its formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from paddlevideo.video.transforms.augment import geometry, pixels
from paddlevideo.video.transforms.augment.operations import OPERATIONS, Reach


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(height=41, width=57, seed=1):
    """Smooth, with noise, and not using all values."""
    coarse = rng(seed).integers(0, 200, (5, 7, 3)).astype(np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    noise = rng(seed + 1).integers(-15, 16, image.shape)
    return np.clip(image.astype(int) + noise, 9, 240).astype(np.uint8)


PICTURES = [
    picture(),
    picture(20, 33, seed=5),
    rng(2).integers(0, 256, (24, 24, 3)).astype(np.uint8),
    np.full((12, 12, 3), 77, np.uint8),
    np.zeros((3, 3, 3), np.uint8),
    np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2).reshape(16, 16, 3),
]


def of_pillow(image_HWC, function):
    return np.asarray(function(Image.fromarray(image_HWC)))


@pytest.mark.parametrize("image", PICTURES, ids=lambda image: f"{image.shape[0]}")
class TestAgainstPillow:
    @pytest.mark.parametrize("name", ["invert", "autocontrast", "equalize"])
    def test_operations_without_a_strength(self, image, name):
        ours = pixels.__dict__[name](image[None])[0]
        np.testing.assert_array_equal(ours, of_pillow(image, ImageOps.__dict__[name]))

    @pytest.mark.parametrize("threshold", [0, 1, 76, 128, 204, 256])
    def test_solarize(self, image, threshold):
        theirs = of_pillow(image, lambda i: ImageOps.solarize(i, threshold))
        np.testing.assert_array_equal(pixels.solarize(image[None], threshold)[0], theirs)

    @pytest.mark.parametrize("bits", [1, 2, 4, 8])
    def test_posterize(self, image, bits):
        theirs = of_pillow(image, lambda i: ImageOps.posterize(i, bits))
        np.testing.assert_array_equal(pixels.posterize(image[None], bits)[0], theirs)

    @pytest.mark.parametrize("factor", [0.1, 0.46, 1.0, 1.36, 1.9])
    @pytest.mark.parametrize(
        ("name", "most"), [("Brightness", 0), ("Contrast", 1), ("Color", 1), ("Sharpness", 1)]
    )
    def test_enhancements(self, image, factor, name, most):
        """Color and Sharpness round where Pillow truncates: one step of 255 at most."""
        theirs = of_pillow(image, lambda i: ImageEnhance.__dict__[name](i).enhance(factor))
        ours = pixels.__dict__[name.lower()](image[None], factor)[0]
        assert np.abs(ours.astype(int) - theirs).max() <= most
        if factor == 1.0:
            np.testing.assert_array_equal(ours, image)

    @pytest.mark.parametrize(
        ("ours", "coefficients"),
        [
            (lambda c: geometry.shear_x(c, 0.21), (1, 0.21, 0, 0, 1, 0)),
            (lambda c: geometry.shear_y(c, -0.3), (1, 0, 0, -0.3, 1, 0)),
            (lambda c: geometry.translate_x(c, 7), (1, 0, 7, 0, 1, 0)),
            (lambda c: geometry.translate_y(c, -11), (1, 0, 0, 0, 1, -11)),
            (lambda c: geometry.translate_y(c, 225), (1, 0, 0, 0, 1, 225)),
        ],
    )
    def test_shears_and_translations(self, image, ours, coefficients):
        height, width = image.shape[:2]
        theirs = of_pillow(
            image,
            lambda i: i.transform(
                (width, height), Image.Transform.AFFINE, coefficients, fillcolor=(128,) * 3
            ),
        )
        np.testing.assert_array_equal(ours(image[None])[0], theirs)

    @pytest.mark.parametrize("degrees", [30.0, -27.0, 21.0, 3.0, 0.0])
    def test_rotation(self, image, degrees):
        theirs = of_pillow(image, lambda i: i.rotate(degrees, fillcolor=(128,) * 3))
        ours = geometry.rotate(image[None], degrees)[0]
        # Pillow counts in steps of 1 / 65536: a tie may fall to the other side.
        assert (ours != theirs).any(axis=-1).mean() <= 0.01


def test_solarize_add():
    clip = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    values = clip.astype(int)
    expected = np.where(values < 128, np.clip(values + 77, 0, 255), values)
    np.testing.assert_array_equal(pixels.solarize_add(clip, 77), expected)


def test_cutout():
    clip = picture()[None].repeat(3, axis=0)
    cut = geometry.cutout(clip, x=5, y=30, half=8)
    inside: np.ndarray = np.zeros(clip.shape, bool)
    inside[:, 22:38, :13] = True
    assert (cut[inside] == 128).all()
    np.testing.assert_array_equal(cut[~inside], clip[~inside])
    np.testing.assert_array_equal(geometry.cutout(clip, 5, 30, 0), clip)


@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_what_is_measured_is_measured_on_the_clip(name):
    """The same map for every frame: that of all frames as one image."""
    clip = np.stack([picture(seed=s)[:, :40] // (1 + s) for s in range(3)])
    tall = clip.reshape(1, -1, *clip.shape[2:])
    function = pixels.__dict__[name]
    np.testing.assert_array_equal(function(clip), function(tall).reshape(clip.shape))
    single = np.stack([function(frame[None])[0] for frame in clip])
    assert not np.array_equal(function(clip), single)


clips = st.tuples(st.integers(1, 4), st.integers(1, 19), st.integers(1, 19), st.integers(0, 5)).map(
    lambda s: rng(s[3]).integers(0, 256 if s[3] else 1, (*s[:3], 3)).astype(np.uint8)
)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@settings(deadline=None, max_examples=20)
@given(clips, st.floats(0, 10), st.integers(0, 9))
def test_any_clip_and_any_strength(name, clip, level, seed):
    """Shape, dtype and argument are kept; frames are treated alike; views are as good as copies."""
    operation, reach = OPERATIONS[name], Reach(60.0, 9.0)
    before = clip.copy()
    result = operation(clip, level, rng(seed), reach)
    assert result.shape == clip.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(clip, before)
    mirrored = operation(clip[:, :, ::-1], level, rng(seed), reach)
    copied = operation(clip[:, :, ::-1].copy(), level, rng(seed), reach)
    np.testing.assert_array_equal(mirrored, copied)
    still = np.repeat(clip[:1], 3, axis=0)
    frames = operation(still, level, rng(seed), reach)
    assert all(np.array_equal(frame, frames[0]) for frame in frames)


@pytest.mark.parametrize(
    ("name", "level", "same_as"),
    [
        ("Rotate", 10, lambda c: geometry.rotate(c, 30.0)),
        ("ShearX", 5, lambda c: geometry.shear_x(c, 0.15)),
        ("ShearY", 10, lambda c: geometry.shear_y(c, 0.3)),
        ("TranslateX", 9, lambda c: geometry.translate_x(c, 18.0)),
        ("TranslateY", 2, lambda c: geometry.translate_y(c, 4.0)),
        ("Posterize", 6, lambda c: pixels.posterize(c, 2)),
        ("Posterize", 2, lambda c: pixels.posterize(c, 1)),
        ("Solarize", 3, lambda c: pixels.solarize(c, 76)),
        ("Solarize", 10, lambda c: c),
        ("SolarizeAdd", 7, lambda c: pixels.solarize_add(c, 77)),
        ("Color", 9, lambda c: pixels.color(c, 1.72)),
        ("Color", 5, lambda c: c),
        ("Contrast", 0, lambda c: pixels.contrast(c, 0.1)),
        ("Brightness", 10, lambda c: pixels.brightness(c, 1.9)),
        ("Sharpness", 1, lambda c: pixels.sharpness(c, 0.28)),
        ("Identity", 3, lambda c: c),
    ],
)
def test_strengths(name, level, same_as):
    """Of both ways one is that of the table; the other, as often, is its opposite."""
    clip = picture()[None]
    results = [OPERATIONS[name](clip, level, rng(s), Reach(20.0)) for s in range(20)]
    matches = [np.array_equal(result, same_as(clip)) for result in results]
    if name in ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"):
        assert 4 <= sum(matches) <= 16
    else:
        assert all(matches)
