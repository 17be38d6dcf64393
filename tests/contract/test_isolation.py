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
import tarfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders import BuildJob, Repository
from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.environment import UID
from elpack.config.builds import Limits
from elpack.errors import BuildError, BuildLockError
from elpack.run import run
from elpack.smoke import Session, SmokeStep
from elpack.steps.lock_sandbox import LockSandbox
from elpack.steps.smoke import smoke_root
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
Source2: evil.sh
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
            Path(path).chmod(0o777)
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
    def make(build: str = "true", install: str = "", head: str = "", evil: str = "") -> BuildJob:
        spec, attacker, settings = tmp_path / "hostile.spec", tmp_path / "attacker.py", tmp_path / "settings.json"
        script = tmp_path / "evil.sh"
        script.write_text(evil)
        spec.write_text(SPEC.format(build=build, install=install, head=head))
        shutil.copyfile(ATTACKER, attacker)
        settings.write_text(json.dumps(host.settings))
        return BuildJob(
            "hostile", spec, (attacker, settings, script), ("python3.11",), tmp_path / "logs" / "hostile.log"
        )

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


POISON = """
echo '%__spec_install_post echo taken' | tee /builddir/.rpmmacros >/builddir/.rpmrc
"""


def test_the_code_asked_for_requirements_gets_nothing(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], host: Host, tmp_path: Path
) -> None:
    """Nor do settings of rpm survive that it leaves for later."""
    attack = f"{PYTHON} %{{SOURCE0}} %{{SOURCE1}}"
    job = hostile(attack, evil=POISON)
    # it runs once alone, and once more as the first part of the build, which must find nothing of the first time
    section = f"%generate_buildrequires\nls -A /builddir >&2\n{attack} >&2\nsh -ex %{{SOURCE2}} >&2\n\n%prep\n"
    job.spec.write_text(job.spec.read_text().replace("%prep\n", section))
    (built,) = builder.build((job,), tmp_path / "out")
    log = job.log.read_text()
    assert got(log) == []
    assert "\ntaken" not in log
    assert log.count("Executing(%generate_buildrequires)") == 2
    assert "\n.rpmmacros" not in log
    command = ("rpm", "-qp", "--nosignature", "--scripts", str(built.rpms[0]))
    assert subprocess.run(command, capture_output=True, check=True).stdout == b""
    assert host.heard == []


@pytest.mark.parametrize("place", ["/builddir/build/SOURCES/attacker.py", "/builddir/build/SPECS/hostile.spec"])
def test_a_source_package_holds_what_was_given(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], tmp_path: Path, place: str
) -> None:
    job = hostile()
    section = f"%generate_buildrequires\necho '# taken' >>{place}\n\n%prep\n"
    job.spec.write_text(job.spec.read_text().replace("%prep\n", section))
    with pytest.raises(BuildError, match=f"holds another {Path(place).name} than the build was given"):
        builder.build((job,), tmp_path / "out")


LEAVE = """
import os, sys, time
if os.fork():
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
for number in range(3):
    os.close(number)
while True:
    for folder, _, files in os.walk("/builddir/build/RPMS"):
        for file in files:
            path = os.path.join(folder, file)
            try:
                os.unlink(path)
                os.symlink("/etc/shadow", path)
            except OSError:
                pass
    time.sleep(0.001)
"""


def test_what_stays_behind_touches_no_results(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], host: Host, tmp_path: Path
) -> None:
    mode = Path("/etc/shadow").stat().st_mode
    job = hostile(f"cat >d.py <<'END'\n{LEAVE}\nEND\n{PYTHON} d.py")
    with pytest.raises(BuildError, match="left a link"):
        builder.build((job,), tmp_path / "out")
    assert Path("/etc/shadow").stat().st_mode == mode
    assert list((tmp_path / "out").rglob("*.rpm")) == []


