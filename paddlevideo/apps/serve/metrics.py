"""What the service counts, in Prometheus' format."""

import prometheus_client as prometheus

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_STREAMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service, in a registry of their own: nothing global.

    Attributes:
        streams: open now.
        streams_total: opened so far.
        frames: that came, and that the model saw.
        frame_seconds: from the arrival of a frame to its answer.
        step_seconds, step_streams: time of a step of the pool, and the streams in it.
        videos: by how they ended: ``answered``, or the refusal's name.
        video_seconds: from the request to its answer.
        refusals: by name, of videos and streams alike.
        connections_refused: those beyond the limit, which were closed at once.
    """

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        registry = self.registry
        prometheus.ProcessCollector(registry=registry)
        self.streams = prometheus.Gauge(
            "paddlevideo_streams", "Streams that are open.", registry=registry
        )
        self.streams_total = prometheus.Counter(
            "paddlevideo_streams_opened", "Streams that were opened.", registry=registry
        )
        self.frames = prometheus.Counter(
            "paddlevideo_frames", "Frames of streams.", ["outcome"], registry=registry
        )
        self.frame_seconds = prometheus.Histogram(
            "paddlevideo_frame_seconds", "From a frame's arrival to its answer.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.step_seconds = prometheus.Histogram(
            "paddlevideo_step_seconds", "Time of a step of all streams that have a frame.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.step_streams = prometheus.Histogram(
            "paddlevideo_step_streams", "Streams that had a frame in a step.",
            buckets=_STREAMS, registry=registry,
        )  # fmt: skip
        self.videos = prometheus.Counter(
            "paddlevideo_videos", "Videos that were sent.", ["outcome"], registry=registry
        )
        self.video_seconds = prometheus.Histogram(
            "paddlevideo_video_seconds", "From a request to its answer.",
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.refusals = prometheus.Counter(
            "paddlevideo_refusals", "Refusals of videos and streams.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.connections_refused = prometheus.Counter(
            "paddlevideo_connections_refused", "Connections beyond the limit.", registry=registry
        )

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return prometheus.generate_latest(self.registry)


CONTENT_TYPE = prometheus.CONTENT_TYPE_PLAIN_0_0_4
