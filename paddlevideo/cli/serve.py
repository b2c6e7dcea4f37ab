"""Serve a model: a video in over HTTP, or frames over WebSocket; the classes out as JSON.

paddlevideo serve runs/mine/bundle --port 8000
curl --data-binary @clip.mp4 http://127.0.0.1:8000/predict

On this machine alone, unless --host says otherwise: there is no authentication.
"""

import argparse
import asyncio
import dataclasses
import ipaddress
import logging
from typing import Literal

from paddlevideo.cli.prediction_options import (
    ENGINE_NAMES,
    add_products_option,
    positive,
    positive_number,
    to_bool,
)
from paddlevideo.utils.errors import ConfigError, no_effect

logger = logging.getLogger(__name__)

PACKAGES = ("fastapi", "uvicorn", "websockets", "prometheus_client")
_HIGHEST_PORT = 65535
_DEVICES: dict[bool | None, Literal["auto", "cpu", "gpu"]] = {
    None: "auto",
    True: "gpu",
    False: "cpu",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo serve``."""
    from paddlevideo.apps.serve.limits import ServeLimits

    parser.add_argument("bundle", metavar="BUNDLE", help="an exported model")
    parser.add_argument(
        "--host", default="127.0.0.1", help="to listen at (127.0.0.1: this machine alone)"
    )
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")
    parser.add_argument(
        "--allow_origin", action="append", default=[], metavar="URL",
        help="web pages of this site may use it, such as https://example.org; again for more",
    )  # fmt: skip
    parser.add_argument(
        "--allow_host", action="append", default=[], metavar="NAME",
        help="a name under which it is asked, beside localhost and its addresses; again for more",
    )  # fmt: skip
    parser.add_argument(
        "--forwarded_allow_ips", action="append", default=[], metavar="ADDRESS",
        help="a proxy, or a network of them, that states its clients' addresses in "
        "X-Forwarded-For; again for more (none is believed)",
    )  # fmt: skip
    parser.add_argument("--top_k", type=positive, default=5, help="classes in an answer (5)")
    parser.add_argument(
        "--engine", choices=ENGINE_NAMES, default="auto", help="auto: the fastest that is there"
    )
    add_products_option(parser)
    parser.add_argument("--use_gpu", type=to_bool, help="default: where there is one")
    parser.add_argument("--cpu_threads", type=positive, help="default: all cores")
    parser.add_argument(
        "--video_workers", type=positive, default=1, help="processes that classify videos (1)"
    )
    streams = parser.add_argument_group("streams")
    streams.add_argument("--window", type=positive_number, help="start anew every so many seconds")
    streams.add_argument("--reset_on_cut", action="store_true", help="start anew with each scene")
    streams.add_argument("--smooth", type=positive_number, help="time constant of the scores")
    group = parser.add_argument_group("limits")
    for field in dataclasses.fields(ServeLimits):
        kind = int if isinstance(field.default, int) else float
        group.add_argument(
            f"--{field.name}", type=kind, default=field.default, metavar="N",
            help=f"{field.metadata['what']} ({field.default:,.15g})",
        )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: a limit or an address that cannot be.
        BundleError: the bundle cannot be used.
    """
    from paddlevideo.apps.serve.access import Access
    from paddlevideo.apps.serve.limits import ServeLimits
    from paddlevideo.apps.serve.server import listen, serve
    from paddlevideo.apps.serve.service import Service
    from paddlevideo.runtime import read_bundle
    from paddlevideo.runtime.engines import EngineOptions
    from paddlevideo.runtime.streams.session_options import StreamOptions

    if not 0 <= arguments.port <= _HIGHEST_PORT:
        raise ConfigError(f"--port is {arguments.port}, expected 0 to {_HIGHEST_PORT}")
    names = [field.name for field in dataclasses.fields(ServeLimits)]
    limits = ServeLimits(**{name: vars(arguments)[name] for name in names})
    streams = StreamOptions(
        top_k=arguments.top_k, window_seconds=arguments.window,
        reset_on_cut=arguments.reset_on_cut, smooth_seconds=arguments.smooth,
    )  # fmt: skip
    engine = EngineOptions(
        device=_DEVICES[arguments.use_gpu], cpu_threads=arguments.cpu_threads,
        engine=arguments.engine, products=arguments.products,
    )  # fmt: skip
    access = Access(
        tuple(arguments.allow_origin), (*arguments.allow_host, *_own_name(arguments.host)),
        tuple(arguments.forwarded_allow_ips),
    )  # fmt: skip
    bundle = read_bundle(arguments.bundle)
    if bundle.manifest.step is None:
        for option in ("window", "reset_on_cut", "smooth"):
            if vars(arguments)[option]:
                raise no_effect(option, "models for streams, and this one is for whole videos")
    service = Service(bundle, engine, limits, streams, arguments.video_workers)
    with listen(arguments.host, arguments.port) as bound:
        host = bound.getsockname()[0]
        if not ipaddress.ip_address(host).is_loopback:
            logger.warning("%s: whoever reaches this address may use it: no authentication", host)
        asyncio.run(serve(service, bound, access))


def _own_name(host: str) -> tuple[str, ...]:
    """The name that is listened at, under which it is then asked; none of an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return (host,) if host else ()
    return ()
