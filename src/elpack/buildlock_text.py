"""The texts that making a build lock needs: the project that uv locks, and the lock in its final form."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.buildlock import FORMAT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.utils import NormalizedName

    from elpack.buildlock import BuildInputs
    from elpack.model import UvLock

PROJECT = "elpack-build-requirements"

_HEADER = """\
# Build requirements, recursively, of all that is built from source: PEP 751, pinned by sha256.
# Made by `elpack lock` from the sdists named below; do not edit. `elpack check` says when it is stale.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an sdist needs to be built. `dynamic` is what only its backend could tell (PEP 517).

    build_only: it is itself a build requirement of which there is no wheel.
    """

    sha256: str
    requires: tuple[str, ...]
    dynamic: tuple[str, ...] = ()
    build_only: bool = False


def project_text(requirements: Collection[str], inputs: BuildInputs, host: tuple[int, int]) -> str:
    """Return a pyproject.toml whose dependencies are the build requirements, limited to the targets.

    uv only locks for ranges of Python that include its own, the host's; the environments keep the rest out.
    """
    triples = [_parts(environment) for environment in inputs.environments]
    minors = {int(python.partition(".")[2]) for _, python, _ in triples} | {host[1]}
    environments = [
        f"python_full_version >= '{python}' and python_full_version < '{_next(python)}' and sys_platform == 'linux'"
        f" and implementation_name == '{implementation}' and platform_machine == '{arch}'"
        for implementation, python, arch in triples
    ]
    lines = [
        "[project]",
        f"name = {toml_string(PROJECT)}",
        'version = "0"',
        f'requires-python = ">=3.{min(minors)},<3.{max(minors) + 1}"',
        f"dependencies = {toml_array(sorted(requirements))}",
        "",
        "[tool.uv]",
        f"environments = {toml_array(environments)}",
        f"override-dependencies = {toml_array(inputs.overrides)}",
        "",
    ]
    return "\n".join(lines)


def lock_text(exported: str, lock: UvLock, inputs: BuildInputs, asked: Mapping[str, Asked]) -> str:
    """Return uv's export as the build lock: no index host in it, elpack's table behind it."""
    body = re.sub(r"^(#.*|index = .*)\n", "", exported, flags=re.MULTILINE).strip()
    edges = {
        dist.name: sorted({edge.name for edge in dist.requires} | _with_extras(lock, dist.name))
        for dist in lock.dists
        if dist.name != PROJECT
    }
    lines = [
        "[tool.elpack]",
        f"format = {FORMAT}",
        f"digest = {toml_string(inputs.digest())}",
        f"environments = {toml_array(inputs.environments)}",
        f"own = {toml_array(inputs.own)}",
        f"overrides = {toml_array(inputs.overrides)}",
        "",
        "[tool.elpack.requires]",
        *(f"{name} = {toml_array(names)}" for name, names in sorted(edges.items()) if names),
    ]
    for filename, needs in sorted(asked.items()):
        lines += ["", f"[tool.elpack.sdists.{toml_string(filename)}]", f"sha256 = {toml_string(needs.sha256)}"]
        lines += [f"requires = {toml_array(needs.requires)}", f"dynamic = {toml_array(needs.dynamic)}"]
        lines += ["build-only = true"] if needs.build_only else []
    return f"{_HEADER}{body}\n\n" + "\n".join(lines) + "\n"


def _with_extras(lock: UvLock, name: NormalizedName) -> set[NormalizedName]:
    """Return what the extras that anyone asks of a dist add to its requirements."""
    asked = {extra for dist in lock.dists for edge in dist.requires if edge.name == name for extra in edge.extras}
    found = (dist for dist in lock.dists if dist.name == name)
    return {edge.name for dist in found for extra in asked for edge in dist.optional.get(extra, ())} - {name}


def _parts(environment: str) -> tuple[str, str, str]:
    """Return implementation, version and architecture of an environment of the lock's inputs."""
    python, arch = environment.split()
    return ("pypy", python.removeprefix("pypy"), arch) if python.startswith("pypy") else ("cpython", python, arch)


def _next(python: str) -> str:
    major, _, minor = python.partition(".")
    return f"{major}.{int(minor) + 1}"


def toml_array(texts: Collection[str]) -> str:
    """Return an array of strings as TOML spells it, on several lines if it has several."""
    if len(texts) <= 1:
        return f"[{', '.join(map(toml_string, texts))}]"
    return "[\n" + "".join(f"    {toml_string(text)},\n" for text in texts) + "]"


def toml_string(text: str) -> str:
    """Return a string as TOML spells it."""
    # A JSON string without surrogate escapes is a TOML basic string, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
