"""Installs into a root, and removes from it, with the host's dnf and without the host's configuration."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_text
from elpack.errors import DiskFullError, ElpackError, FetchError, InstallError, PrivilegeError, Problem
from elpack.run import CLEAN_ENV, Command, run
from elpack.tools.gpg import end_agent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from elpack.builders import Repository
    from elpack.run import Runner

_PROGRAMS = ("dnf4", "dnf-3", "dnf")  # Fedora's `dnf` is dnf5, whose options differ; all know dnf4 by another name
_DISK_FULL = re.compile(r"No space left on device|more space needed on the")
_UNREACHABLE = re.compile(r"Failed to download metadata|Cannot download|Curl error|No more mirrors|Status code: \d")
_BAD_SIGNATURES = (
    (
        re.compile(r"repomd\.xml GPG signature verification error|Bad GPG signature"),
        "repomd.xml was changed after it was signed, or gpgkey has not the key that signed it, or one of both expired",
        "elpack sign --metadata renews an expired signature; else make the repository again",
    ),
    (
        re.compile(r"GPG signature is not available"),
        "the repository's metadata is not signed, and repo_gpgcheck=1 asks for it",
        "elpack sign",
    ),
    (
        re.compile(r"Failed to retrieve GPG key|GPG key retrieval failed|Couldn't open file .*RPM-GPG-KEY"),
        "there is no key where gpgkey says",
        "put RPM-GPG-KEY-<release> there, or set gpgkey",
    ),
    (
        re.compile(r"Package \S+ is not signed"),
        "the repository holds a package that was not signed with the others",
        "elpack sign, or make the repository again",
    ),
    (
        re.compile(
            r"[Pp]ublic key for \S+ is not installed|GPG check FAILED|is not signed|public key is not installed"
            r"|does not verify|Header .* Signature, key ID \w+: (?:BAD|NOKEY|NOTTRUSTED)"
        ),
        "the repository's gpgkey is not set, or is not the one that signed its packages",
        "",
    ),
    (
        re.compile(r"incorrect checksum|[Cc]hecksum doesn't match|does not match intended download|Checksum error"),
        "the file is not the one that the repository's metadata lists: it was changed or replaced",
        "make the repository again; dnf clean all if an old file was in dnf's cache",
    ),
)
"""What dnf says of signatures and digests: pattern, likely cause, what to do. The first that is found counts."""
_NO_MATCH = re.compile(r"No match for argument: (.+?)\s*$|No matching package to install: '(.+?)'\s*$", re.MULTILINE)
_NO_PROVIDER = re.compile(r"nothing provides (.+?) needed by (\S+)")
_CHANGED = re.compile(r"^(?:Installed|Upgraded|Removed):\n((?:  .+\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Transaction:
    """What dnf did: its whole output with the transaction table, and the packages that came or went (NEVRA)."""

    text: str
    packages: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Dnf:
    """dnf on the host, working on roots for one target.

    work holds its configuration, its HOME and one cache of metadata and packages that all roots share;
    dnf's own locks make that safe. failure is the class of error for a transaction that dnf refuses. epoch: what
    scriptlets are told of the time by SOURCE_DATE_EPOCH, in seconds since 1970. scriptlets: whether any run at all; not
    where the root is for reading only.
    """

    repositories: tuple[Repository, ...]
    arch: str
    releasever: str
    work: Path
    failure: type[ElpackError] = InstallError
    runner: Runner = run
    epoch: int | None = None
    scriptlets: bool = True

    def install(
        self, root: Path, packages: Iterable[str], log: Path, where: str = "", *, docs: bool = False
    ) -> Transaction:
        """Install packages or anything that a Requires may say, maybe with their documentation.

        `where` names the culprit in an error.
        """
        flags = [*(() if docs else ("nodocs",)), *(() if self.scriptlets else ("noscripts",))]
        options = () if flags == ["nodocs"] else (f"--setopt=tsflags={','.join(flags)}",)
        return self._transact(root, (*options, "install", *packages), log, where)

    def remove(self, root: Path, packages: Iterable[str], log: Path, where: str = "") -> Transaction:
        """Remove packages, and what was installed for their sake only."""
        return self._transact(root, ("remove", *packages), log, where)

    def refresh(self, log: Path) -> None:
        """Fetch the metadata of all repositories, so that `repomd` can be asked."""
        scratch = self.work / "no-root"
        self._transact(scratch, ("makecache",), log, "")

    def repomd(self, repository: Repository) -> Path | None:
        """Return the repository's repomd.xml: its own for a folder, the newest cached one for a URL."""
        if is_folder(repository):
            return folder(repository) / "repodata" / "repomd.xml"
        digest = "[0-9a-f]" * 16  # so that the cache of epel is not that of epel-testing
        cached = self.work.joinpath("cache").glob(f"{repository.id}-{digest}/repodata/repomd.xml")
        return max(cached, key=lambda path: path.stat().st_mtime, default=None)

    def forget(self, repositories: Iterable[Repository]) -> None:
        """Drop what the cache holds about folders that will not be seen again."""
        for repository in filter(is_folder, repositories):
            # libdnf's name for it: the id and the digest of the first URL
            digest = hashlib.sha256(_url(repository).encode()).hexdigest()[:16]
            shutil.rmtree(self.work / "cache" / f"{repository.id}-{digest}", ignore_errors=True)
        self._config().unlink(missing_ok=True)

    def command(self, root: Path, arguments: tuple[str, ...], log: Path | None = None) -> Command:
        """Return the command that runs dnf on the root, after writing the files that it needs.

        bubblewrap lends the root /dev and /proc for scriptlets, in a mount namespace that dies with dnf.
        dnf resolves its cachedir against the installroot, and libdnf against the working folder: a relative
        path out of the root is the same for both when the root is the working folder.
        """
        config, home = self._write_files()
        return Command(
            (
                *("bwrap", "--die-with-parent", "--dev-bind", "/", "/"),
                *("--dev", str(root / "dev"), "--proc", str(root / "proc"), "--chdir", str(root), "--"),
                *(program(), "--config", str(config), "--installroot", str(root)),
                *("--releasever", self.releasever, "--forcearch", self.arch),
                f"--setopt=cachedir={os.path.relpath(self.work / 'cache', root)}",
                *arguments,
            ),
            env={**CLEAN_ENV, "HOME": str(home), **self._time()},
            log=log,
        )

    def _time(self) -> dict[str, str]:
        return {} if self.epoch is None else {"SOURCE_DATE_EPOCH": str(self.epoch)}

    def _transact(self, root: Path, arguments: tuple[str, ...], log: Path, where: str) -> Transaction:
        if os.geteuid() != 0:
            raise PrivilegeError(Problem("dnf can fill a root only as root", fix="run the same command with sudo"))
        root.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        start = log.stat().st_size if log.exists() else 0
        try:
            completed = self.runner(self.command(root, arguments, log))
        finally:
            self._end_agents(root)
        text = _read_from(log, start)
        if completed.returncode != 0:
            ended = f"dnf ended with {completed.returncode}"
            raise explain(text, ended, f"to see it again: {completed.command}", self.failure, where or str(log))
        packages = [name for block in _CHANGED.findall(text) for name in block.split()]
        return Transaction(text, tuple(sorted(packages)), completed.seconds)

    def _end_agents(self, root: Path) -> None:
        """End the gpg-agents that checking a repository's signature leaves behind, one for each folder of keys."""
        if any(repository.gpgkey and is_folder(repository) for repository in self.repositories):
            for keys in self.work.glob("cache/*/pubring"):
                # as libdnf spells it: an agent's socket may lie elsewhere, under a name made of this very text
                home = f"{root}/{os.path.relpath(self.work, root)}/{keys.relative_to(self.work)}"
                end_agent(home, self.runner)

    def _write_files(self) -> tuple[Path, Path]:
        home = self.work / "home"
        home.mkdir(parents=True, exist_ok=True)
        # Debian's rpm keeps its database in ~/.rpmdb; rpm inside the root looks in /var/lib/rpm
        _write(home / ".rpmmacros", "%_dbpath /var/lib/rpm\n")
        config = self._config()
        _write(config, configuration(self.repositories))
        return config, home

    def _config(self) -> Path:
        text = configuration(self.repositories)
        return self.work / f"dnf-{hashlib.sha256(text.encode()).hexdigest()[:12]}.conf"


