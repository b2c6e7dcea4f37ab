"""Pictures of a stream: the video with the results on it, and the plot over time."""

import io
import itertools
import sys
import tracemalloc

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from apps.stream_servers import write_timed
from paddlevideo.apps.sources.factory import open_source
from paddlevideo.apps.visualization.onward_time import OnwardTime
from paddlevideo.apps.visualization.overlay import Overlay, class_name
from paddlevideo.apps.visualization.stream_history import StreamHistory
from paddlevideo.apps.visualization.timeline_plot import PALETTE, spread, timeline_png, unit_of
from paddlevideo.apps.visualization.visualizations import OverlayVideo, TimelinePlot
from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import ConfigError, DataError, DeviceError
from paddlevideo.utils.figures import FigureText
from paddlevideo.utils.text_font import TextFont
from paddlevideo.video import video_writer
from paddlevideo.video.video_writer import VideoWriter

LABELS = ["poking something so that it falls over " * 3, "no", "Übung", "d", "e", "f", "g"]
UNEVEN_MS = [0, 40, 90, 100, 400, 410, 1000, 1040, 1300, 2500]


def answer(seconds: float = 0.0, best: int = 0) -> StreamResult:
    probabilities = np.full(len(LABELS), 0.05, np.float32)
    probabilities[best] = 0.7
    return StreamResult(seconds, (ClassScore(LABELS[best], best, 0.7),), 1.0, probabilities)


def top(best: int = 0) -> tuple[ClassScore, ...]:
    order = [best, *(n for n in range(5) if n != best)]
    return tuple(ClassScore(LABELS[n], n, 0.6 / (1 + r)) for r, n in enumerate(order))


def frames_of(path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def grey(height: int, width: int, level: int = 120) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


# --- time


@given(st.lists(st.floats(-5, 50), min_size=1, max_size=40))
def test_times_only_go_on(times):
    onward = OnwardTime()
    given_back = [onward(time) for time in times]
    kept = [time for time in given_back if time is not None]
    assert kept[0] == 0 and all(a < b for a, b in itertools.pairwise(kept))


def test_times_that_begin_anew_are_joined():
    onward = OnwardTime()
    times = [3.0, 3.2, 3.1, 3.4, 0.0, 0.2, 0.2]
    assert [None if t is None else round(t, 3) for t in map(onward, times)] == [
        0.0, 0.2, None, 0.4, 0.6, 0.8, None,
    ]  # fmt: skip


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9), st.floats(1, 30))
def test_labels_are_spread(wanted, gap):
    places = spread(wanted, gap, 0.0, 100.0)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    room = min(gap, 100 / max(len(wanted) - 1, 1))
    ordered = sorted(places)
    assert all(b - a >= room - 1e-6 for a, b in itertools.pairwise(ordered))
    assert [places[n] for n in sorted(range(len(wanted)), key=lambda n: (wanted[n], n))] == ordered


def test_labels_with_room_stay_where_they_are():
    assert spread([50.0, 10.0, 90.0], 5, 0, 100) == [50, 10, 90]


# --- text


@given(st.text(max_size=30), st.integers(20, 300))
@settings(max_examples=20, deadline=None)
def test_text_fits(text, width):
    font = TextFont(14)
    text = font.legible(text)
    short = font.shortened(text, width)
    assert font.width(short) <= width
    assert short == text or short.endswith("…")


def test_characters_that_no_font_has():
    assert TextFont(14).legible("Übung é \U0001f9ff ok") == "Ubung e ? ok"
    assert class_name(ClassScore(None, 3, 0.5)) == class_name(ClassScore(" ", 3, 0.5)) == "class 3"


# --- the history


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_a_history_is_exact_and_bounded(num_steps, seed):
    """However long: the mean is that of all steps, and every step lies within its bin's band."""
    values = np.random.default_rng(seed).random((num_steps, 3)).astype(np.float32)
    history = StreamHistory(3, max_bins=16, max_thumbnails=8)
    for n, row in enumerate(values):
        history.add(n / 5, row, grey(4, 6))
    assert history.num_steps == num_steps
    np.testing.assert_allclose(history.mean_N, values.mean(0), rtol=1e-5)
    size = history.steps_a_bin
    bins = [values[start : start + size] for start in range(0, num_steps, size)]
    assert len(history.times) == len(bins) <= 16
    for index in range(3):
        mean, least, most = history.curves(index)
        np.testing.assert_allclose(mean, [part[:, index].mean() for part in bins], rtol=1e-4)
        np.testing.assert_array_equal(least, [part[:, index].min() for part in bins])
        np.testing.assert_array_equal(most, [part[:, index].max() for part in bins])
    starts = np.arange(0, num_steps, size)
    middles = (starts + np.minimum(starts + size, num_steps) - 1) / 2
    np.testing.assert_allclose(history.times, middles / 5, atol=1e-9)


