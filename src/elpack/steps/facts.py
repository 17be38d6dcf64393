"""What the chosen archives hold, read on both cores, and kept by digest so that it is read once."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from elpack.archives import read_sdist, read_wheel
from elpack.archives.carried import known_digest
from elpack.atomic import write_text
from elpack.errors import ArchiveError
from elpack.model import (
    ArchivedFile,
    BuildTool,
    Carried,
    CoreMetadata,
    EntryPoint,
    MachineCode,
    SdistFacts,
    Trace,
    WheelFacts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from elpack.model import RemoteFile

FORMAT = f"10-{known_digest()}"
"""Raise it when facts are read in another way than before."""


def read_facts(
    files: Sequence[RemoteFile],
    paths: Mapping[str, Path],
    cache: Path,
    notice: Callable[[str], None] = lambda _: None,
) -> dict[str, WheelFacts | SdistFacts]:
    """Return the facts of each file by its sha256. `notice` is told of damage in the cache, which is mended.

    Raises `ArchiveError` with the problems of all files.
    """
    folder = cache / FORMAT
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {file.sha256: file for file in files}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(_one, file, paths[file.sha256], folder, notice) for file in wanted.values()]
        try:
            results = [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    problems = [problem for result in results if isinstance(result, ArchiveError) for problem in result.problems]
    if problems:
        raise ArchiveError(*problems)
    return {facts.sha256: facts for facts in results if not isinstance(facts, ArchiveError)}


def _one(
    file: RemoteFile, path: Path, folder: Path, notice: Callable[[str], None]
) -> WheelFacts | SdistFacts | ArchiveError:
    cached = folder / f"{file.sha256}.json"
    if (known := _cached(cached, notice)) is not None:
        return known
    try:
        read = read_wheel if file.filename.endswith(".whl") else read_sdist
        facts = read(path, file.sha256)
    except ArchiveError as error:
        return error
    text = json.dumps({"kind": type(facts).__name__, **asdict(facts)})
    write_text(cached, f"{_digest(text)}\n{text}")
    return facts


def _cached(path: Path, notice: Callable[[str], None]) -> WheelFacts | SdistFacts | None:
    """Return what the cache holds, None when it holds nothing that is as it was written."""
    try:
        digest, _, text = path.read_bytes().decode(errors="replace").partition("\n")
    except FileNotFoundError:
        return None
    if digest == _digest(text):
        return _decode(json.loads(text))
    notice(f"{path}: what was read before is damaged, and is read again")
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _decode(values: dict[str, Any]) -> WheelFacts | SdistFacts:
    kind = values.pop("kind")
    metadata = CoreMetadata(**{key: _frozen(value) for key, value in values.pop("metadata").items()})
    for key in ("console_scripts", "gui_scripts", "scripts"):
        if key in values:
            values[key] = tuple(EntryPoint(**entry) for entry in values[key])
    if kind == "SdistFacts":
        values["tools"] = tuple(BuildTool(**tool) for tool in values["tools"])
        return SdistFacts(metadata=metadata, **{key: _frozen(value) for key, value in values.items()})
    values["files"] = tuple(ArchivedFile(**file) for file in values["files"])
    values["carried"] = tuple(Carried(**{**one, "trace": Trace(one["trace"])}) for one in values["carried"])
    values["code"] = tuple(MachineCode(**one) for one in values["code"])
    return WheelFacts(metadata=metadata, **values)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
