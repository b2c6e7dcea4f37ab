"""`write_shards`: videos and their labels into tars, then the index; what was done is kept.

A tar has its name when it is whole, and its line in the record of finished ones (`RECORD_NAME`)
when it has its name. The index comes last, and the record goes. So a run that was stopped, however,
goes on where it was; until it has ended, nothing takes the folder for a data set.
"""

import hashlib
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.apps.shards.samples import ShardSample, ShardSource
from paddlevideo.apps.shards.tar_writer import LARGEST_MEMBER_BYTES, TarWriter
from paddlevideo.loader.dataset.class_folders import CLASSES_FILE
from paddlevideo.loader.shards.index import INDEX_NAME, Shard, parse_shard, write_index
from paddlevideo.loader.shards.tar_members import TarMember
from paddlevideo.utils.errors import ConfigError, DataError, SaveError
from paddlevideo.utils.files import append_lines, atomic_write, sync_folder, write_text
from paddlevideo.utils.limits import limit
from paddlevideo.utils.locks import FileLock
from paddlevideo.utils.progress import track
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.utils.text_files import read_json

logger = logging.getLogger(__name__)

RECORD_NAME = ".shards.partial.jsonl"
_LOCK_NAME = ".shards.lock"


@dataclass(frozen=True)
class ShardOptions:
    """How samples are laid into shards.

    Attributes:
        name: in front of the tars' numbers.
        most_bytes: of the videos in a tar; one alone may have more. None: any.
        most_samples: in a tar; None: any.
        seed: of the order; None: that of the source.
    """

    name: str = "train"
    most_bytes: int | None = 256_000_000
    most_samples: int | None = None
    seed: int | None = 0


@dataclass(frozen=True)
class WrittenShards:
    """What there is now.

    Attributes:
        shards: all of them.
        num_new: how many of them this call made.
    """

    shards: Sequence[Shard]
    num_new: int


def write_shards(source: ShardSource, output: Path, options: ShardOptions) -> WrittenShards:
    """Write the samples into tars ``NAME-000000.tar`` ... and the index; go on where it was.

    Raises:
        ConfigError: the folder holds other shards, or another process writes them.
        DataError: a video is missing, too large, or changed meanwhile.
        SaveError: something cannot be written.
    """
    plan = _Plan(source, options)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / _LOCK_NAME, "is writing shards into this folder"):
            return _write(plan, source, output)
    except OSError as error:
        raise SaveError(
            f"{error.filename or output} cannot be written: {error.strerror}; what is finished "
            "stays, and the same command goes on"
        ) from None


class _Plan:
    """Which samples come into which tar, and a digest of all of it."""

    def __init__(self, source: ShardSource, options: ShardOptions) -> None:
        samples = list(source.samples)
        sizes = _sizes(samples)
        order = list(range(len(samples)))
        if options.seed is not None:
            order = generator(options.seed, Stream.ORDER, 0).permutation(len(samples)).tolist()
        self.parts: list[list[tuple[ShardSample, int]]] = []
        held = 0
        for index in order:
            size = sizes[index]
            is_full = bool(self.parts) and len(self.parts[-1]) == options.most_samples
            if options.most_bytes is not None and held + size > options.most_bytes:
                is_full = True
            if is_full or not self.parts:
                self.parts.append([])
                held = 0
            self.parts[-1].append((samples[index], size))
            held += size
        self.files = [f"{options.name}-{number:06d}.tar" for number in range(len(self.parts))]
        digest = hashlib.sha256()
        for file, part in zip(self.files, self.parts, strict=True):
            for each, _ in part:
                content = (file, each.media.key, each.label, each.name)
                digest.update(repr(content).encode("utf-8", "surrogateescape"))
        self.digest = digest.hexdigest()


def _sizes(samples: Sequence[ShardSample]) -> list[int]:
    sizes: list[int] = []
    missing: list[str] = []
    for sample in samples:
        try:
            sizes.append(sample.media.num_bytes)
        except OSError:
            missing.append(sample.media.name)
            continue
        if sizes[-1] > LARGEST_MEMBER_BYTES:
            raise DataError(f"{sample.media.name}: has {sizes[-1]} bytes; a tar holds up to 8 GiB")
    if missing:
        raise DataError(
            f"{len(missing)} of {len(samples)} videos are not there, {missing[0]} the first; "
            "mend the list or --prefix"
        )
    return sizes


