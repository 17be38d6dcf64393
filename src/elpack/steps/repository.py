"""The dnf repository that customers see, its .repo file, and debug packages and source RPMs beside it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

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
    rpms: Iterable[Path], srpms: Iterable[Path], into: Path, release: str, target: Target, *, debug: Sequence[Path] = ()
) -> Path:
    """Lay out repository and source RPMs below `into`, replacing what an earlier run left; return the repository.

    debug packages get a repository of their own, which is there only if there are any.

    The new folder is finished under another name first, so that a reader never sees half of it.
    """
    final = _repository(rpms, into / "repo")
    sources = _fresh(into / "srpms")
    _place(srpms, sources)
    _swap(sources, into / "srpms")
    text = REPO_FILE.format(release=release, title=target.title, folder=final)
    if debug:
        folder = _repository(debug, into / "debug")
        text += DEBUG_SECTION.format(release=release, title=target.title, folder=folder)
    else:
        shutil.rmtree(into / "debug", ignore_errors=True)
    (into / f"{release}.repo").write_text(text)
    return final


def publish_buildroot(packages: Iterable[Path], into: Path) -> None:
    """Lay out the repository of build requirements below `into`: for rebuilding the source RPMs, not for hosts."""
    _repository(packages, into / "buildroot")


def _repository(files: Iterable[Path], final: Path) -> Path:
    """Make a dnf repository of the files in place of the one of that name, and return it."""
    partial = _fresh(final)
    _place(files, partial)
    create_repository(partial)
    return _swap(partial, final)


def _fresh(final: Path) -> Path:
    partial = final.with_name(f".{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _place(files: Iterable[Path], folder: Path) -> None:
    for path in files:
        try:
            os.link(path, folder / path.name)
        except OSError:
            shutil.copy2(path, folder / path.name)


def _swap(partial: Path, final: Path) -> Path:
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    return final
