"""Writes, beside the log of a failed build, a script that builds the package again in a fresh root."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from elpack.builders.dynamic import installable, is_dynamic
from elpack.builders.environment import UID, rpmbuild, rpmbuild_dynamic
from elpack.builders.roots import CleanRoot, mount_command
from elpack.builders.sandbox import sandboxed
from elpack.builders.staging import copy_inputs, keep_repositories

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.builders import BuildJob, Repository
    from elpack.tools.dnf import Dnf


def write_script(job: BuildJob, base: Path, dnf: Dnf, extra: tuple[Repository, ...], home: Path) -> Path:
    """Write `<log>.sh`, which works in `home`, and keep there what it needs; return its path.

    dnf knows the target's own repositories, which stay; extra are those that may be gone in a moment.
    """
    forget(job, home)
    inputs = home / "inputs"
    copy_inputs(job, inputs, inputs / "sources")
    kept = replace(
        job,
        spec=inputs / job.spec.name,
        sources=tuple(inputs / "sources" / source.name for source in job.sources),
    )
    dnf = replace(dnf, repositories=(*dnf.repositories, *keep_repositories(extra, home / "repositories")))
    path = _path(job)
    path.write_text(script(kept, base, dnf, CleanRoot(home / "live")), encoding="utf-8")
    path.chmod(0o755)
    return path


def forget(job: BuildJob, home: Path) -> None:
    """Remove what an earlier failure left."""
    shutil.rmtree(home, ignore_errors=True)
    _path(job).unlink(missing_ok=True)


def _path(job: BuildJob) -> Path:
    return job.log.with_name(f"{job.log.name}.sh")


def script(job: BuildJob, base: Path, dnf: Dnf, root: CleanRoot) -> str:
    """Return the text of the script: the builder's own commands in their order."""
    words = [word for require in job.requires for word in installable(require)]
    install = dnf.command(root.path, ("install", *words))
    environment = [f"{name}={value}" for name, value in install.env.items()]
    tree = root.builddir / "build"
    # what a dynamic spec asked for is among the requirements by now
    arguments = (rpmbuild_dynamic if is_dynamic(job) else rpmbuild)(job.spec.name, dnf.arch)
    build = shlex.join(sandboxed(root, arguments).argv)
    look = shlex.join(sandboxed(root, ("bash", "-i"), tty=True).argv)
    stale = f"mountpoint -q {shlex.quote(str(root.path))} && umount {shlex.quote(str(root.path))}"
    return f"""\
#!/bin/sh
# Builds {job.name} again, as elpack did. Run it as root.
# With the argument `shell` it opens a shell in the root instead of running rpmbuild.
set -eu
clean() {{ {stale}; rm -rf {shlex.quote(str(root.home))}; }}
clean || :
trap clean EXIT
{_join("mkdir", "-p", *map(str, (root.path, root.upper, root.scratch)))}
{_join(*mount_command(base, root).argv)}
{_join("env", "-i", *environment, *install.argv) if job.requires else ":"}
{_join("mkdir", "-p", *(f"{tree}/{name}" for name in ("SOURCES", "SPECS")))}
{_join("install", "-m", "0644", str(job.spec.absolute()), f"{tree}/SPECS")}
{_sources(job, tree)}
{_join("chown", "-R", f"{UID}:{UID}", str(root.builddir))}
if [ "${{1-}}" = shell ]; then
{look}
else
{build}
fi
"""


def _sources(job: BuildJob, tree: Path) -> str:
    if not job.sources:
        return ":"
    return _join("install", "-m", "0644", *(str(source.absolute()) for source in job.sources), f"{tree}/SOURCES")


def _join(*words: str) -> str:
    return shlex.join(words)
