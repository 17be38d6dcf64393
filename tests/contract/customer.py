"""A customer's machine and an attacker's tools, small: toys, keys, repositories, dnf on its own root."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: A toy
License: MIT
BuildArch: noarch
%description
A toy.
%install
mkdir -p %{{buildroot}}/opt/{name}
printf '%0.s{version} of {name} ' $(seq 2000) > %{{buildroot}}/opt/{name}/data
%files
/opt/{name}
"""


def tool(*argv: object, home: Path, gnupg: Path | None = None, code: int | None = 0) -> str:
    """Run a program and return all that it says."""
    env = {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(home), "GNUPGHOME": str(gnupg or home)}
    done = subprocess.run(
        [str(arg) for arg in argv], env=env, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert code is None or done.returncode == code, f"{argv} ended with {done.returncode}\n{done.stdout}"
    return done.stdout


def end_agent(ring: Path, home: Path) -> None:
    """End the agent of a folder of keys, and remove its folder of sockets, which lies elsewhere."""
    for order in (("--kill", "all"), ("--remove-socketdir",)):
        tool("gpgconf", "--homedir", ring, *order, home=home, code=None)


def toy(folder: Path, version: str = "1", name: str = "toy") -> Path:
    """Build an unsigned noarch RPM with one file."""
    work = folder / f"{name}-{version}"
    work.mkdir(parents=True)
    spec = work / "toy.spec"
    spec.write_text(SPEC.format(name=name, version=version))
    options = ("--define", f"_topdir {work}", "--define", f"_rpmdir {work}", "--define", "_build_name_fmt %{NVRA}.rpm")
    # `-ba` gives the source RPM as well
    tool("rpmbuild", "-ba", "--quiet", *options, "--define", f"_srcrpmdir {work}", spec, home=work)
    return work / f"{name}-{version}-1.noarch.rpm"


@dataclass(frozen=True)
class Hand:
    """Somebody with a key. `moment` is when they sign, as gpg's --faked-system-time spells it; now, if it is empty."""

    home: Path
    moment: str = ""
    days: int = 0

    @classmethod
    def new(cls, home: Path, *, moment: str = "", expires: str = "never", bits: int = 4096) -> Hand:
        home.mkdir(mode=0o700)
        hand = cls(home, moment)
        user, kind = f"{home.name} <{home.name}@example.org>", f"rsa{bits}"
        hand.gpg("--passphrase", "", "--quick-gen-key", user, kind, "sign", expires)
        return hand

    def gpg(self, *arguments: object) -> str:
        past = ("--faked-system-time", self.moment) if self.moment else ()
        expiry = ("--default-sig-expire", f"{self.days}d") if self.days else ()
        return tool("gpg", "--batch", "--quiet", "--yes", *past, *expiry, *arguments, home=self.home)

    @property
    def fingerprint(self) -> str:
        lines = self.gpg("--with-colons", "--list-keys").splitlines()
        return next(line for line in lines if line.startswith("fpr:")).split(":")[9]

    def public(self, path: Path) -> Path:
        path.write_text(self.gpg("--armor", "--export"))
        return path

    def sign_file(self, path: Path) -> None:
        self.gpg("--armor", "--detach-sign", "--output", f"{path}.asc", path)

    def sign_rpm(self, path: Path) -> None:
        past = f" --faked-system-time {self.moment}" if self.moment else ""
        defines = (
            *("--define", "__gpg /usr/bin/gpg", "--define", f"_gpg_name {self.fingerprint}"),
            *("--define", f"_gpg_sign_cmd_extra_args --batch{past}", "--define", "_gpg_digest_algo sha256"),
        )
        tool("rpmsign", *defines, "--addsign", path, home=self.home)

    def stop(self) -> None:
        end_agent(self.home, self.home)


def index(repository: Path, hand: Hand | None) -> None:
    """Write the metadata of a repository, signed or not."""
    shutil.rmtree(repository / "repodata", ignore_errors=True)
    tool("createrepo_c", "--quiet", repository, home=repository)
    if hand:
        hand.sign_file(repository / "repodata" / "repomd.xml")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback by Python's own server; yield the URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Said:
    """What a tool on the customer's machine said, and how it ended."""

    code: int
    text: str


@dataclass
class Customer:
    """A machine with dnf and rpm that trusts one file of keys, and has one repository with both checks on."""

    work: Path
    baseurl: str
    key: Path
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        self.home.mkdir()
        # Debian's rpm keeps its database in the home folder unless it is told otherwise
        (self.home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")

    @property
    def root(self) -> Path:
        return self.work / "root"

    @property
    def home(self) -> Path:
        return self.work / "home"

    def dnf(self, *arguments: str) -> Said:
        options = {
            "baseurl": self.baseurl,
            "gpgkey": self.key.as_uri(),
            "gpgcheck": "1",
            "repo_gpgcheck": "1",
            "retries": "1",
        } | self.options
        config = self.work / "dnf.conf"
        config.write_text(
            "[main]\nreposdir=/dev/null\nvarsdir=/dev/null\nplugins=0\nassumeyes=1\nmodule_platform_id=platform:el9\n"
            "gpgcheck=1\nkeepcache=1\nzchunk=0\n[toys]\nname=toys\n"
            + "".join(f"{key}={value}\n" for key, value in options.items())
        )
        # metadata of this very second are not old to dnf, whatever their time to live
        fresh = () if "metadata_expire" in self.options else ("--refresh",)
        where = ("--installroot", str(self.root), "--releasever", "9", f"--setopt=cachedir={self.work}/cache")
        # libdnf takes the cache's path as the host's, dnf as the root's
        said = self._run("dnf", "--config", str(config), *where, *fresh, *arguments)
        for ring in self.work.glob("cache/*/pubring"):
            end_agent(ring, self.home)
        return said

    def rpm(self, *arguments: object) -> Said:
        level = ("--define", "_pkgverify_level all")  # rpm's own default is content with digests
        return self._run("rpm", "--root", str(self.root), *level, *map(str, arguments))

    def trust(self) -> None:
        assert self.rpm("--import", self.key) == Said(0, "")

    def installed(self, name: str = "toy") -> str:
        """Return the version that rpm's database and the file system agree on; empty if there is none."""
        said = self._run("rpm", "--root", str(self.root), "--query", "--queryformat", "%{VERSION}", name)
        path = self.root / "opt" / name / "data"
        if said.code != 0:
            assert not path.exists()
            return ""
        assert path.read_text().startswith(f"{said.text} of {name} ")
        return said.text

    def _run(self, *argv: str) -> Said:
        env = {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.home)}
        done = subprocess.run(argv, env=env, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False)
        return Said(done.returncode, done.stdout)


def flip(path: Path, offset: int) -> None:
    """Flip one bit, leaving whoever shares the inode alone."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    overwrite(path, bytes(data))


def overwrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)
    os.utime(path, (0, 0))
