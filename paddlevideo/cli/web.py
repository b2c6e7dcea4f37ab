"""Write the page that runs a bundle in a browser: a static folder for any web server.

paddlevideo export -c CONFIG -p WEIGHTS -o inference/Mine --format onnx
paddlevideo web inference/Mine -o site
python -m http.server --directory site

The page takes a camera or a video file, and everything is computed on the visitor's device
(docs/web.md).
"""

import argparse
from pathlib import Path

from paddlevideo.cli.output import say
from paddlevideo.utils.packages import TRAINING

PACKAGES = (*TRAINING, "onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo web``."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="exported with ONNX")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="new, empty or an older page's (default: NAME_web in the bundle's folder)",
    )
    parser.add_argument("--title", help="of the page (default: the name of the model)")
    parser.add_argument(
        "--from",
        dest="file",
        type=Path,
        metavar="FILE",
        help="take onnxruntime-web from this archive of npm, instead of fetching it",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the page."""
    from paddlevideo.export.web import require_runtime, site_folder, write_site
    from paddlevideo.runtime.bundle import read_bundle

    bundle = read_bundle(arguments.bundle)
    if arguments.file is not None:
        require_runtime(arguments.file)
    folder = arguments.output or site_folder(bundle)
    write_site(bundle, folder, arguments.title)
    say(f"wrote {folder}; look at it with: python -m http.server --directory {folder}")