def _write(plan: _Plan, source: ShardSource, output: Path) -> WrittenShards:
    index, record = output / INDEX_NAME, output / RECORD_NAME
    if index.exists():
        return WrittenShards(_finished(plan, index), 0)
    done = _begun(plan, output, record)
    for stray in output.glob(".*.tar.*.tmp"):  # of a process that was killed; we have the lock
        stray.unlink(missing_ok=True)
    num_old, number = len(done), sum(map(len, done))
    waiting = plan.parts[num_old:]
    total = sum(map(len, waiting))
    samples = track(itertools.chain.from_iterable(waiting), total, f"shards {output}")
    for file, part in zip(plan.files[num_old:], waiting, strict=True):
        shard = Shard(file)
        with atomic_write(output / file) as tar:
            writer = TarWriter(tar)
            for sample, size in itertools.islice(samples, len(part)):
                _add(writer, shard, sample, number, size)
                number += 1
            shard.num_bytes = writer.finish()
        sync_folder(output)
        append_lines(record, json.dumps(shard.as_dict()).encode() + b"\n")
        done.append(shard)
    if source.class_names is not None:
        write_text(output / CLASSES_FILE, "".join(f"{name}\n" for name in source.class_names))
    write_index(index, done, plan.digest)
    record.unlink(missing_ok=True)
    return WrittenShards(done, len(waiting))


def _finished(plan: _Plan, index: Path) -> list[Shard]:
    content = read_json(index, f"index {index}", DataError, "shard_index_bytes")
    if not isinstance(content, dict) or content.get("made_from") != plan.digest:
        raise ConfigError(
            f"{index} exists, of other samples or sizes; shards are not written over: name another "
            "folder, or remove it"
        )
    return [parse_shard(each, f"{index}: shard") for each in content["shards"]]


def _begun(plan: _Plan, output: Path, record: Path) -> list[Shard]:
    """The tars that an earlier call finished; begins the record if there is none."""
    there = {path.name for path in output.glob("*.tar")}
    lines = _whole_lines(record) if record.exists() else iter(())
    head = next(lines, None)
    if head is None:
        if there:
            raise ConfigError(
                f"{output} holds {min(there)} and no index; name an empty folder, or remove it"
            )
        append_lines(record, json.dumps({"made_from": plan.digest}).encode() + b"\n")
        return []
    if head.get("made_from") != plan.digest or not there <= set(plan.files):
        raise ConfigError(
            f"{output} holds the beginning of shards of other samples or sizes; name another "
            "folder, or remove it"
        )
    done: list[Shard] = []
    for content, file in zip(lines, plan.files, strict=False):
        shard = parse_shard(content, str(record))
        path = output / file
        if shard.file != file or not path.is_file() or path.stat().st_size != shard.num_bytes:
            raise ConfigError(
                f"{path}: is not as it was written ({record.name}); remove {output}, and begin anew"
            )
        done.append(shard)
    logger.info("%s: goes on behind %d of %d shards", output, len(done), len(plan.files))
    return done


def _whole_lines(record: Path) -> Iterator[dict[str, object]]:
    """The objects of the record; half a line, and what follows it, was never finished."""
    with record.open("rb") as file:
        content = file.read(int(limit("shard_index_bytes")))
    for line in content.splitlines(keepends=True):
        try:
            value = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        yield value


def _add(writer: TarWriter, shard: Shard, sample: ShardSample, number: int, size: int) -> None:
    key = f"{number:09d}"
    name = f"{key}.{sample.ending}"
    try:
        video = sample.media.open()
    except OSError as error:
        raise DataError(f"{sample.media.name}: cannot be read: {error.strerror}") from None
    with video:
        try:
            offset, digest = writer.add(name, video, size)
        except EOFError:
            raise DataError(
                f"{sample.media.name}: its size changed while it was read; run the command again"
            ) from None
    label = json.dumps({"label": sample.label, "name": sample.name}, ensure_ascii=False)
    writer.add_bytes(f"{key}.json", label.encode())
    shard.add(TarMember(name, offset, size), sample.label, sample.name, digest)