def configuration(repositories: Iterable[Repository]) -> str:
    """Return dnf's configuration: these repositories, and nothing of the host's."""
    main = """\
[main]
reposdir=/dev/null
varsdir=/dev/null
plugins=0
assumeyes=1
best=1
install_weak_deps=0
tsflags=nodocs
module_platform_id=platform:el9
protected_packages=
keepcache=1
zchunk=0
color=never
gpgcheck=1
"""
    return main + "".join(section(repository) for repository in repositories)


def section(repository: Repository) -> str:
    """Return a repository's part of dnf's configuration, with a blank line before it."""
    lines = [f"[{repository.id}]", f"name={repository.id}", f"priority={repository.priority}"]
    if is_folder(repository):
        # looked at anew each time; without a key it was made on this machine a moment ago, and is not signed
        checks = (
            ["gpgcheck=1", "repo_gpgcheck=1", f"gpgkey={repository.gpgkey}"] if repository.gpgkey else ["gpgcheck=0"]
        )
        lines += [f"baseurl={_url(repository)}", *checks, "metadata_expire=0"]
    else:
        lines += [f"baseurl={repository.location}", "metadata_expire=6h"]
        lines += [f"gpgkey={repository.gpgkey}"] if repository.gpgkey else []
    return "\n" + "\n".join(lines) + "\n"


