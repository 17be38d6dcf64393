"""What an application's lock selects for one target, as PEP 751 says it (pylock.toml), for other tools. Pure."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from elpack.buildlock_text import toml_array, toml_string

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.utils import NormalizedName

    from elpack.model import RemoteFile, SelectedDist, Sha256, Target

_HEADER = """\
# {title} for {target}, as its own lock (sha256 {lock}) has it.
# Made by `elpack export`; do not edit.
lock-version = "1.0"
environments = {environments}
requires-python = {python}
created-by = "elpack"
"""


def pylock_text(  # noqa: PLR0917 - what a lock file is made of
    title: str,
    lock: str,
    target: Target,
    dists: Collection[SelectedDist],
    from_source: Collection[NormalizedName],
    local: Mapping[Sha256, str],
) -> str:
    """Return the lock file. Nothing is resolved; equal input gives equal text.

    title: name and version of the application; lock: sha256 of its lock. from_source: dists that only their sdists are
    named of. local: the paths of sdists that no index serves.
    """
    major, _, minor = target.python.partition(".")
    after = f"{major}.{int(minor) + 1}"
    environment = (
        f"python_full_version >= '{target.python}' and python_full_version < '{after}'"
        f" and implementation_name == 'cpython' and sys_platform == 'linux' and platform_machine == '{target.arch}'"
    )
    head = _HEADER.format(
        title=title,
        target=target,
        lock=lock,
        environments=toml_array([environment]),
        python=toml_string(f">={target.python},<{after}"),
    )
    packages = ("\n".join(_package(dist, from_source, local)) for dist in sorted(dists, key=lambda dist: dist.name))
    return "\n".join((head, *packages))


def _package(dist: SelectedDist, from_source: Collection[NormalizedName], local: Mapping[Sha256, str]) -> Iterator[str]:
    yield "[[packages]]"
    yield f"name = {toml_string(dist.name)}"
    yield f"version = {toml_string(str(dist.version))}"
    if dist.requires:
        yield "dependencies = [" + ", ".join(f"{{ name = {toml_string(name)} }}" for name in dist.requires) + "]"
    if dist.sdist:
        yield f"sdist = {_file(dist.sdist, local)}"
    if dist.wheels and not (dist.sdist and dist.name in from_source):
        yield "wheels = ["
        yield from (f"    {_file(wheel, local)}," for wheel in dist.wheels)
        yield "]"
    yield ""


def _file(file: RemoteFile, local: Mapping[Sha256, str]) -> str:
    where = ("url", file.url) if file.url else ("path", local[file.sha256])
    fields = [f"name = {toml_string(file.filename)}", f"{where[0]} = {toml_string(where[1])}"]
    if file.uploaded is not None:
        fields.append(f"upload-time = {dt.datetime.fromtimestamp(file.uploaded, dt.UTC):%Y-%m-%dT%H:%M:%SZ}")
    if file.size is not None:
        fields.append(f"size = {file.size}")
    fields.append(f"hashes = {{ sha256 = {toml_string(file.sha256)} }}")
    return f"{{ {', '.join(fields)} }}"
