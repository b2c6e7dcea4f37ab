"""Each transform against its formula; contracts over every registered one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from paddlevideo.utils.errors import ArgumentError, ConfigError, DataError
from paddlevideo.video import (
    TRANSFORMS,
    CenterCrop,
    ClipInput,
    ColorJitter,
    FreezeFrame,
    Image2Array,
    MultiScaleCrop,
    Normalization,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
    RandomShift,
    Resize,
    Scale,
)
from paddlevideo.video.transforms.colour import colour_matrix


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(num_frames=3, height=40, width=60, seed=1):
    return rng(seed).integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)


def coordinates(num_frames, height, width):
    """A clip whose pixel at (t, y, x) is (y, x, t)."""
    clip = np.zeros((num_frames, height, width, 3), np.uint8)
    clip[..., 0] = np.arange(height)[:, None]
    clip[..., 1] = np.arange(width)
    clip[..., 2] = np.arange(num_frames)[:, None, None]
    return clip


EXAMPLES = {
    "AutoAugment": {},
    "CenterCrop": {"target_size": 32},
    "ColorJitter": {"brightness": 0.4, "hue": 0.5},
    "FreezeFrame": {},
    "Image2Array": {},
    "MultiScaleCrop": {"target_size": 32},
    "Normalization": {"mean": [0.4] * 3, "std": [0.2] * 3, "tensor_shape": [1, 1, 1, 3]},
    "RandAugment": {"num_layers": 3, "magnitude_std": 2.0},
    "RandomCrop": {"target_size": 32},
    "RandomErasing": {"p": 0.9},
    "RandomFlip": {},
    "RandomResizedCrop": {"target_size": 32},
    "RandomShift": {"max_shift_pixels": 4},
    "Resize": {"height": 30, "width": 50},
    "Scale": {"short_size": 32},
    "TenCrop": {"target_size": 32},
    "UniformCrop": {"target_size": 32},
}


def test_every_transform_is_listed_here():
    assert set(TRANSFORMS) == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
class TestContract:
    def build(self, name):
        return TRANSFORMS.build({"name": name, **EXAMPLES[name]}, "T")

    def test_keeps_its_argument_and_takes_any_view(self, name):
        step = self.build(name)
        clip = noise(4, 48, 64)
        for view in (clip, clip[:, :, ::-1], clip[:, 3:, 5:], np.broadcast_to(clip[0], clip.shape)):
            before = view.copy()
            result = step(view, rng(3))
            assert np.array_equal(view, before)
            assert np.array_equal(result, step(before, rng(3))), "views and copies differ"
            assert (
                len(result) == 4 if step.num_crops == 1 else result.shape[:2] == (step.num_crops, 4)
            )
            assert str(result.dtype) == (step.dtype_out or "uint8")

    @settings(deadline=None)
    @given(st.integers(32, 90), st.integers(32, 90), st.integers(0, 99))
    def test_states_its_size(self, name, height, width, seed):
        step = self.build(name)
        clip = noise(2, height, width)
        result = step(clip, rng(seed))
        shape = result.shape if step.num_crops == 1 else result.shape[1:]
        sizes = dict(zip(step.layout_out, shape, strict=True))
        assert step.output_size((height, width)) == (sizes["H"], sizes["W"])
        # Where it does not know the size of the frames it states the true one or none.
        for known in ((None, None), (height, None), (None, width)):
            stated = step.output_size(known)
            assert all(
                size in (None, true)
                for size, true in zip(stated, (sizes["H"], sizes["W"]), strict=True)
            )

    def test_all_frames_alike(self, name):
        still = np.repeat(noise(1, 48, 64), 5, axis=0)
        step = self.build(name)
        result = step(still, rng(5))
        for clip in [result] if step.num_crops == 1 else result:
            assert all(np.array_equal(frame, clip[0]) for frame in clip)


class TestScale:
    @pytest.mark.parametrize(
        ("size", "arguments", "expected"),
        [
            ((1080, 1920), {"short_size": 192}, (192, 256)),
            ((1920, 1080), {"short_size": 192}, (256, 192)),
            ((192, 500), {"short_size": 192}, (192, 500)),
            ((100, 100), {"short_size": 192}, (256, 192)),
            ((240, 321), {"short_size": 100, "fixed_ratio": False}, (100, 133)),
            ((240, 321), {"short_size": 100, "fixed_ratio": False, "do_round": True}, (100, 134)),
            (
                (240, 321),
                {"short_size": 100, "fixed_ratio": False, "keep_ratio": False},
                (100, 100),
            ),
            ((321, 240), {"short_size": 100, "fixed_ratio": False}, (133, 100)),
        ],
    )
    def test_size(self, size, arguments, expected):
        clip = np.zeros((1, *size, 3), np.uint8)
        assert Scale(**arguments)(clip, rng()).shape[1:3] == expected

    @given(
        st.integers(1, 60),
        st.integers(1, 60),
        st.integers(1, 40),
        st.sampled_from([(True, None), (False, None), (False, False), (False, True)]),
        st.booleans(),
    )
    def test_states_its_size(self, height, width, short_size, ratio, do_round):
        step = Scale(short_size, *ratio, do_round, backend="cv2")
        result = step(np.zeros((1, height, width, 3), np.uint8), rng())
        assert step.output_size((height, width)) == result.shape[1:3]
        assert step.output_size((None, width)) == (None, None)

    def test_states_its_size_behind_a_resize(self):
        steps = [{"Resize": {"height": 256, "width": 320}}, {"Scale": {"short_size": 128}}]
        node = {"sample": {"name": "UniformSampler", "num_frames": 1}, "transform": steps}
        assert ClipInput(node, "P").output_size == (128, 170)
        node["transform"][1]["Scale"]["fixed_ratio"] = False
        assert ClipInput(node, "P").output_size == (128, 160)
        assert ClipInput({**node, "transform": steps[1:]}, "P").output_size == (None, None)

    def test_pillow_pixels(self):
        clip = noise(2, 48, 70)
        image = Image.fromarray(clip[1]).resize((42, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(Scale(32)(clip, rng())[1], np.asarray(image))

    def test_cv2_is_not_antialiased(self):
        clip = noise(1, 80, 80)
        scaled = Scale(20, fixed_ratio=False, backend="cv2")(clip, rng())
        # Reduction by 4 with plain bilinear: the mean of the four pixels around the centre.
        block = clip[0, 1:3, 1:3].astype(float).mean((0, 1))
        assert np.abs(scaled[0, 0, 0] - block).max() <= 1
        pillow = Scale(20, fixed_ratio=False)(clip, rng())
        assert scaled.std() > 1.5 * pillow.std()

    def test_excluding_arguments(self):
        with pytest.raises(ConfigError, match="exclude one another"):
            TRANSFORMS.build({"name": "Scale", "short_size": 9, "keep_ratio": True}, "T")


class TestCrops:
    def test_center_of_the_reference(self):
        corner = CenterCrop(172)(coordinates(1, 192, 256)[:, :, :256], rng())[0, 0, 0]
        assert corner[:2].tolist() == [10, 42]

    @pytest.mark.parametrize(("do_round", "first"), [(True, [2, 4]), (False, [2, 3])])
    def test_halves_to_even(self, do_round, first):
        # (25-20)/2 = 2.5 -> 2; (27-20)/2 = 3.5 -> 4
        clip = coordinates(1, 25, 27)
        assert CenterCrop(20, do_round)(clip, rng())[0, 0, 0, :2].tolist() == first

    def test_random_crop_reaches_every_place(self):
        corners = {
            tuple(RandomCrop(8)(coordinates(1, 10, 9), rng(seed))[0, 0, 0, :2].tolist())
            for seed in range(200)
        }
        assert corners == {(y, x) for y in range(3) for x in range(2)}

    @pytest.mark.parametrize("crop_class", [RandomCrop, CenterCrop])
    def test_too_small(self, crop_class):
        with pytest.raises(DataError, match="60x40 pixels, smaller than the crop of 41"):
            crop_class(41)(noise(), rng())
        assert crop_class(40)(noise(), rng()).shape == (3, 40, 40, 3)


class TestMultiScaleCrop:
    def test_ten_pairs(self):
        pairs = MultiScaleCrop(192).box_sizes(240, 320)
        assert pairs[0] == (240, 240) and len(pairs) == 10
        assert {side for pair in pairs for side in pair} == {240, 210, 180, 158}
        assert (240, 210) in pairs and (240, 180) not in pairs

    def test_snapping(self):
        assert MultiScaleCrop(192).box_sizes(194, 300)[0] == (192, 192)
        assert MultiScaleCrop(192).box_sizes(195, 300)[0] == (195, 195)
        assert MultiScaleCrop(192).box_sizes(190, 300)[0] == (190, 190)  # must stay inside

    def test_thirteen_places(self):
        places = MultiScaleCrop(8).places(20, 24, 12, 12)
        assert len(places) == len(set(places)) == 13
        assert places[:5] == [(0, 0), (12, 0), (0, 8), (12, 8), (6, 4)]
        assert set(places[5:9]) == {(0, 4), (12, 4), (6, 8), (6, 0)}
        assert set(places[9:]) == {(3, 2), (9, 2), (3, 6), (9, 6)}

    def test_duplicates_left_out(self):
        assert len(MultiScaleCrop(8).places(20, 20, 20, 20)) == 1 + 8
        assert len(MultiScaleCrop(8, allow_duplication=True).places(20, 20, 20, 20)) == 13
        assert len(MultiScaleCrop(8, more_fix_crop=False).places(20, 24, 20, 12)) == 3

    @given(
        st.integers(1, 200),
        st.integers(1, 200),
        st.integers(1, 200),
        st.booleans(),
        st.integers(0, 10**6),
    )
    def test_boxes_inside(self, height, width, target, fix_crop, seed):
        crop = MultiScaleCrop(target, fix_crop=fix_crop)
        left, top, right, bottom = crop.draw_box(height, width, rng(seed))
        assert 0 <= left < right <= width and 0 <= top < bottom <= height

    def test_borders_round_each_by_itself(self):
        # free width 20 - 13 = 7; middle at 3.5: the box [3.5, 16.5] becomes [4, 16]
        crop = MultiScaleCrop(4, scales=[1.0], more_fix_crop=False)
        boxes = {crop.draw_box(13, 20, rng(seed)) for seed in range(50)}
        assert boxes == {(0, 0, 13, 13), (7, 0, 20, 13), (4, 0, 16, 13)}

    def test_pixels(self):
        clip = noise(2, 40, 40)
        crop = MultiScaleCrop(20, scales=[1.0])
        expected = Image.fromarray(clip[0]).resize((20, 20), Image.Resampling.BILINEAR)
        assert np.array_equal(crop(clip, rng())[0], np.asarray(expected))


class TestRandomResizedCrop:
    @given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 10**6))
    def test_boxes_inside(self, height, width, seed):
        left, top, right, bottom = RandomResizedCrop(8).draw_box(height, width, rng(seed))
        assert 0 <= left < right <= width and 0 <= top < bottom <= height

    def test_area_and_aspect(self):
        crop = RandomResizedCrop(8, area=(0.3, 0.6), aspect=(0.8, 1.25))
        for seed in range(200):
            left, top, right, bottom = crop.draw_box(200, 300, rng(seed))
            assert 0.3 <= (right - left) * (bottom - top) / 60000 <= 0.6
            assert 0.79 <= (right - left) / (bottom - top) <= 1.27

    @pytest.mark.parametrize(("height", "width"), [(300, 40), (40, 300)])
    def test_aspect_holds_in_a_narrow_frame(self, height, width):
        for seed in range(200):
            left, top, right, bottom = RandomResizedCrop(8).draw_box(height, width, rng(seed))
            assert 0.48 <= (right - left) / (bottom - top) <= 2.1

    def test_impossible_takes_the_whole(self):
        crop = RandomResizedCrop(8, area=(0.9, 1), aspect=(0.1, 0.2))
        assert crop.draw_box(50, 60, rng()) == (0, 0, 60, 50)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("fast", [False, True])
def test_frames_of_streams_draw_the_same_each_time(name, fast):
    """What says that it does not draw leaves the generator alone; what draws begins anew."""
    step = TRANSFORMS.build({"name": name, **EXAMPLES[name]}, "t")
    clip, used = noise(2, 48, 64), rng()
    before = used.bit_generator.state
    if step.layout_in == "THWC":
        step(clip, used)
        assert step.draws or used.bit_generator.state == before
    node = {
        "sample": {"name": "UniformSampler", "num_frames": 2},
        "transform": [{name: EXAMPLES[name]}],
    }
    if step.num_crops == 1 and step.layout_in == "THWC":
        made = ClipInput(node, "t", fast)
        first, second = made.transform(clip), made.transform(clip)
        np.testing.assert_array_equal(first, second)


def test_flip():
    clip = noise()
    assert np.array_equal(RandomFlip(1)(clip, rng()), clip[:, :, ::-1])
    assert np.array_equal(RandomFlip(0)(clip, rng()), clip)
    flipped = sum(not np.array_equal(RandomFlip()(clip, rng(s)), clip) for s in range(400))
    assert 150 < flipped < 250


def test_shift_moves_and_repeats_the_border():
    seen = set()
    for seed in range(100):
        result = RandomShift(2)(coordinates(1, 12, 14), rng(seed))[0]
        down, right = 6 - int(result[6, 7, 0]), 7 - int(result[6, 7, 1])
        seen.add((down, right))
        rows = np.clip(np.arange(12) - down, 0, 11)
        columns = np.clip(np.arange(14) - right, 0, 13)
        assert np.array_equal(result[:, 0, 0], rows) and np.array_equal(result[0, :, 1], columns)
    assert seen == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


@pytest.mark.parametrize(("position", "frame"), [(0, 0), (0.5, 2), (1, 4)])
def test_freeze(position, frame):
    clip = noise(5)
    result = FreezeFrame(position)(clip, rng())
    assert result.shape == clip.shape
    assert all(np.array_equal(f, clip[frame]) for f in result)


def test_resize():
    assert Resize(10, 20)(noise(), rng()).shape == (3, 10, 20, 3)
    area = Resize(20, 30, "area")(noise(), rng())
    assert np.abs(area[0, 0, 0] - noise()[0, :2, :2].mean((0, 1))).max() <= 1


@pytest.mark.parametrize(
    ("arguments", "axes"),
    [({}, (0, 3, 1, 2)), ({"data_format": "cthw"}, (3, 0, 1, 2)), ({"transpose": False}, None)],
)
def test_image2array_changes_the_layout_only(arguments, axes):
    clip = noise()
    result = Image2Array(**arguments)(clip, rng())
    assert result.dtype == np.uint8 and result.flags.c_contiguous
    assert np.array_equal(result, clip.transpose(axes) if axes else clip)


def test_normalization_is_three_float32_steps():
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    clip = Image2Array()(noise(), rng())
    expected = clip.astype(np.float32) / np.float32(255.0)
    expected = expected - np.array(mean, np.float32)[:, None, None]
    expected = expected / np.array(std, np.float32)[:, None, None]
    result = Normalization(mean, std)(clip, rng())
    assert result.dtype == np.float32 and np.array_equal(result, expected)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "Normalization", "mean": [0.5], "std": [1.0] * 3}, "three numbers"),
        ({"name": "Normalization", "mean": [0.5] * 3, "std": [0.0] * 3}, "not zero"),
        (
            {"name": "Normalization", "mean": [0.5] * 3, "std": [1.0] * 3, "tensor_shape": [3]},
            "fits no layout",
        ),
        ({"name": "RandomFlip", "p": 2}, "probability"),
        ({"name": "RandomResizedCrop", "target_size": 8, "area": [0.5, 0.1]}, "area"),
        ({"name": "FreezeFrame", "position": 3}, "fraction"),
        ({"name": "CenterCrop", "target_size": 0}, "at least 1"),
        ({"name": "MultiScaleCrop", "target_size": 8, "scales": [2.0]}, "scales"),
        ({"name": "Scale", "short_siz": 8}, 'did you mean "short_size"'),
        ({"name": "Scale", "short_size": 8, "backend": "pil"}, "pillow"),
    ],
)
def test_bad_arguments(node, message):
    with pytest.raises(ConfigError, match=message):
        TRANSFORMS.build(node, "PIPELINE.train.transform[0]")


def jittered(clip, seed=0, **amounts):
    return ColorJitter(**amounts)(clip, np.random.default_rng(seed))


def test_color_jitter_without_amounts_is_the_identity():
    clip = noise(3, 8, 9)
    assert np.array_equal(jittered(clip), clip)


@pytest.mark.parametrize("seed", range(5))
def test_color_jitter_is_one_map_for_all_frames(seed):
    frame = noise(1, 8, 9)
    clip = np.concatenate([frame, frame[:, ::-1], frame])
    out = jittered(clip, seed, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5)
    assert np.array_equal(out[0], out[2])
    assert np.array_equal(out[1], out[0][::-1])
    assert not np.array_equal(out, clip)


def test_color_jitter_brightness_and_contrast_by_hand():
    clip = np.full((2, 4, 4, 3), 100, np.uint8)
    clip[:, :2] = 60  # mean 80
    for seed in range(10):
        draw = 1.0 + 0.5 * np.random.default_rng(seed).uniform(-1, 1)
        out = jittered(clip, seed, brightness=0.5)
        assert np.abs(out[0, [0, 3], 0, 0] - draw * np.array([60, 100])).max() <= 0.51
        rng = np.random.default_rng(seed)
        rng.uniform(-1, 1)
        contrast = 1.0 + 0.5 * rng.uniform(-1, 1)
        out = jittered(clip, seed, contrast=0.5)
        assert np.abs(out[0, [0, 3], 0, 0] - (80 + contrast * np.array([-20, 20]))).max() <= 0.51


def test_color_jitter_keeps_grey_grey_and_luma_under_hue_and_saturation():
    grey = np.repeat(noise(2, 6, 6)[..., :1], 3, axis=3)
    assert np.abs(jittered(grey, 3, saturation=1.0, hue=0.5).astype(int) - grey).max() <= 1
    soft = (noise(2, 6, 6) // 4 + 96).astype(np.uint8)  # nothing is cut off at 0 or 255
    luma = np.array([0.299, 0.587, 0.114])
    turned = jittered(soft, 3, hue=0.5)
    assert np.abs(turned @ luma - soft @ luma).max() < 1.1
    assert np.abs(turned.astype(int) - soft).max() > 5
    gone = jittered(soft, 3, p_gray=1.0)
    assert np.ptp(gone.astype(int), axis=3).max() <= 1


def test_color_jitter_a_full_turn_is_none():
    assert np.allclose(colour_matrix(1.0, 2 * np.pi), np.eye(3), atol=1e-12)
    assert np.allclose(colour_matrix(1.0, 1.0) @ colour_matrix(1.0, -1.0), np.eye(3), atol=1e-12)


@pytest.mark.parametrize("wrong", [{"brightness": -0.1}, {"contrast": 1.1}, {"hue": 0.6}])
def test_color_jitter_amounts(wrong):
    with pytest.raises(ValueError, match="must be from 0"):
        ColorJitter(**wrong)


@pytest.mark.parametrize(
    ("mean", "std"),
    [([0.5, 0.5], [1.0, 1.0, 1.0]), ([1e308] * 3, [1.0] * 3), ([0.0] * 3, [1.0, 1.0, 1e-60])],
)
def test_normalization_refuses_what_float32_does_not_hold(mean, std):
    with pytest.raises(ArgumentError, match="three numbers each, and std not zero"):
        Normalization(mean, std)
