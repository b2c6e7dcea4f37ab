"""``tools/predict.py --stream``: one JSON line a step, visualizations, and a summary at the end."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.apps.bulk.results import StreamFile
from paddlevideo.apps.sources import following
from paddlevideo.apps.sources.factory import FrameReader, SourceOptions, open_source
from paddlevideo.apps.visualization.window_closed import WindowClosedError
from paddlevideo.runtime.predictor import VideoPredictor
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.source_names import public_name

if TYPE_CHECKING:
    from paddlevideo.apps.visualization.visualizations import Visualization


def check_visualization_options(arguments: argparse.Namespace) -> None:
    """Refuse visualizations where there is no stream, and those that would replace the input.

    Raises:
        ConfigError: the message names the option.
    """
    for option in ("save_video", "save_plot"):
        path = vars(arguments)[option]
        if path is None:
            continue
        if not arguments.stream:
            raise ConfigError(f"--{option} {path} is for streams; add --stream")
        if path.exists() and path.resolve() == Path(arguments.input_file).resolve():
            raise ConfigError(f"--{option} {path} is the input; name another file")


def run_stream(open_predictor: Callable[[], VideoPredictor], arguments: argparse.Namespace) -> None:
    """Read the source to its end, or to Ctrl-C, which is a clean end too (exit code 0)."""
    options = SourceOptions(
        frame_size=arguments.frame_size,
        frame_rate=arguments.frame_rate,
        live=arguments.live,
        reconnect_seconds=arguments.reconnect,
        max_seconds=arguments.max_seconds,
    )
    check_visualization_options(arguments)
    source = open_source(arguments.input_file, options)
    session = open_predictor().open_stream(
        top_k=arguments.top_k,
        window_seconds=arguments.window,
        reset_on_cut=arguments.reset_on_cut,
        smooth_seconds=arguments.smooth,
    )
    visualizations = open_visualizations(arguments, session)
    with ExitStack() as stack:
        file = stack.enter_context(StreamFile(arguments.output)) if arguments.output else None
        stack.callback(show_summary, source, session)
        for visualization in visualizations:  # whatever ends the stream, what was seen is drawn
            stack.callback(visualization.finish)
        try:
            follow(source, arguments.input_file, session, file, visualizations)
        except (KeyboardInterrupt, WindowClosedError):
            return


def open_visualizations(
    arguments: argparse.Namespace, session: StreamSession
) -> list["Visualization"]:
    """What ``--save_video``, ``--show`` and ``--save_plot`` ask for."""
    if not (arguments.save_video or arguments.show or arguments.save_plot):
        return []
    from paddlevideo.apps.visualization.visualizations import OverlayVideo, TimelinePlot
    from paddlevideo.apps.visualization.window import OverlayWindow

    visualizations: list[Visualization] = []
    if arguments.save_video is not None:
        visualizations.append(OverlayVideo(arguments.save_video, session.labels))
    if arguments.show:
        visualizations.append(OverlayWindow(source_title(arguments.input_file), session.labels))
    if arguments.save_plot is not None:
        title = source_title(arguments.input_file)
        visualizations.append(TimelinePlot(arguments.save_plot, session.labels, title))
    return visualizations


def source_title(source: str) -> str:
    """What to call a source in a picture that others may see: no folders, no passwords."""
    if source == "-":
        return "standard input"
    if Path(source).is_file():
        return Path(source).name
    return public_name(source)


def follow(
    source: FrameReader,
    source_name: str,
    session: StreamSession,
    file: StreamFile | None,
    visualizations: list["Visualization"],
) -> None:
    """Show the model every frame that is due, and each answer at once."""
    name = source_title(source_name)
    for step in following.follow(session, source, lambda: source.is_live, name):
        for result in step.results:
            write(result, file)
        if step.frame is not None:
            for visualization in visualizations:
                newest = step.results[-1] if step.results else None
                visualization.add(step.frame.rgb, step.frame.time_seconds, newest)


def write(result: StreamResult, file: StreamFile | None) -> None:
    """One line on stdout, and in the file."""
    sys.stdout.write(json.dumps(result.as_dict(), ensure_ascii=False) + "\n")
    sys.stdout.flush()
    if file is not None:
        file.write(result)


def show_summary(source: FrameReader, session: StreamSession) -> None:
    """What happened to the frames, on stderr."""
    counts = session.counts
    if not source.frames_read:
        return
    latency = ""
    if counts.steps:
        latency = (
            f"; latency {counts.mean_latency_ms:.1f} ms mean, {counts.p95_latency_ms:.1f} ms p95"
        )
    lost = f", {source.frames_lost} lost to damage" if source.frames_lost else ""
    dropped = source.frames_dropped + counts.dropped
    sys.stderr.write(
        f"{source.frames_read} frames read{lost}, {counts.steps} steps, "
        f"{counts.skipped} left out to keep {session.frame_rate:g} frames/s, "
        f"{dropped} dropped to keep up, {counts.resets} new starts{latency}\n"
    )
