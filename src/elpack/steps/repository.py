"""The dnf repository that customers see, its .repo file, and debug packages and source RPMs beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from elpack.steps.exchange import link_or_copy
from elpack.steps.results import debug_packages
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from elpack.plan.model import NodeId, Plan
    from elpack.steps.results import Result

_REPO_FILE = """\
# {title}. Put this file into /etc/yum.repos.d/{where}.
[{id}]
name={title}
baseurl={url}/repo
enabled=1
{checks}"""

_DEBUG_SECTION = """
# Debug symbols and sources of what was compiled, for gdb: dnf debuginfo-install {id}
[{id}-debuginfo]
name={title}, debug packages
baseurl={url}/debug
enabled=0
{checks}"""

_SIGNED = """\
gpgcheck=1
repo_gpgcheck=1
gpgkey={url}/{key}
"""

_UNSIGNED = """\
# UNSIGNED! Whoever controls the server, or the way to it, decides what is installed as root. `elpack sign` signs it.
gpgcheck=0
repo_gpgcheck=0
"""

_THROWAWAY = """\
# A SNAPSHOT, signed by a THROWAWAY key that nobody should trust. Only for trying it out.
"""


class Seal(Protocol):
    """Signs a repository."""

    @property
    def throwaway(self) -> bool:
        """Tell whether the signatures mean nothing beyond this machine."""
        ...

    def public_keys(self) -> str:
        """Return the keys that customers are to trust."""
        ...

    def metadata(self, path: Path) -> Path:
        """Write the signature of a repository's repomd.xml beside it."""
        ...


@dataclass(frozen=True, slots=True)
class Packages:
    """What is handed over: RPMs for customers and for debuggers, source RPMs, and what build roots need."""

    rpms: tuple[Path, ...]
    debug: tuple[Path, ...] = ()
    srpms: tuple[Path, ...] = ()
    buildroot: tuple[Path, ...] = ()

    def every(self) -> tuple[Path, ...]:
        """Return all files, each once."""
        return tuple(dict.fromkeys((*self.rpms, *self.debug, *self.srpms, *self.buildroot)))

    def instead(self, copies: Mapping[Path, Path]) -> Packages:
        """Return the same with copies in the files' place."""
        return Packages(*(tuple(copies[path] for path in paths) for paths in self._parts()))

    def for_installation(self) -> Packages:
        """Return what a host may install."""
        return replace(self, debug=(), srpms=(), buildroot=())

    def places(self) -> dict[str, tuple[Path, ...]]:
        """Return the files by the name of their folder."""
        return dict(zip(("repo", "debug", "srpms", "buildroot"), self._parts(), strict=True))

    def _parts(self) -> tuple[tuple[Path, ...], ...]:
        return (self.rpms, self.debug, self.srpms, self.buildroot)


@dataclass(frozen=True, slots=True)
class About:
    """What the .repo file says: dnf's id, a title for people, and the URL of the folder that holds repo/ and debug/.

    release names the file of public keys. served: the URL is where customers reach it, not a folder of this machine.
    """

    id: str
    release: str
    title: str
    url: str
    served: bool = False

    @property
    def key_file(self) -> str:
        """The name of the file of public keys."""
        return f"RPM-GPG-KEY-{self.release}"


def packages_of(plan: Plan, results: Mapping[NodeId, Result]) -> Packages:
    """Return what is handed over of a finished build."""
    nodes = plan.by_node()
    delivered = {package.node for package in plan.published()}
    ordered = [result for _, result in sorted(results.items())]
    tools = [result for result in ordered if result.node not in delivered]
    return Packages(
        rpms=tuple(path for result in ordered if result.node in delivered for path in result.rpms),
        debug=tuple(debug_packages(results)),
        # of a bundle's parts as well: they are its source
        srpms=tuple(result.srpm for result in ordered if nodes[result.node].role.at_run_time),
        buildroot=tuple(path for result in tools for path in (*result.rpms, result.srpm)),
    )


def publish(packages: Packages, into: Path, about: About, seal: Seal | None = None) -> None:
    """Lay out repositories, source RPMs, .repo file and public keys in the folder `into`, signed unless seal is None.

    Debug packages get a repository of their own, which is there only if there are any. The packages of `buildroot`
    are for rebuilding the source RPMs, not for hosts. The packages themselves are signed by the caller.
    """
    _repository(packages.rpms, into / "repo", seal)
    if packages.debug:
        _repository(packages.debug, into / "debug", seal)
    if packages.srpms:
        _place(packages.srpms, into / "srpms")
    if packages.buildroot:
        _repository(packages.buildroot, into / "buildroot", seal)
    if seal:
        (into / about.key_file).write_text(seal.public_keys())
    (into / f"{about.id}.repo").write_text(
        repo_file(about, signed=bool(seal), throwaway=bool(seal and seal.throwaway), debug=bool(packages.debug))
    )


def repo_file(about: About, *, signed: bool, throwaway: bool, debug: bool) -> str:
    """Return what customers put into /etc/yum.repos.d."""
    checks = _SIGNED.format(url=about.url, key=about.key_file) if signed else _UNSIGNED
    values = {
        "id": about.id,
        "title": about.title,
        "url": about.url,
        "checks": checks,
        "where": "" if about.served else ", and set baseurl and gpgkey to where the folder is served",
    }
    text = _REPO_FILE.format(**values) + (_DEBUG_SECTION.format(**values) if debug else "")
    return (_THROWAWAY if throwaway else "") + text


def _repository(files: Iterable[Path], folder: Path, seal: Seal | None) -> None:
    """Make a dnf repository of the files."""
    _place(files, folder)
    create_repository(folder)
    if seal:
        seal.metadata(folder / "repodata" / "repomd.xml")


def _place(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in files:
        link_or_copy(path, folder / path.name)
