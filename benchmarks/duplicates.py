"""Which copies of a video `paddlevideo check-data` finds, and which videos it takes for copies.

python benchmarks/duplicates.py VIDEOS... [--every 10]

VIDEOS are files or folders. Of every N-th one copies are made, re-encoded in each of the ways below
(H.264, crf 23 where nothing else is said), and looked for beside it. All of VIDEOS are compared
with each other too: whatever pairs are printed share footage, or are false.
"""

import argparse
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import av

from paddlevideo.apps.own_videos.file_scan import FileScan, scan_file
from paddlevideo.apps.own_videos.footage import Pictures
from paddlevideo.apps.own_videos.scanning import scan_files
from paddlevideo.video.video_files import files_under

BOX = "drawbox=color=white:t=fill"
# Title -> FFmpeg's filters, the crf, frames that are left out at both ends.
COPIES: dict[str, tuple[str, int, int]] = {
    "re-encoded, crf 23": ("", 23, 0),
    "re-encoded, crf 35": ("", 35, 0),
    "half size": ("scale=iw/2:ih/2", 23, 0),
    "half size, crf 35": ("scale=iw/2:ih/2", 35, 0),
    "224 x 224, out of shape": ("scale=224:224", 23, 0),
    "10 frames/s": ("fps=10", 23, 0),
    "1.25 times as fast": ("setpts=PTS/1.25", 23, 0),
    "5 frames cut at each end": ("", 23, 5),
    "20 frames cut at each end": ("", 23, 20),
    "mirrored": ("hflip", 23, 0),
    "grey": ("lutyuv=u=128:v=128", 23, 0),
    "brighter": ("lutyuv=y=val+30", 23, 0),
    "darker, black clipped": ("lutyuv=y=val-38", 23, 0),
    "gamma 1.5": ("lutyuv=y=gammaval(0.67)", 23, 0),
    "logo, 15 % x 10 %": (f"{BOX}:x=iw*0.8:y=ih*0.05:w=iw*0.15:h=ih*0.1", 23, 0),
    "logo, 25 % x 20 %": (f"{BOX}:x=iw*0.7:y=ih*0.05:w=iw*0.25:h=ih*0.2", 23, 0),
    "subtitle": (f"{BOX}:x=iw*0.2:y=ih*0.85:w=iw*0.6:h=ih*0.08", 23, 0),
    "black border over 4 %": ("drawbox=x=0:y=0:w=iw:h=ih:color=black:t=ceil(ih*0.04)", 23, 0),
    "3 % cut off": ("crop=iw*0.97:ih*0.97", 23, 0),
    "5 % cut off": ("crop=iw*0.95:ih*0.95", 23, 0),
    "10 % cut off": ("crop=iw*0.9:ih*0.9", 23, 0),
    "black bars added, 15 % each": ("pad=iw:ceil(ih*1.3):0:-1", 23, 0),
}  # fmt: skip


def frames_of(video: Path, filters: str, cut: int) -> Iterator[av.VideoFrame]:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))[cut:]
        graph = av.filter.Graph()
        nodes = [graph.add_buffer(template=stream)]
        for each in (*filter(None, filters.split(",")), "scale=trunc(iw/2)*2:trunc(ih/2)*2"):
            nodes.append(graph.add(*each.split("=", 1)))
        nodes += [graph.add("format", "yuv420p"), graph.add("buffersink")]
        graph.link_nodes(*nodes).configure()
        for frame in frames[: len(frames) - cut]:
            graph.vpush(frame)
            yield from _pulled(graph)
        graph.vpush(None)
        yield from _pulled(graph)


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def write_copy(video: Path, file: Path, filters: str, crf: int, cut: int) -> Path:
    with av.open(str(file), "w") as container:
        stream = None
        for frame in frames_of(video, filters, cut):
            if stream is None:
                stream = container.add_stream("libx264", rate=25)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                stream.options = {"preset": "ultrafast", "crf": str(crf)}
                stream.codec_context.time_base = frame.time_base
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return file


def looked_for(originals: Sequence[FileScan], copies: Sequence[FileScan]) -> tuple[list[str], int]:
    """Names of the copies that are not found beside their originals; pairs with other originals."""
    number = len(originals)
    pairs = {(m.first, m.second) for m in Pictures([*originals, *copies]).matches()}
    missed = [each.path.name for i, each in enumerate(originals) if (i, number + i) not in pairs]
    own = {(one % number, other % number) for one, other in pairs}
    return missed, sum(one != other for one, other in own)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=10)
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)
    listed: list[Path] = []
    for path in arguments.videos:
        listed += files_under(path) if path.is_dir() else [path]
    by_path = {scan.path: scan for scan in scan_files(listed)}
    scans = [by_path[path] for path in listed if by_path[path].is_usable]
    originals = [scan for scan in scans if min(scan.width, scan.height) >= 32][:: arguments.every]
    print(f"{len(scans)} videos, copies of {len(originals)}")
    with tempfile.TemporaryDirectory() as folder:
        for title, how in COPIES.items():
            copies = [
                scan_file(write_copy(scan.path, Path(folder) / f"{number}.mkv", *how))
                for number, scan in enumerate(originals)
            ]
            missed, others = looked_for(originals, copies)
            found = len(copies) - len(missed)
            print(
                f"{title:30s} {found} of {len(copies)}, pairs with others: {others}; not found: "
                f"{', '.join(missed[:3])}",
                flush=True,
            )
    matches = Pictures(scans).matches()
    print(f"pairs of the videos themselves: {len(matches)}")
    for match in matches:
        one, other = scans[match.first].path.stem, scans[match.second].path.stem
        print(f"  {one} {match.kind.value} {other} ({match.distance:.4f})")


if __name__ == "__main__":
    main()