EXCHANGE = """
cat >/tmp/evil.spec <<'END'
Name: {name}
Version: 1.0
Release: 1%{{?dist}}
Summary: Evil
License: MIT
BuildArch: noarch
{head}
%description
Evil.
{scripts}
%files
END
rpmbuild --target noarch --define '_topdir /tmp/evil' --define '_buildhost localhost' -bb /tmp/evil.spec
cp /tmp/evil/RPMS/noarch/*.rpm /builddir/build/RPMS/noarch/
"""


@pytest.mark.parametrize(
    ("name", "head", "scripts", "message"),
    [
        ("hostile", "", "%post\necho taken", "has another postin than its spec declares"),
        ("hostile", "", "%triggerin -- bash\necho taken", "has another triggerscripts"),
        ("hostile", "", "%filetriggerin -- /usr\necho taken", "has another filetriggerscripts"),
        ("hostile", "Obsoletes: glibc < 99", "", "has another obsoletenevrs"),
        ("hostile", "Epoch: 5", "", "has another version"),
        ("bash", "", "", "a package bash, which its spec does not declare"),
        ("hostile-debuginfo", "", "%post\necho taken", "has another postin"),
    ],
    ids=["script", "trigger", "file trigger", "obsoletes", "epoch", "another", "debuginfo"],
)
def test_a_package_that_its_spec_does_not_declare_is_refused(  # noqa: PLR0917 - pytest names them
    builder: BwrapBuilder,
    hostile: Callable[..., BuildJob],
    tmp_path: Path,
    name: str,
    head: str,
    scripts: str,
    message: str,
) -> None:
    """The build makes it itself, and puts it where rpmbuild's own is."""
    job = hostile(evil=EXCHANGE.format(name=name, head=head, scripts=scripts))
    # the last thing that rpmbuild runs is %clean: the packages are there by then
    job.spec.write_text(job.spec.read_text().replace("%files\n", "%clean\nsh -ex %{SOURCE2}\n%files\n", 1))
    with pytest.raises(BuildError, match=message):
        builder.build((job,), tmp_path / "out")
    assert not (tmp_path / "out" / "hostile").exists()


@pytest.mark.parametrize(
    ("install", "message"),
    [
        ("chmod 4755 %{buildroot}/usr/share/hostile/x", "with the rights of its owner"),
        ("chmod 2755 %{buildroot}/usr/share/hostile/x", "with the rights of its owner"),
        ("mkfifo %{buildroot}/usr/share/hostile/pipe", "is no file, folder or link"),
    ],
    ids=["set-user-id", "set-group-id", "pipe"],
)
def test_files_that_give_rights_are_refused(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], tmp_path: Path, install: str, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        builder.build((hostile(install=install),), tmp_path / "out")


def test_the_next_build_sees_nothing_of_the_one_before(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], host: Host, tmp_path: Path
) -> None:
    """Not even where two share a root, and the base of all roots stays as it is."""
    places = "/tmp /var/tmp /dev/shm /builddir /builddir/build/BUILD /builddir/build/SOURCES /mnt /usr/lib"
    base = builder.roots().base()
    before = {path: path.lstat().st_mtime_ns for path in base.rglob("*")}
    look = hostile(f"cat {' '.join(f'{place}/left' for place in places.split())} || :; ipcs -m", evil="")
    look = replace(look, spec=look.spec.rename(tmp_path / "look.spec"), name="look", log=tmp_path / "look.log")
    leave = hostile(f"for place in {places}; do echo {host.secret} >$place/left || :; done; ipcmk -M 4096")
    builder.build((leave, look), tmp_path / "out")
    assert "Shared memory id" in leave.log.read_text()
    assert host.secret not in look.log.read_text()
    assert "0x" not in look.log.read_text().partition("shmid")[2].partition("\n+")[0]
    assert {path: path.lstat().st_mtime_ns for path in base.rglob("*")} == before


BACKEND = """
import attacker

def get_requires_for_build_wheel(config=None):
    attacker.main("settings.json")
    return []
"""


