"""Prove the programs of a bundle on its reference, in every engine that this machine has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions, engines_of, open_engine
from paddlevideo.runtime.engines.base import EngineName
from paddlevideo.runtime.manifest import ReferenceFile
from paddlevideo.runtime.reference import Reference, read_reference
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError


@dataclass(frozen=True)
class Difference:
    """How far two ways of computing the same logits are apart.

    Attributes:
        largest: as the share that the reference's tolerance is.
    """

    what: str
    largest: float


def prove_bundle(bundle: Bundle) -> list[Difference]:
    """Compare each program of ``bundle`` with its reference, in each engine that can run it.

    Returns:
        What was compared.

    Raises:
        BundleError: there is no reference, or a difference is above its tolerance.
    """
    found = list(program_differences(bundle, read_reference(bundle)))
    require_equal(found, bundle.manifest.reference)
    return found


def require_equal(found: Sequence[Difference], stated: ReferenceFile | None) -> None:
    """Raise `BundleError` if one of the differences is above the tolerance that is stated."""
    if stated is None:
        raise BundleError("a bundle without a reference cannot be proved; export the model again")
    # Not a number is wrong too.
    wrong = [item for item in found if not item.largest <= stated.tolerance]
    if wrong:
        shown = "; ".join(f"{item.what}: {item.largest:.1e}" for item in wrong)
        unit = "logits spread" if stated.of == "spread" else "largest logit"
        raise BundleError(
            "the exported program does not compute what the model does (differences above "
            f"{stated.tolerance:.0e} of the {unit}): {shown}"
        )


def program_differences(bundle: Bundle, reference: Reference) -> Iterator[Difference]:
    """Each program in each engine: a step program frame by frame to the clip's last."""
    manifest = bundle.manifest
    in_spreads = manifest.reference is not None and manifest.reference.of == "spread"
    batch = manifest.inputs[0].shape[0]
    given = len(reference.clip_logits)
    rows: np.ndarray = np.arange(given if batch < 0 else batch) % given
    clips = {name: clip[rows] for name, clip in reference.clips().items()}
    expected = reference.clip_logits[rows]
    if manifest.clip is not None:
        files, output = bundle.clip_files, manifest.clip.outputs[0].name
        for engine in engines_of(files):
            logits = open_engine(files, _options(engine)).run(clips)[output]
            largest = share(logits, expected, in_spreads)
            yield Difference(f"clip program in {engine}, reference", largest)
    if manifest.step is None or reference.step_logits is None:
        return
    first = reference.step_logits[:, rows]
    (clip,) = clips.values()
    frames = np.ascontiguousarray(clip.swapaxes(0, 1))
    for engine in engines_of(bundle.step_files):
        runner = StepRunner(bundle, _options(engine), len(rows))
        logits = np.stack([runner.step(frame) for frame in frames])
        apart = [
            share(logits[: len(first)], first, in_spreads),
            share(logits[-1], expected, in_spreads),
        ]
        yield Difference(f"step program in {engine}, reference", float(np.max(apart)))


def share(ours: np.ndarray, expected: np.ndarray, in_spreads: bool = False) -> float:
    """The largest difference, as a share of the largest logit or of the logits' spread."""
    scale = np.ptp(expected) if in_spreads else np.abs(expected).max()
    return float(np.abs(ours - expected).max() / scale)


def _options(engine: EngineName) -> EngineOptions:
    return EngineOptions(device="cpu", engine=engine)
