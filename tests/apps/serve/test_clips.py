"""A model of whole clips, on 8 bits, served in the compiled engine."""

import pytest
from modeling.conftest import randomise
from runtime.conftest import LABELS, PIPELINE
from video.conftest import write_video

import paddlevideo
from apps.serve.conftest import serving
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.export.quantization import QuantizeOptions, quantize, quantize_bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import open_predictor

pytest.importorskip("numba")
pytest.importorskip("paddle2onnx")
COMPILED = EngineOptions(device="cpu", cpu_threads=2, engine="compiled")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "video.mp4", 12)


@pytest.fixture(scope="module")
def clip_bundle(tmp_path_factory):
    model = randomise(paddlevideo.create_model("movinet_t0_base", num_classes=len(LABELS))).eval()
    folder = tmp_path_factory.mktemp("served") / "bundle"
    return export_model(model, PIPELINE, folder, "m", LABELS, ExportOptions(formats=("onnx",)))


def test_clips_are_answered_as_predict_does(clip_bundle, video, tmp_path, monkeypatch):
    monkeypatch.setattr(quantize, "damage_of_each", lambda _judge, layers, _build: {})
    options = QuantizeOptions(num_videos=1, search_videos=1, max_error=10.0)
    bundle = quantize_bundle(clip_bundle, [video], tmp_path / "int8", options).bundle
    predictor = open_predictor(bundle, COMPILED)
    assert predictor.engine.arithmetic == "8-bit integers"
    expected = predictor(video, top_k=2).as_dict()
    del expected["file"]
    with serving(bundle, engine=COMPILED) as served:
        answer = served.predict(video.read_bytes(), "?top_k=2")
        assert answer.status_code == 200, answer.text
        assert answer.json() == expected
        assert served.predict(b"no video").status_code == 422
        about = served.get("/").json()
        assert not [name for name in about["addresses"] if "stream" in name]
        refused = served.stream([b"x"])
        assert refused.code == 1008 and "POST them to /predict" in refused.reason
