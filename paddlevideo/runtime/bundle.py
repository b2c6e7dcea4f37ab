"""The bundle: one folder with the program, its weights, and ``inference.yml`` that says the rest.

``inference.yml`` carries inputs and outputs, the pipeline, the labels, versions, and size and
SHA-256 of every other file. It is written last, so a folder without it is not a bundle, and a
bundle whose files were altered is refused.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pydantic

from paddlevideo.runtime.engines import ProgramFiles
from paddlevideo.runtime.manifest import FORMAT_VERSION, BundleManifest, Program
from paddlevideo.runtime.manifest_check import check_file_name, check_manifest
from paddlevideo.runtime.old_manifests import translated
from paddlevideo.utils.config import to_yaml
from paddlevideo.utils.errors import BundleError, shown
from paddlevideo.utils.files import made_folder, sha256_of, write_text
from paddlevideo.utils.safe_yaml import parse_yaml
from paddlevideo.utils.text_files import read_text

MANIFEST_NAME = "inference.yml"


@dataclass(frozen=True)
class Bundle:
    """A bundle on the disk whose files are as they were written."""

    folder: Path
    manifest: BundleManifest

    def digest(self) -> str:
        """What tells this bundle from every other: 16 hexadecimal digits.

        Of the manifest, which has the checksums of all files; without one, of the weights.
        """
        manifest = self.folder / MANIFEST_NAME
        return sha256_of(manifest if manifest.is_file() else self.params)[:16]

    @property
    def program(self) -> Path:
        """The clip program of Paddle.

        Raises:
            BundleError: the bundle has none, as a quantised one.
        """
        return self._paddles(self.clip_files.program)

    @property
    def params(self) -> Path:
        """Its weights."""
        return self._paddles(self.clip_files.params)

    @property
    def clip_files(self) -> ProgramFiles:
        """The program of a whole clip.

        Raises:
            BundleError: the bundle has none.
        """
        if self.manifest.clip is None:
            raise BundleError(
                f"{self.folder} is quantised and holds the program of one frame alone, as ONNX; "
                "name the folder: --model_dir"
            )
        return self.files_of(self.manifest.clip)

    @property
    def step_files(self) -> ProgramFiles:
        """The program of one frame.

        Raises:
            BundleError: the bundle has none.
        """
        if self.manifest.step is None:
            raise BundleError(
                f"{self.folder} holds a clip program only; export a causal model with "
                "--mode stream to run it frame by frame"
            )
        return self.files_of(self.manifest.step)

    def files_of(self, program: Program) -> ProgramFiles:
        """The files of one of the programs, as engines take them."""
        paths = {
            name: tuple(self.folder / file for file in files)
            for name, files in program.files.items()
        }
        return ProgramFiles(paths, program.output_names)

    def _paddles(self, path: Path | None) -> Path:
        if path is None:
            raise BundleError(f"{self.folder} holds no program of Paddle's; name it: --model_dir")
        return path


def file_facts(folder: Path, names: list[str]) -> dict[str, dict[str, int | str]]:
    """Size and SHA-256 of the named files, for the manifest."""
    return {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in names
    }


def write_manifest(folder: Path, manifest: BundleManifest) -> None:
    """Write ``inference.yml`` atomically."""
    write_text(folder / MANIFEST_NAME, to_yaml(asdict(manifest)))


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder in ``folder``, from which `replace_bundle` moves what is whole.

    Raises:
        BundleError: ``folder`` cannot be made or written to.
    """
    try:
        with made_folder(folder), TemporaryDirectory(dir=folder, prefix=".export-") as work:
            yield Path(work)
    except OSError as error:
        raise BundleError(f"cannot write to {folder}: {error.strerror}") from None


def replace_bundle(
    folder: Path, work: Path, manifest: BundleManifest, folders: Sequence[str] = ()
) -> None:
    """Move the files in ``work`` into ``folder``, in place of an older bundle's.

    The manifest goes first and comes last: without it a folder is no bundle.

    Args:
        folders: in ``work``, which replace those of the same name; the manifest does not list them.
    """
    try:
        old_names = set(read_bundle(folder).manifest.files)
    except BundleError:
        old_names = set()
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    for name in manifest.files:
        (work / name).replace(folder / name)
    for name in folders:
        shutil.rmtree(folder / name, ignore_errors=True)
        (work / name).rename(folder / name)
    write_manifest(folder, manifest)
    for name in old_names - set(manifest.files):
        (folder / name).unlink(missing_ok=True)


def read_bundle(folder: str | Path) -> Bundle:
    """Read and check the bundle in ``folder``.

    Raises:
        BundleError: no such folder, no ``inference.yml``, one of a newer format, or a file that
            is missing or not the one that was exported.
    """
    folder = Path(folder)
    path = folder / MANIFEST_NAME
    if not path.is_file():
        what = f"has no {MANIFEST_NAME}" if folder.is_dir() else "is not a folder"
        raise BundleError(f"{folder} {what}; export a model with tools/export_model.py")
    manifest = _parse_manifest(read_text(path, str(path), BundleError), path)
    for name in {*manifest.named_files(), *manifest.files}:
        check_file_name(name, str(path))
    _check_files(folder, manifest)
    check_manifest(manifest, str(path))
    return Bundle(folder, manifest)


def _parse_manifest(text: str, path: Path) -> BundleManifest:
    content = parse_yaml(text, str(path), BundleError)
    if not isinstance(content, Mapping):
        raise BundleError(f"{path}: expected a mapping")
    version = content.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise BundleError(
            f"{path}: format_version is {str(version)[:100]}, this program reads up to "
            f"{FORMAT_VERSION}; update paddlevideo, or export again"
        )
    fields = dict(content) if version == FORMAT_VERSION else translated(content, str(path))
    try:
        return pydantic.TypeAdapter(BundleManifest).validate_python(fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part)[:100] for part in first["loc"])
        raise BundleError(f"{path}: {at}: {first['msg']}, got {shown(first['input'])}") from None


def _check_files(folder: Path, manifest: BundleManifest) -> None:
    for name in sorted({*manifest.named_files(), *manifest.files}):
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; export the model again")
        facts = manifest.files.get(name)
        if facts is None:
            raise BundleError(f"{folder / MANIFEST_NAME} has no checksum of {name}")
        if (path.stat().st_size, sha256_of(path)) != (facts.get("size"), facts.get("sha256")):
            raise BundleError(
                f"{path} is not the file that was exported (size or SHA-256 differs); copy the "
                "bundle again or export the model again"
            )
