"""A hostile build tries what it can, in each sandbox that runs code from outside, and gets nothing."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.environment import UID
from elpack.steps.standin import build_standin
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.model import Target

pytestmark = pytest.mark.root

STANDIN = Path(os.environ.get("ELPACK_STANDIN", Path(__file__).parents[2] / ".elpack" / "standin"))
ATTACKER = Path(__file__).with_name("attacker.py")
PYTHON = "python3.11"

SPEC = """\
Name: hostile
Version: 1.0
Release: 1%{{?dist}}
Summary: A hostile build
License: MIT
Source0: attacker.py
Source1: settings.json
BuildArch: noarch
BuildRequires: python3.11
{head}
%description
Trial.
%prep
%build
{build}
%install
mkdir -p %{{buildroot}}/usr/share/hostile
touch %{{buildroot}}/usr/share/hostile/x
{install}
%files
/usr/share/hostile
%changelog
* Mon Jan 05 2026 A Tester <tester@example.org> - 1.0-1
- Trial
"""


@dataclass
class Host:
    """What of this host is to be kept from a build, and who listens for what gets out."""

    folder: Path
    secret: str = field(default_factory=lambda: f"elpack-{secrets.token_hex(16)}")
    heard: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def target() -> Target:
    return resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")


@pytest.fixture(scope="module")
def builder(needs: Callable[..., None], target: Target, tmp_path_factory: pytest.TempPathFactory) -> BwrapBuilder:
    needs("dnf", "bwrap", "mount", "mmdebstrap", "rpmbuild", "createrepo_c")
    work = tmp_path_factory.mktemp("bwrap")
    return BwrapBuilder(target, (Repository("standin", str(build_standin(target, STANDIN))),), work)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Put a secret wherever it is worth something, and listen on all that a build might reach."""
    host = Host(tmp_path)
    places = [tmp_path / "project" / name for name in (".elpack/keys/key.asc", ".elpack/store/x/y.rpm", "elpack.toml")]
    places += [tmp_path / "gnupg" / "secring.gpg", Path("/root") / f".{host.secret}", Path("/var/tmp") / host.secret]
    places += [Path("/run") / host.secret, Path("/dev/shm") / host.secret]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(host.secret)
        os.chown(place, UID, UID)
    for name in ("TWINE_PASSWORD", "AWS_SECRET_ACCESS_KEY", "HOSTILE"):
        monkeypatch.setenv(name, host.secret)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "gnupg"))
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("0.0.0.0", 0)))  # noqa: S104
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("0.0.0.0", 0))  # noqa: S104
        unix = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        names = (f"\0{host.secret}-abstract", f"/run/{host.secret}.sock", f"/tmp/{host.secret}.sock")
        for server, name in zip(unix, names, strict=True):
            server.bind(name)
            server.listen()
        for path in names[1:]:
            os.chmod(path, 0o777)
            stack.callback(os.unlink, path)
        monkeypatch.setenv("SSH_AUTH_SOCK", names[1])
        for server in (tcp, udp, *unix):
            server.settimeout(0.2)
            threading.Thread(target=_listen, args=(server, host), daemon=True).start()
        victim = subprocess.Popen(("sleep", "600"), user=UID, group=UID, env={"HOSTILE": host.secret})
        key = _session_key(host.secret)
        own = subprocess.run(("hostname", "-I"), capture_output=True, text=True, check=False).stdout.split()
        host.settings = {
            "secret": host.secret,
            "hosts": ["127.0.0.1", *[address for address in own if ":" not in address]],
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "abstract": names[0][1:],
            "sockets": [*names[1:], "/run/docker.sock", "/run/podman/podman.sock", "/run/systemd/private"],
            "paths": [*map(str, places), str(tmp_path), str(ATTACKER)],
            "shadow": hashlib.sha256(Path("/etc/shadow").read_bytes()).hexdigest(),
            "victim": victim.pid,
        }
        yield host
        assert victim.poll() is None, "the build killed a process of the host's"
        victim.kill()
        victim.wait()
        _forget_key(key)
        for place in places:
            place.unlink()


def _listen(server: socket.socket, host: Host) -> None:
    while True:
        try:
            if server.type == socket.SOCK_DGRAM:
                host.heard.append(str(server.recvfrom(4096)))
            else:
                host.heard.append(str(server.accept()))
        except TimeoutError:
            continue
        except OSError:
            return


def _keyctl(*arguments: object) -> int:
    return int(ctypes.CDLL(None).syscall(*arguments))


def _session_key(secret: str) -> int:
    """Put the secret into the session's keyring, readable by whoever has it in his own."""
    key = _keyctl(248, b"user", b"elpack-test", secret.encode(), len(secret), -3)
    _keyctl(250, 5, key, 0x3F3F3F3F)  # KEYCTL_SETPERM
    return key


def _forget_key(key: int) -> None:
    _keyctl(250, 9, key, -3)  # KEYCTL_UNLINK


@pytest.fixture
def hostile(tmp_path: Path, host: Host) -> Callable[..., BuildJob]:
    def make(build: str = "true", install: str = "", head: str = "") -> BuildJob:
        spec, attacker, settings = tmp_path / "hostile.spec", tmp_path / "attacker.py", tmp_path / "settings.json"
        spec.write_text(SPEC.format(build=build, install=install, head=head))
        shutil.copyfile(ATTACKER, attacker)
        settings.write_text(json.dumps(host.settings))
        return BuildJob("hostile", spec, (attacker, settings), ("python3.11",), tmp_path / "logs" / "hostile.log")

    return make


def got(log: str) -> list[str]:
    lines = log.splitlines()
    assert sum(line.startswith(("kept ", "GOT ")) for line in lines) > 30, log
    return [line for line in lines if line.startswith("GOT ")]


def test_a_hostile_build_gets_nothing(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], host: Host, tmp_path: Path
) -> None:
    job = hostile(f"{PYTHON} %{{SOURCE0}} %{{SOURCE1}}")
    builder.build((job,), tmp_path / "out")
    assert got(job.log.read_text()) == []
    assert host.heard == []
