"""What is answered is what ``predict`` and ``stream`` answer, of videos and of frames."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from video.conftest import write_video

from apps.serve.conftest import ENGINE, LABELS, pictures, png, serving
from paddlevideo.apps.sources import follow, open_source
from paddlevideo.runtime.predictor import open_predictor


@pytest.fixture(scope="module")
def predictor(stream_bundle):
    return open_predictor(stream_bundle, ENGINE)


def tops(results):
    return [[vars(item) for item in result.top] for result in results]


def test_a_video_is_answered_as_predict_does(served, predictor, tmp_path):
    video = write_video(tmp_path / "video.mp4", 12)
    answer = served.predict(video.read_bytes(), "?top_k=2")
    assert answer.status_code == 200, answer.text
    expected = predictor(video, top_k=2).as_dict()
    del expected["file"]
    assert answer.json() == expected
    assert len(served.predict(video.read_bytes()).json()["predictions"]) == 3
    assert not list(served.service._folder.iterdir())  # uploads are gone


@pytest.mark.parametrize("recording", [True, False])
def test_a_stream_is_answered_as_stream_does(served, predictor, tmp_path, recording):
    """The frames of a file with their times, as a recording and as a live source."""
    video = write_video(tmp_path / "video.mp4", 40)
    frames = [(frame.time_seconds, frame.rgb()) for frame in open_source(video)]
    session = predictor.open_stream(top_k=3)
    steps = follow(session, open_source(video), lambda: not recording)
    expected = [result for step in steps for result in step.results]
    messages = [m for seconds, rgb in frames for m in (f"time {seconds!r}", png(rgb))]
    query = "?recording=true" if recording else ""
    answers = served.stream([*messages, "end"], query)
    assert answers.code == 1000 and answers.scores == tops(expected) and len(expected) > 2
    lines, end = answers.lines[:-1], answers.lines[-1]
    assert [line["time_seconds"] for line in lines] == [
        round(result.time_seconds, 6) for result in expected
    ]
    assert (end["frames"], end["steps"]) == (len(frames), len(expected))
    assert end["left_out"] == session.counts.skipped


def test_frames_without_times_are_all_taken_and_rates_are_counted(served, predictor):
    frames = pictures(6)
    session = predictor.open_stream(top_k=3)
    expected = tops([session.push(frame) for frame in frames])
    raw = served.stream([*(frame.tobytes() for frame in frames), "end"], "?width=48&height=40")
    assert raw.scores == expected
    assert served.stream([*map(png, frames), "end"]).scores == expected
    rate = served.service.frame_rate
    fast = served.stream([*map(png, frames), "end"], f"?frame_rate={2 * rate}&top_k=1")
    assert fast.lines[-1]["left_out"] == 3 and [line["label"] in LABELS for line in fast.lines[:-1]]


def test_jpeg_is_upright(served, predictor):
    picture = np.zeros((40, 48, 3), np.uint8)
    picture[:20] = 255
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(picture).save(file, "JPEG", quality=100, exif=exif)
    session = predictor.open_stream(top_k=3)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        expected = session.push(np.ascontiguousarray(np.asarray(image)[::-1, ::-1]))
    assert served.stream([file.getvalue(), "end"]).scores == tops([expected])


def test_reset_begins_another_stream(served):
    frames = list(map(png, pictures(3)))
    answers = served.stream([*frames, "reset", *frames, "end"])
    assert answers.scores[:3] == answers.scores[3:] and answers.scores[0] != answers.scores[1]


def test_many_streams_at_a_time_are_each_answered_as_alone(served, predictor):
    numbers = range(20)
    with ThreadPoolExecutor(len(numbers)) as threads:
        sent = [[*map(png, pictures(5, seed)), "end"] for seed in numbers]
        answers = list(threads.map(served.stream, sent))
    for seed in numbers:
        session = predictor.open_stream(top_k=3)
        expected = tops([session.push(frame) for frame in pictures(5, seed)])
        assert [[item["index"] for item in top] for top in answers[seed].scores] == [
            [item["index"] for item in top] for top in expected
        ]
        for top, right in zip(answers[seed].scores, expected, strict=True):
            np.testing.assert_allclose(
                [item["score"] for item in top], [item["score"] for item in right], rtol=1e-5
            )


def test_pages(served):
    about = served.get("/").json()
    assert about["labels"] == LABELS and about["limits"]["max_streams"] == 64
    assert served.get("/health").json()["status"] == "ok"
    served.stream([png(pictures(1)[0]), "end"])
    served.predict(b"no video")
    text = served.get("/metrics").text
    assert 'paddlevideo_refusals_total{reason="unreadable"}' in text
    assert 'paddlevideo_frames_total{outcome="seen"}' in text
    assert "paddlevideo_streams 0.0" in text and "paddlevideo_step_seconds_bucket" in text


def test_the_end_waits_for_running_answers(stream_bundle, tmp_path):
    video = write_video(tmp_path / "video.mp4", 12).read_bytes()
    with serving(stream_bundle) as server:
        with server.open() as socket, ThreadPoolExecutor(1) as threads:
            socket.send(png(pictures(1)[0]))
            assert "label" in socket.recv(timeout=30)
            sent = threads.submit(server.predict, video)
            while not server.service.num_videos and not sent.done():
                pass
            server.stop()
            assert '"closing"' in socket.recv(timeout=30)
            with pytest.raises(Exception, match="1001"):
                socket.recv(timeout=30)
            assert sent.result().status_code == 200
        server.join()
