"""The dnf repository that customers see, its .repo file, and debug packages and source RPMs beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.steps.exchange import link_or_copy
from elpack.tools.createrepo import create_repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from elpack.model import Target

REPO_FILE = """\
# {release} for {title}. Put this file into /etc/yum.repos.d/ and set baseurl to where the folder is served.
[{release}]
name={release} for {title}
baseurl=file://{folder}
enabled=1
# The packages of this repository are not signed yet.
gpgcheck=0
repo_gpgcheck=0
"""

DEBUG_SECTION = """
# Debug symbols and sources of what was compiled, for gdb: dnf debuginfo-install {release}
[{release}-debuginfo]
name={release} for {title}, debug packages
baseurl=file://{folder}
enabled=0
# They are not signed yet, either.
gpgcheck=0
repo_gpgcheck=0
"""


def publish(
    rpms: Iterable[Path],
    srpms: Iterable[Path],
    into: Path,
    release: str,
    target: Target,
    *,
    debug: Sequence[Path] = (),
    at: Path | None = None,
) -> Path:
    """Lay out repository and source RPMs in the folder `into`, and return the repository.

    debug packages get a repository of their own, which is there only if there are any. `at` is where `into` will lie
    when it is finished, which the .repo file says.
    """
    at = at or into
    _repository(rpms, into / "repo")
    _place(srpms, into / "srpms")
    text = REPO_FILE.format(release=release, title=target.title, folder=at / "repo")
    if debug:
        _repository(debug, into / "debug")
        text += DEBUG_SECTION.format(release=release, title=target.title, folder=at / "debug")
    (into / f"{release}.repo").write_text(text)
    return at / "repo"


def publish_buildroot(packages: Iterable[Path], into: Path) -> None:
    """Lay out the repository of build requirements in `into`: for rebuilding the source RPMs, not for hosts."""
    _repository(packages, into / "buildroot")


def _repository(files: Iterable[Path], folder: Path) -> None:
    """Make a dnf repository of the files."""
    _place(files, folder)
    create_repository(folder)


def _place(files: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for path in files:
        link_or_copy(path, folder / path.name)
