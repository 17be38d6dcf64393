"""Where a cross compiler comes from: a real EL's repositories, or Debian's packages, repacked as the stand-in is."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

from elpack.builders import Repository
from elpack.errors import PrivilegeError, Problem
from elpack.run import Command, run
from elpack.standin.mapping import parse_mapping
from elpack.standin.partition import Kind, partition
from elpack.standin.specfile import render_list, render_spec

# The stand-in's own code is part of what its folder is named after, so it stays where and as it is.
from elpack.steps.standin import (
    _alone,
    _createrepo,
    _debian_name,
    _failures,
    _fetched,
    _is_done,
    _Making,
    _need_tools,
    _part,
    _rpmbuild,
)
from elpack.steps.standin_fetch import DEBS
from elpack.steps.standin_tree import remove_tree, set_times, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from elpack.cross.toolchain import Toolchain
    from elpack.model import Target
    from elpack.run import Runner
    from elpack.standin.mapping import StandinMapping
    from elpack.standin.partition import Node
    from elpack.steps.standin import Progress
    from elpack.steps.standin_fetch import Fetched

_ID = "standin-cross"
_FORMAT = "1"
"""Raise it when the repository is made in another way than before."""


def cross_repositories(
    chain: Toolchain, home: Target, work: Path, runner: Runner = run, progress: Progress | None = None
) -> tuple[Repository, ...]:
    """Return the repositories of the cross compiler that runs on `home`; a stand-in's is made in `work` if need be.

    work: the folder that holds the stand-ins. Raises what `build_standin` raises.
    """
    if not home.standin:
        return tuple(Repository(one.id, one.url, gpgkey=one.gpgkey) for one in chain.repositories)
    return (Repository(_ID, str(_standin_cross(chain, home, work, runner, progress or (lambda _: None)))),)


def cross_folder(chain: Toolchain, home: Target, work: Path) -> Path:
    """Return where the stand-in's cross compiler is, or would be once made."""
    facts = repr((_FORMAT, home.arch, home.dist_tag, home.el, home.glibc)).encode()
    digest = hashlib.sha256(facts + _data(chain).encode()).hexdigest()[:16]
    return work / f"{home.name}-cross-{chain.arch}-{home.arch}-{digest}"


def _data(chain: Toolchain) -> str:
    return resources.files("elpack.cross").joinpath(f"{chain.arch}.toml").read_text(encoding="utf-8")


def _standin_cross(chain: Toolchain, home: Target, work: Path, runner: Runner, progress: Progress) -> Path:
    final = cross_folder(chain, home, work)
    if _is_done(final):
        return final
    if os.geteuid() != 0:
        fix = "run the same command with sudo, once"
        raise PrivilegeError(Problem("packing the stand-in's cross compiler needs root", fix=fix))
    _need_tools(runner)
    mapping = parse_mapping(_data(chain))
    making = _Making(home, mapping, work / _debian_name(home, mapping), runner, progress)
    with _failures(), _alone(work):
        if not _is_done(final):
            fetched = _fetched(making)
            with _part(work) as part:
                repository = _repack(making, fetched, part)
                shutil.copy(making.debian / DEBS, repository / DEBS)
                remove_tree(final)
                repository.rename(final)
    return final


def _repack(making: _Making, fetched: Fetched, part: Path) -> Path:
    """Return the finished repository, still inside `part`: what the mapping names, and nothing that it needs."""
    making.tell("packing the cross compiler")
    mapping = making.mapping
    names = mapping.rpm_of()
    fetched = replace(fetched, debs=tuple(deb for deb in fetched.debs if deb.name in names))
    stage, lists, repository = part / "stage", part / "lists", part / "repository"
    making.runner(Command(("cp", "-al", str(fetched.tree), str(stage)))).check()
    ours = {}
    for link in mapping.links:
        (stage / link.path[1:]).symlink_to(link.to)
        ours[link.path] = (link.rpm, link.to)
    nodes = _own(walk(stage, mapping), fetched, mapping)
    rpms = partition(fetched.debs, mapping, nodes, ours, making.target.dist_tag)
    lists.mkdir()
    for rpm in rpms:
        (lists / f"{rpm.name}.list").write_text(render_list(rpm.nodes))
    spec = part / "elpack-standin-cross.spec"
    spec.write_text(render_spec(rpms, lists, making.target.dist_tag))
    set_times(stage, fetched.epoch)
    _rpmbuild(making, spec, stage, repository, fetched.epoch)
    _createrepo(making, repository, fetched.epoch)
    return repository


def _own(nodes: Iterator[Node], fetched: Fetched, mapping: StandinMapping) -> Iterator[Node]:
    """Yield the files and links of the named packages, and the folders that no other package could have, too."""
    paths = {path for deb in fetched.debs for path in deb.paths} | {link.path for link in mapping.links}
    for node in nodes:
        if node.path in paths and (node.kind is not Kind.FOLDER or node.path.startswith("/usr/lib/gcc-cross")):
            yield node
