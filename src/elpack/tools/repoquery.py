"""Asks repositories' metadata which Python dists they ship, with the host's dnf and nothing of the host's own state."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from elpack.errors import FetchError, Problem, RepositoryError
from elpack.naming import dist_name, rpm_name
from elpack.run import CLEAN_ENV, Command, run
from elpack.targets.shipped import Shipped
from elpack.tools.dnf import Dnf, configuration, explain, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from elpack.builders import Repository
    from elpack.run import Runner

_MARK = "\x1f"
_FORM = f"{_MARK}%{{reponame}}{_MARK}%{{name}}\n%{{provides}}"
_LONGEST_REPOMD = 1_000_000
# The two places where repomd.xml has a time, in seconds. dnf has parsed the file before; a pattern cannot be bombed.
_TIMES = re.compile(rb"<(?:\w+:)?(?:revision|timestamp)>(\d{1,12})(?:\.\d+)?</")
_YEARS = range(2000, 2100)
"""What a repository's time may say; elpack's own repositories have revision 0."""


@dataclass(frozen=True, slots=True)
class Repoquery:
    """dnf's questions to these repositories, as a host of that architecture and release sees them.

    work: a folder of this object's own; it gets dnf's configuration, cache, log and an empty root.
    """

    repositories: tuple[Repository, ...]
    arch: str
    releasever: str
    work: Path
    runner: Runner = run

    def dists(self, python: str, enabled: Iterable[str]) -> Mapping[NormalizedName, Shipped]:
        """Return the dists that provide ``python3.12dist(…)``, each in its newest RPM, sorted by name.

        A dist in several repositories counts for one that is enabled. Raises `FetchError` when a repository
        cannot be read, and `RepositoryError` for names that no RPM or dist can have.
        """
        command = self._command("--whatprovides", f"python{python}dist(*)", "--queryformat", _FORM)
        done = self.runner(command)
        if done.returncode != 0:
            ended = f"dnf ended with {done.returncode}"
            raise explain(done.stderr, ended, f"to see it again: {command}", RepositoryError, "")
        switched_on = frozenset(enabled)
        found: dict[NormalizedName, Shipped] = {}
        try:
            for one in _parse(done.stdout, python, switched_on):
                found[one.dist] = max(one, found.get(one.dist, one), key=_preference)
        except ValueError as error:
            raise RepositoryError(Problem(f"a repository cannot be trusted: {error}")) from error
        return dict(sorted(found.items()))

    def dates(self) -> dict[str, dt.date]:
        """Return the day of each repository's metadata by its id, once `dists` has read it.

        Raises `RepositoryError` where the metadata has no time.
        """
        dnf = Dnf(self.repositories, self.arch, self.releasever, self.work)
        return {one.id: _date(one.id, dnf.repomd(one)) for one in self.repositories}

    def _command(self, *arguments: str) -> Command:
        config, home, root = self.work / "dnf.conf", self.work / "home", self.work / "root"
        for folder in (home, root):
            folder.mkdir(parents=True, exist_ok=True)
        config.write_text(configuration(self.repositories), encoding="utf-8")
        return Command(
            (
                *(program(), "--quiet", "--config", str(config), "--installroot", str(root)),
                *("--releasever", self.releasever, "--forcearch", self.arch),
                f"--setopt=cachedir={self.work / 'cache'}",
                *("repoquery", "--latest-limit", "1", *arguments),
            ),
            env={**CLEAN_ENV, "HOME": str(home)},
        )


def _preference(one: Shipped) -> tuple[bool, Version, str]:
    return one.enabled, one.version or Version("0"), one.rpm


def _parse(text: str, python: str, enabled: frozenset[str]) -> Iterator[Shipped]:
    """Yield what the blocks of dnf's answer provide; what belongs to another Python or to an extra is left out."""
    offer = re.compile(rf"python{re.escape(python)}dist\(([^)\[]+)\)(?: = (\S+))?\Z")
    for block in re.findall(rf"{_MARK}([^{_MARK}]*{_MARK}[^{_MARK}]*)", text):
        head, *provides = block.splitlines()
        repository, _, name = head.partition(_MARK)
        for match in filter(None, map(offer.match, provides)):
            yield Shipped(
                dist=dist_name(match[1]),
                rpm=rpm_name(name),
                repository=repository,
                version=_upstream(match[2]),
                enabled=repository in enabled,
            )


def _upstream(text: str | None) -> Version | None:
    """Return the PEP 440 version that rpm's generator spelled so, or None when it cannot be told.

    The generator writes ``1.0~rc1``, ``1.0~~dev2`` and ``1.0^post1`` and drops zeros at the end.
    """
    try:
        return Version((text or "").replace("~", "").replace("^", "."))
    except InvalidVersion:
        return None


def _date(name: str, repomd: Path | None) -> dt.date:
    if repomd is None or not repomd.is_file():
        raise FetchError(Problem("its metadata was not read yet", where=name))
    with repomd.open("rb") as file:
        times = [int(match) for match in _TIMES.findall(file.read(_LONGEST_REPOMD))]
    known = [time for time in times if _start(_YEARS.start) <= time < _start(_YEARS.stop)]
    if not known:
        raise RepositoryError(Problem("repomd.xml does not tell when it was made", where=name))
    return dt.datetime.fromtimestamp(max(known), dt.UTC).date()


def _start(year: int) -> float:
    return dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp()
