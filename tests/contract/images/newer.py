"""Debian 13's podman, skopeo and cosign: they judge sigstore signatures, Debian 12's were compiled without.

`newer_tools` unpacks them once into the test cache; nothing of them runs while they are unpacked. A `Customer` is a
machine that has them: a /etc, a home and a storage of its own upon their /usr, in a root that bubblewrap makes for each
command.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.conftest import CACHE

from elpack.steps.standin_fetch import mirrors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SUITE = "trixie"
_RECIPE = (
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=extract",
    "--format=directory",
    "--skip=check/qemu",
    '--setup-hook=for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d" || exit 1; done',
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Retries "3"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    # bash and what follows: the documentation's blocks are run as they stand
    "--include=podman,skopeo,cosign,bash,coreutils,jq,openssl",
    SUITE,
)
STORAGE = """\
[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
"""
_FAILED = "Debian 13's podman cannot be had: the archive does not answer (ELPACK_DEBIAN_MIRROR names another)"


@dataclass(frozen=True)
class Newer:
    """Where Debian 13's /usr lies. Nothing writes to it, so that any number of tests and runs use it at once."""

    usr: Path


def newer_tools(needs: Callable[..., None]) -> Newer:
    """Return the tools, unpacked now if they are not in the cache. A laptop that cannot have them skips, CI fails."""
    needs("mmdebstrap", "bwrap")
    key = hashlib.sha256("\n".join((os.uname().machine, *_RECIPE)).encode()).hexdigest()[:12]
    place = CACHE / f"{SUITE}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, and finds them
        if not place.exists():
            _unpack(place)
    return Newer(place / "usr")


def _unpack(place: Path) -> None:
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    lines = mirrors(SUITE) or (f"deb http://deb.debian.org/debian {SUITE} main",)
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    done = subprocess.run(
        (*_RECIPE, str(partial), *lines),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"} | proxies,
        stdout=-1,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{_FAILED}\n{done.stdout[-2000:]}")
    partial.rename(place)


class Customer:
    """A machine with the newer tools. `folder` holds its ``etc``, ``home``, ``srv`` and ``storage`` of images.

    shown: folders of ours that it sees at their own paths. It trusts no registry, knows no password, and its policy
    rejects all, until a test says otherwise.
    """

    def __init__(self, newer: Newer, folder: Path, shown: Sequence[Path] = ()) -> None:
        self._newer, self.folder, self._shown = newer, folder, shown
        for name in ("etc/containers/registries.d", "etc/ssl/certs", "home", "srv", "storage"):
            (folder / name).mkdir(parents=True)
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        self.write("etc/group", "root:x:0:\n")
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        # overlayfs cannot lie on overlayfs, as a CI's container may have it
        self.write("etc/containers/storage.conf", STORAGE)
        self.write("etc/containers/policy.json", '{"default": [{"type": "reject"}]}\n')

    def write(self, path: str, text: str) -> None:
        """Write a file of its ``etc``, ``home`` or ``srv``."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def trusts(self, certificate: Path) -> None:
        """Let it trust a registry's certificate authority, as it trusts those of the system."""
        with (self.folder / "etc/ssl/certs/ca-certificates.crt").open("a") as bundle:
            bundle.write(certificate.read_text())

    def log_in(self, registry: str, user: str, password: str) -> None:
        """Log in to a registry as people do; podman, skopeo and cosign read the same file."""
        self("podman", "login", "--username", user, "--password-stdin", registry, text=password)

    def forget(self) -> None:
        """Remove all images: a layer that is there is not fetched, so not looked at, again."""
        shutil.rmtree(self.folder / "storage")
        (self.folder / "storage").mkdir()

    def __call__(self, *argv: object, code: int | None = 0, text: str = "") -> str:
        """Run a command as its root and return all that it says. code: what it must end with."""
        usr, here = self._newer.usr, self.folder
        variables = {
            "PATH": "/usr/sbin:/usr/bin",
            "HOME": "/root",
            "LC_ALL": "C",
            "REGISTRY_AUTH_FILE": "/root/auth.json",
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
        }
        links = [("usr/bin", "/bin"), ("usr/sbin", "/sbin"), ("usr/lib", "/lib"), ("usr/lib64", "/lib64")]
        enclosure = [
            *("bwrap", "--die-with-parent", "--unshare-pid", "--cap-add", "ALL", "--ro-bind", usr, "/usr"),
            *(part for target, link in links for part in ("--symlink", target, link)),
            *("--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"),
            *("--tmpfs", "/tmp", "--tmpfs", "/run", "--dir", "/var/tmp"),
            *("--bind", here / "etc", "/etc", "--bind", here / "home", "/root"),
            *("--bind", here / "srv", "/srv", "--bind", here / "storage", "/var/lib/containers/storage"),
            *(part for path in self._shown for part in ("--bind", path, path)),
            *("--clearenv", *(part for pair in variables.items() for part in ("--setenv", *pair))),
        ]
        done = subprocess.run(
            [str(part) for part in (*enclosure, "--", *argv)],
            input=text,
            stdout=-1,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert code is None or done.returncode == code, f"{argv} ended with {done.returncode}\n{done.stdout}"
        return done.stdout