def test_a_backend_asked_for_requirements_gets_nothing(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = LockSandbox.here(run, tmp_path / "lock", os.environ)
    folder, tree, sdist = sandbox.folder(), tmp_path / "hostile-1.0", tmp_path / "hostile-1.0.tar.gz"
    tree.mkdir()
    (tree / "backend.py").write_text(BACKEND)
    settings = {**host.settings, "skip": ["/usr", "/lib", "/lib64", "/bin", "/sbin", sys.base_prefix]}
    (tree / "settings.json").write_text(json.dumps(settings))
    shutil.copyfile(ATTACKER, tree / "attacker.py")
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tree, tree.name)
    assert sandbox.uv_run(folder, "venv", "venv", "--offline", "--python", sandbox.python).returncode == 0
    question = {
        "folder": tree.name,
        "backend": "backend",
        "backend_path": ["."],
        "hook": "get_requires_for_build_wheel",
    }
    result, answer = sandbox.ask(folder, sdist, json.dumps(question))
    assert answer == "[]", result.stderr
    # to itself it is root, and the first process is bubblewrap's own in there: what that is worth the others tell
    own = (
        *(
            "GOT become_root",
            "GOT first_process",
            "GOT other_processes: \"['python']",
            "GOT foreign_files: \"['/elpack/",
        ),
        *("GOT open_files: \"['/answer/answer.json']", "GOT writable_outside: \"['/', '/elpack', '/dev'"),
    )  # its root is an empty folder in memory, made for it
    assert [line for line in got(result.stdout) if not line.startswith(own)] == []
    assert host.heard == []


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("while True: print('x' * 10**6)", "printed more than 16M"),
        ("held = [bytearray(1 << 20) for _ in range(1 << 20)]", "wanted more memory"),
        ("import os\n    while True: os.fork()", "wanted more than 300 processes"),
        ("import os, time\n    os.posix_fallocate(os.open('/answer/x', 65), 0, 5 << 30)", ""),
    ],
    ids=["log", "memory", "processes", "disk"],
)
def test_a_greedy_backend_is_ended(
    tmp_path: Path, host: Host, code: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "elpack.steps.lock_sandbox._LIMITS", Limits(400 << 20, 4 << 30, 16 << 20, processes=300, time=60)
    )
    sandbox = LockSandbox.here(run, tmp_path / "lock", os.environ)
    folder, tree, sdist = sandbox.folder(), tmp_path / "greedy-1.0", tmp_path / "greedy-1.0.tar.gz"
    tree.mkdir()
    (tree / "backend.py").write_text(f"def get_requires_for_build_wheel(config=None):\n    {code}\n    return []\n")
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tree, tree.name)
    sandbox.uv_run(folder, "venv", "venv", "--offline", "--python", sandbox.python)
    question = {
        "folder": tree.name,
        "backend": "backend",
        "backend_path": ["."],
        "hook": "get_requires_for_build_wheel",
    }
    if limit:
        with pytest.raises(BuildLockError, match=limit):
            sandbox.ask(folder, sdist, json.dumps(question))
    else:
        assert sandbox.ask(folder, sdist, json.dumps(question))[1] == ""
    assert list((tmp_path / "lock").glob("*.groups")) == []


def test_a_hostile_program_in_the_smoke_test_gets_nothing(
    builder: BwrapBuilder, hostile: Callable[..., BuildJob], host: Host, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    shutil.copyfile(ATTACKER, files / "attacker.py")
    (files / "settings.json").write_text(json.dumps(host.settings))
    inside = "/run/elpack/files"
    step = SmokeStep(
        "attack", run=("/usr/bin/python3.11", f"{inside}/attacker.py", f"{inside}/settings.json"), timeout=60
    )
    roots = builder.roots()
    with roots.clean_root() as root:
        roots.dnf.install(root.path, ("python3.11",), tmp_path / "dnf.log")
        smoke_root(
            root.path,
            Session((step,)),
            interpreter="/usr/bin/python3.11",
            files=files,
            logs=tmp_path / "logs",
            runner=run,
        )
    # the driver is root of the sandbox, without the capabilities that would make it more
    expected = ("GOT log_file",)
    log = (tmp_path / "logs" / "01-attack.log").read_text(errors="replace").replace("\0", "")
    assert [line for line in got(log) if not line.startswith(expected)] == []
    assert host.heard == []
