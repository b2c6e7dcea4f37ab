"""onnxruntime-web, one pinned version of it: fetched once, checked, and put beside the page.

Its package on npm is one archive. npm fetches it where there is npm, with the registry and the
proxies that it is configured for; else it is fetched from npm's public registry. It is kept in the
cache of released weights (`paddlevideo.weights.published.cache`).
"""

import logging
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from paddlevideo.utils.errors import DownloadError
from paddlevideo.utils.files import atomic_write, sha256_of
from paddlevideo.weights.published.cache import HOME_VARIABLE, downloads_folder
from paddlevideo.weights.published.download import download

logger = logging.getLogger(__name__)

VERSION = "1.30.0"
ARCHIVE = f"onnxruntime-web-{VERSION}.tgz"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/{ARCHIVE}"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
# What the page loads: the WebAssembly alone, and that with WebGPU, which is twice as large.
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)

_NPM_SECONDS = 300
_CHUNK_BYTES = 1 << 20


def require_runtime(file: Path | None = None) -> Path:
    """Return the archive of onnxruntime-web; fetch it where it is not in the cache.

    Args:
        file: the archive, fetched by other means; it is copied into the cache.

    Raises:
        DownloadError: it cannot be fetched, or is another file; the message says where to put it.
    """
    kept = downloads_folder() / ARCHIVE
    if file is not None:
        return _taken(file, kept)
    if kept.is_file():
        if sha256_of(kept) == SHA256:
            return kept
        logger.warning("%s is fetched again: it is not the file that was released", kept)
    logger.info("fetching onnxruntime-web %s from npm, once", VERSION)
    reasons = []
    for fetch in (_by_npm, _by_address):
        try:
            return fetch(kept)
        except DownloadError as error:
            reasons.append(str(error))
    raise DownloadError(
        f"onnxruntime-web {VERSION} is not in the cache and cannot be fetched: "
        f"{'; '.join(reasons)}. Fetch {ADDRESS} by other means and put it into {kept.parent}, or "
        "give it to: paddlevideo web BUNDLE --from FILE"
    )


def extract_runtime(archive: Path, folder: Path) -> None:
    """Write the files of `RUNTIME_FILES` into ``folder``.

    Raises:
        DownloadError: the archive has not got them.
    """
    with tarfile.open(archive) as packed:
        for name in RUNTIME_FILES:
            try:
                member = packed.extractfile(f"package/dist/{name}")
            except KeyError:
                member = None
            if member is None:
                raise DownloadError(f"{archive} has no dist/{name}; remove it and try again")
            with (folder / name).open("wb") as target:
                shutil.copyfileobj(member, target, _CHUNK_BYTES)


def _by_npm(kept: Path) -> Path:
    """Let npm fetch it: its registry and its proxies are the user's."""
    npm = shutil.which("npm")
    if npm is None:
        raise DownloadError("npm is not installed")
    with tempfile.TemporaryDirectory() as work:
        command = [
            npm,
            "pack",
            f"onnxruntime-web@{VERSION}",
            "--silent",
            "--pack-destination",
            work,
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, cwd=work,
                timeout=_NPM_SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DownloadError(f"npm does not answer ({type(error).__name__})") from None
        packed = Path(work) / ARCHIVE
        if done.returncode or not packed.is_file():
            lines = [line for line in done.stderr.splitlines() if "npm error" in line]
            raise DownloadError((lines or ["npm failed"])[0][:200])
        return _taken(packed, kept)


def _by_address(kept: Path) -> Path:
    try:
        return download(ADDRESS, kept, SHA256)
    except DownloadError as error:
        raise DownloadError(f"npm's registry: {error}") from None


def _taken(file: Path, kept: Path) -> Path:
    """Check an archive and put it into the cache."""
    if not file.is_file():
        raise DownloadError(f"{file}: no such file; expected {ARCHIVE} of {ADDRESS}")
    found = sha256_of(file)
    if found != SHA256:
        raise DownloadError(
            f"{file} is not {ARCHIVE} of npm: its SHA-256 is {found}, expected {SHA256}"
        )
    try:
        if not (kept.exists() and kept.samefile(file)):
            with file.open("rb") as source, atomic_write(kept) as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except OSError as error:
        raise DownloadError(
            f"{kept.parent} cannot be written: {error.strerror or error}; {HOME_VARIABLE} names "
            "another folder"
        ) from None
    return kept