def is_folder(repository: Repository) -> bool:
    """Tell a folder of this machine from a URL; file:// is a folder."""
    return "://" not in repository.location or repository.location.startswith("file://")


def folder(repository: Repository) -> Path:
    """Return the folder that holds repodata/, of a repository for which `is_folder` holds."""
    return Path(repository.location.removeprefix("file://"))


def _url(repository: Repository) -> str:
    return folder(repository).absolute().as_uri()


def explain(text: str, ended: str, again: str, failure: type[ElpackError], where: str) -> ElpackError:
    """Turn dnf's output into the error that helps: the disk, the network, a signature, a missing package.

    ended says how dnf ended, again how to see that once more, where whose fault it is.
    """
    if _DISK_FULL.search(text):
        return DiskFullError(Problem("dnf found no space left", where=where, fix="free some space, then run again"))
    why, mend = next(((why, fix) for pattern, why, fix in _BAD_SIGNATURES if pattern.search(text)), ("", ""))
    if why:
        return failure(
            Problem(
                f"{ended}\n{_signature_lines(text)}{_errors(text)}", where, why, f"{mend}; {again}" if mend else again
            )
        )
    if _UNREACHABLE.search(text):
        return FetchError(Problem(f"a repository cannot be read\n{_errors(text)}", where=where, fix=again))
    missing = [f"no repository provides {name}" for match in _NO_MATCH.findall(text) for name in match if name]
    missing += [f"no repository provides {name}, needed by {by}" for name, by in _NO_PROVIDER.findall(text)]
    if missing:
        # one requirement is often refused along several paths
        return failure(*(Problem(what, where=where, fix=again) for what in dict.fromkeys(missing)))
    return failure(Problem(f"{ended}\n{_errors(text)}", where=where, fix=again))


def _signature_lines(text: str) -> str:
    """Return what dnf says of single packages, which stands before its last word."""
    words = ("is not signed", "is not installed", "does not verify", "Problem opening package")
    lines = [
        line
        for line in text.splitlines()
        if line.startswith(("Package ", "Public key", "Problem ")) and any(word in line for word in words)
    ]
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _errors(text: str, limit: int = 20) -> str:
    lines = text.rstrip().splitlines()
    first = next((index for index, line in enumerate(lines) if line.startswith("Error")), len(lines) - limit)
    return "\n".join(lines[max(0, first) :][:limit])


def program() -> str:
    """Return the name under which this host has dnf 4."""
    path = CLEAN_ENV["PATH"]
    return next((name for name in _PROGRAMS if shutil.which(name, path=path)), "dnf")


def _read_from(log: Path, start: int) -> str:
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def _write(path: Path, text: str) -> None:
    """Write the file unless it says so already; another thread's dnf may be reading it."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    write_text(path, text)