def test_pictures_are_few_and_even():
    history = StreamHistory(2, max_thumbnails=16)
    for n in range(2000):
        history.add(n / 5, np.ones(2, np.float32), grey(300, 500))
    assert 8 <= history.num_thumbnails <= 16
    wanted = (np.arange(5) + 0.5) * 80
    found = [item.time_seconds for item in history.thumbnails_at(wanted)]
    assert np.abs(np.array(found) - wanted).max() < 400 / 8
    assert history.thumbnails_at(wanted)[0].rgb.shape == (160, 267, 3)


def test_memory_of_a_long_history():
    history, row, frame = StreamHistory(400), np.ones(400, np.float32), grey(160, 200)
    for n in range(1500):
        history.add(n / 5, row, frame)
    tracemalloc.start()
    for n in range(1500, 6000):
        history.add(n / 5, row, frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6  # the temporaries of halving


# --- the overlay


@pytest.mark.parametrize(
    "size",
    [(1, 1), (5, 300), (40, 30), (66, 50), (160, 120), (171, 129), (320, 240), (264, 176),
     (576, 1024), (640, 480), (1920, 1080), (1000, 90)],
)  # fmt: skip
def test_the_panel_is_legible_and_does_not_hide_the_picture(size):
    width, height = size
    overlay = Overlay(size, 5, LABELS)
    picture = overlay.draw(grey(height, width), top(), 0.0)
    assert picture.shape == (overlay.size[1], overlay.size[0], 3) and picture.dtype == np.uint8
    assert overlay.size[0] % 2 == overlay.size[1] % 2 == 0 and overlay.size[0] >= 160
    assert (picture.min(-1) > 190).sum() > 100  # letters
    seen = (picture == 120).all(-1).sum()
    assert seen >= 0.69 * width * height
    if width < 160:
        assert seen >= width * height


def test_another_size_midway_is_fitted_in():
    overlay = Overlay((640, 480), 5)
    for shape in ((480, 640), (240, 320), (1080, 607), (1, 1), (33, 999)):
        picture = overlay.draw(grey(*shape, level=200), top(), 0.0)
        assert picture.shape == (480, 640, 3)
        assert (picture == 200).all(-1).any()
    upright = overlay.draw(grey(960, 640, level=200), top(), 0.0)
    inside = (upright[:100] == 200).all(-1)
    assert inside.any(0).sum() == 320  # 640 x 960 becomes 320 x 480


def test_a_new_leader_is_marked_for_a_second():
    overlay = Overlay((640, 480), 5)
    pictures = {
        time: overlay.draw(grey(480, 640), top(best), time)
        for time, best in ((0.0, 0), (0.2, 0), (0.4, 1), (1.3, 1), (1.5, 1))
    }
    same = [(a, b) for a, b in itertools.combinations(pictures, 2)
            if (pictures[a] == pictures[b]).all()]  # fmt: skip
    assert same == [(0.0, 0.2), (0.4, 1.3)]
    # afterwards the same panel without the mark: the other bars are as they were
    assert not (pictures[1.5] == pictures[1.3]).all()


def test_the_frame_given_is_not_drawn_on():
    frame = grey(480, 640)
    frame.flags.writeable = False
    Overlay((640, 480), 5).draw(frame, top(), 0.0)


# --- the video


def test_every_frame_at_its_own_time(tmp_path):
    """Those that the model has not seen too; nothing of the temporary file stays."""
    source = write_timed(tmp_path / "vfr.mkv", UNEVEN_MS, 200)
    video = OverlayVideo(tmp_path / "out" / "o.mp4", LABELS)
    for number, frame in enumerate(open_source(source)):
        video.add(frame.rgb, frame.time_seconds, answer() if number % 4 == 0 else None)
    assert not (tmp_path / "out" / "o.mp4").exists()
    video.finish()
    found = frames_of(tmp_path / "out" / "o.mp4")
    np.testing.assert_allclose([1e3 * time for time, _ in found], UNEVEN_MS, atol=0.02)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["o.mp4"]
    with av.open(str(tmp_path / "out" / "o.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_frames_are_the_source_s(tmp_path):
    source = write_timed(tmp_path / "a.mkv", [40 * n for n in range(6)], 201)
    video = OverlayVideo(tmp_path / "o.mkv", None)
    frames = list(open_source(source))
    for frame in frames:
        video.add(frame.rgb, frame.time_seconds, answer())
    video.finish()
    found = frames_of(tmp_path / "o.mkv")
    assert len(found) == 6
    for frame, (_, picture) in zip(frames, found, strict=True):
        assert abs(int(picture[60, 60, 1]) - int(frame.rgb()[60, 60, 1])) <= 3


def test_no_answer_no_file(tmp_path):
    """Neither is anything written of a stream that ended before the first answer."""
    video, plot = (
        OverlayVideo(tmp_path / "o.mp4", None), TimelinePlot(tmp_path / "p.png", None, "x"),
    )  # fmt: skip
    for picture in (video, plot):
        picture.add(lambda: grey(32, 32), 0.0, None)
        picture.finish()
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "o.mp4"
    path.write_bytes(b"older")
    writer = VideoWriter(path, (64, 64))
    for n in range(200):
        writer.write(np.random.default_rng(n).integers(0, 256, (64, 64, 3), np.uint8), n / 25)
    assert path.read_bytes() == b"older"
    writer.close()
    writer.close()
    assert len(frames_of(path)) == 200


def test_a_full_disk(tmp_path, monkeypatch):
    """One message, nothing half-written."""

    class Full:
        def mux(self, _packets):
            raise OSError(28, "No space left on device")

    writer = VideoWriter(tmp_path / "o.mp4", (64, 64))
    writer._container = Full()
    with pytest.raises(DataError, match=r"o\.mp4 cannot be written: No space left"):
        writer.write(grey(64, 64), 0.0)
    assert not writer.is_open
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match=r"o\.gif: expected a name that ends in \.mp4"):
        OverlayVideo(tmp_path / "o.gif", None)
    with pytest.raises(ConfigError, match=r"p\.jpg: expected a name that ends in \.png"):
        TimelinePlot(tmp_path / "p.jpg", None, "x")
    with pytest.raises(DataError, match="it is a folder"):
        OverlayVideo(tmp_path / "folder.mp4", None)
    with pytest.raises(DataError, match="file is no folder"):
        TimelinePlot(tmp_path / "file" / "p.png", None, "x")
    monkeypatch.setattr(video_writer, "_ENCODERS", {"no_such_encoder": {}})
    with pytest.raises(DeviceError, match=r"no H\.264 encoder works in this build of PyAV"):
        OverlayVideo(tmp_path / "o.mp4", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.mp4"]


# --- the plot


def pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


def plotted(num_steps: int, labels=LABELS, shape=(120, 160), rate=5.0) -> np.ndarray:
    history = StreamHistory(len(LABELS), max_bins=64)
    for n in range(num_steps):
        history.add(n / rate, answer(best=n * 4 // max(num_steps, 4)).probabilities, grey(*shape))
    return pixels(timeline_png(history, labels, "a clip"))


COLOURS = [tuple(bytes.fromhex(colour[1:])) for colour in PALETTE]


def colours_in(picture: np.ndarray) -> int:
    """How many of the five colours are drawn."""
    return sum((np.abs(picture.astype(int) - colour).max(-1) < 12).sum() > 60 for colour in COLOURS)


@pytest.mark.parametrize(
    ("num_steps", "shape"), [(1, (120, 160)), (2, (1, 1)), (50, (1024, 576)), (300, (90, 400))]
)
def test_a_plot(num_steps, shape):
    picture = plotted(num_steps, shape=shape)
    assert picture.shape[1:] == (1400, 3) and 480 < picture.shape[0] < 720
    assert colours_in(picture) == 5
    assert (picture == 120).all(-1).any() or shape == (1, 1)  # the frames


def test_a_plot_without_labels():
    assert colours_in(plotted(5, labels=None)) == 5


def test_what_is_plotted_are_the_best_means(tmp_path):
    """Heights of the curves: class 2 at 0.9 all the time, above all others."""
    probabilities = np.full(7, 0.1 / 6, np.float32)
    probabilities[2] = 0.9
    plot = TimelinePlot(tmp_path / "p.png", LABELS, "a clip")
    for n in range(10):
        result = StreamResult(n / 5, (), 1.0, probabilities)
        plot.add(lambda: grey(60, 80), n / 5, result)
        plot.add(lambda: grey(60, 80), n / 5 + 0.1, None)
    plot.finish()
    picture = pixels((tmp_path / "p.png").read_bytes()).astype(int)
    rows = np.flatnonzero((np.abs(picture[:, 300:700] - COLOURS[0]).max(-1) < 12).mean(1) > 0.5)
    grid = np.flatnonzero((np.abs(picture[:, 300:700] - 224).max(-1) < 12).mean(1) > 0.9)
    top, quarter = grid[0], (grid[-1] - grid[0]) / 3  # lines at 100, 75, 50 and 25 %
    assert abs(rows.mean() - (top + 0.4 * quarter)) < 3


def test_a_name_is_no_formula_and_no_line_break():
    text = FigureText(["$x_1$\nand"])
    assert text.legible("$x_1$\nand " + "y" * 50, 12) == "$x_1$ and y…"
    assert colours_in(plotted(5, labels=["$\\frac{", "a\nb", *"cdefg"])) == 5


def test_a_plot_says_which_characters_no_font_has(caplog):
    assert FigureText(["Übung \U0010fffd"]).legible("Übung \U0010fffd", 20) == "Übung ?"
    assert "no font here has \U0010fffd" in caplog.text


def test_a_plot_without_matplotlib_is_refused_before_the_stream(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DeviceError, match=r"needs matplotlib: pip install .*\[report\]"):
        TimelinePlot(tmp_path / "p.png", LABELS, "x")


@pytest.mark.parametrize(("seconds", "unit"), [(500, "seconds"), (700, "minutes"), (2e4, "hours")])
def test_the_axis_counts_what_can_be_read(seconds, unit):
    history = StreamHistory(2)
    for time in (0.0, seconds):
        history.add(time, np.full(2, 0.5, np.float32), grey(4, 4))
    assert unit_of(history)[1] == unit
