"""Bad input to whole runs: one clear error, its own exit code, no traceback, and nothing half-written.

A tiny application comes from an index on loopback; nothing else is connected to.
"""

from __future__ import annotations

import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.shop import BUILD_LOCK, METADATA, PYPROJECT, UV_LOCK, build_lock_table, sdist, sha256, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
TARGET = ("--target", "el9", "--arch", "x86_64")

RELEASE = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
index = "{index}"
[application]
name = "app"
[first-party]
app = {{ version = "1.0", sha256 = "{sha256}" }}
[targets.el9]
"""


@dataclass
class Index:
    """What a server on loopback holds, by path. `cut` paths break off in the middle."""

    url: str
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)

    def put(self, name: str, data: bytes) -> str:
        self.files[f"/files/{name}"] = ("application/octet-stream", data)
        return f"{self.url}/files/{name}"


@contextmanager
def serve() -> Iterator[Index]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, data = index.files.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if self.path in index.cut else data)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = Index(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Shop:
    """A release on disk, and the index that has its parts. `save` writes down what a test changed before."""

    home: Path
    index: Index
    lib: bytes = field(default_factory=lambda: wheel("lib"))
    installer: bytes = field(default_factory=lambda: wheel("installer"))
    pyproject: str = PYPROJECT
    lock: str | None = UV_LOCK
    release: str = RELEASE
    wheel_name: str = "lib-1.0-py3-none-any.whl"

    @property
    def downloads(self) -> Path:
        return self.home / ".elpack" / "downloads"

    def save(self) -> Shop:
        simple = f"{self.index.url}/simple/"
        url = self.index.put(self.wheel_name, self.lib)
        files = {"pyproject.toml": self.pyproject, "PKG-INFO": METADATA.format(name="app", version="1.0"), "app.py": ""}
        if self.lock is not None:
            files["uv.lock"] = self.lock.format(index=simple, url=url, sha256=sha256(self.lib), size=len(self.lib))
        source = sdist(files)
        page = {
            "meta": {"api-version": "1.1"},
            "name": "app",
            "files": [
                {
                    "filename": "app-1.0.tar.gz",
                    "url": self.index.put("app-1.0.tar.gz", source),
                    "hashes": {"sha256": sha256(source)},
                    "size": len(source),
                }
            ],
        }
        self.index.files["/simple/app/"] = ("application/vnd.pypi.simple.v1+json", json.dumps(page).encode())
        self.downloads.mkdir(parents=True, exist_ok=True)
        name = "installer-1.0-py3-none-any.whl"
        (self.downloads / name).write_bytes(self.installer)
        (self.home / "pylock.build.toml").write_text(
            BUILD_LOCK.format(name=name, size=len(self.installer), sha256=sha256(self.installer))
            + build_lock_table("3.12 x86_64", sha256(source))
        )
        (self.home / "elpack.toml").write_text(self.release.format(index=simple, sha256=sha256(source)))
        return self

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "elpack", *arguments),
            cwd=self.home,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def results(self) -> dict[str, str]:
        """Return what customers and the next run would take for finished: name and digest of each such file."""
        places = [self.home / "dist", self.home / ".elpack" / "store", self.downloads]
        files = (path for place in places for path in sorted(place.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.home)): sha256(path.read_bytes()) for path in files}

    def refused(self, code: int, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Run elpack, see that it fails as it should, and return what it said."""
        before = self.results()
        done = self.run(*arguments, env=env)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        # what a tool said may follow, and have errors of its own
        assert len(re.findall(r"^error: .*\n• ", done.stderr, re.MULTILINE)) == 1, done.stderr
        assert done.stdout == ""
        assert not (self.home / ".elpack" / "crash.log").exists()
        added = self.results().keys() - before.keys()
        # a download that was finished is no half-written thing: the next run takes it
        assert added <= {".elpack/downloads/app-1.0.tar.gz", f".elpack/downloads/{self.wheel_name}"}
        assert {name: digest for name, digest in self.results().items() if name in before} == before
        return done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with serve() as index:
        (tmp_path / "shop").mkdir()
        yield Shop(tmp_path / "shop", index)


def test_the_shop_itself_is_sound(shop: Shop) -> None:
    done = shop.save().run("plan", *TARGET, "--json")
    assert done.returncode == 0, done.stderr
    packages = json.loads(done.stdout)["packages"]
    assert [package["node"] for package in packages] == [
        "buildroot/installer",
        "macros",
        "runtime",
        "stack/app",
        "stack/lib",
    ]


def test_no_lock_in_the_sdist(shop: Shop) -> None:
    shop.lock = None
    said = shop.save().refused(11, "plan", *TARGET)
    assert "app-1.0.tar.gz/uv.lock: the application's sdist holds no such lock" in said


def test_stale_lock(shop: Shop) -> None:
    shop.pyproject = PYPROJECT.replace("lib>=1", "lib>=2")
    said = shop.save().refused(11, "plan", *TARGET)
    assert "app requires lib>=2, which the lock was not made for" in said
    assert "fix: uv lock" in said


def test_unknown_lock_revision(shop: Shop) -> None:
    shop.lock = UV_LOCK.replace("revision = 3", "revision = 99")
    assert "unknown lock revision 99" in shop.save().refused(11, "plan", *TARGET)


@pytest.mark.parametrize("text", ["version = ", "version = 1\n[[package]]\nname = 1\n"])
def test_a_lock_that_is_none(text: str, shop: Shop) -> None:
    shop.lock = text.replace("{", "{{").replace("}", "}}")
    assert "app-1.0.tar.gz/uv.lock" in shop.save().refused(11, "plan", *TARGET)


def test_no_build_lock(shop: Shop) -> None:
    (shop.save().home / "pylock.build.toml").unlink()
    said = shop.refused(12, "plan", *TARGET)
    assert "there is no lock of build requirements" in said
    assert "fix: elpack lock" in said


def test_stale_build_lock(shop: Shop) -> None:
    lock = shop.save().home / "pylock.build.toml"
    text = lock.read_text().replace("app-1.0.tar.gz", "old-1.0.tar.gz")
    lock.write_text(re.sub(r'digest = "\w+"', 'digest = "of other inputs"', text))
    said = shop.refused(12, "plan", *TARGET)
    assert "app-1.0.tar.gz is built from source, the lock was made without it" in said


def test_a_build_lock_for_other_targets(shop: Shop) -> None:
    lock = shop.save().home / "pylock.build.toml"
    lock.write_text(lock.read_text().replace("3.12 x86_64", "3.11 x86_64"))
    said = shop.refused(12, "plan", *TARGET)
    assert "the lock was not made for el9 / 3.12 / x86_64, only for 3.11 x86_64" in said


def test_a_download_that_is_not_what_the_lock_pinned(shop: Shop) -> None:
    shop.save()
    other = bytearray(shop.lib)
    other[40] ^= 1
    shop.index.put(shop.wheel_name, bytes(other))
    said = shop.refused(14, "plan", *TARGET)
    assert "lib-1.0-py3-none-any.whl" in said
    assert sha256(bytes(other)) in said


def test_an_sdist_that_is_not_what_the_release_pinned(shop: Shop) -> None:
    release = shop.save().home / "elpack.toml"
    pinned = release.read_text().partition('sha256 = "')[2][:64]
    release.write_text(release.read_text().replace(pinned, "0" * 64))
    said = shop.refused(14, "plan", *TARGET)
    assert f"app-1.0.tar.gz has sha256 {pinned} there, pinned is {'0' * 64}" in said


def test_a_truncated_download(shop: Shop) -> None:
    shop.save().index.cut.add(f"/files/{shop.wheel_name}")
    assert shop.wheel_name in shop.refused(13, "plan", *TARGET)
    assert sorted(path.name for path in shop.downloads.iterdir()) == [
        "app-1.0.tar.gz",
        "installer-1.0-py3-none-any.whl",
    ]


def test_a_missing_download(shop: Shop) -> None:
    del shop.save().index.files[f"/files/{shop.wheel_name}"]
    said = shop.refused(13, "plan", *TARGET)
    assert f"/files/{shop.wheel_name}" in said
    assert "404" in said


def test_a_version_that_the_index_has_not(shop: Shop) -> None:
    shop.release = RELEASE.replace('version = "1.0"', 'version = "2.0"')
    assert "the index has no sdist of app 2.0" in shop.save().refused(13, "plan", *TARGET)


def test_an_unreachable_index(shop: Shop) -> None:
    release = shop.save().home / "elpack.toml"
    # port 1 is reserved, and nobody listens there
    release.write_text(release.read_text().replace(shop.index.url, "http://127.0.0.1:1"))
    assert "127.0.0.1:1" in shop.refused(13, "plan", *TARGET)


def test_offline_connects_to_nothing(shop: Shop) -> None:
    said = shop.save().refused(13, "plan", *TARGET, "--offline")
    assert "app-1.0.tar.gz is not here, and the run is offline" in said


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("cp312-cp312-manylinux_2_39_x86_64", "its wheels need glibc 2.39, the target has 2.34, and there is no sdist"),
        (
            "cp312-cp312-win_amd64",
            "the lock pins no wheel for CPython 3.12 on x86_64, and there is no sdist",
        ),
    ],
)
def test_no_wheel_and_no_sdist_for_the_target(tag: str, reason: str, shop: Shop) -> None:
    shop.wheel_name = f"lib-1.0-{tag}.whl"
    assert f"• lib (el9 / 3.12 / x86_64): {reason}\n" in shop.save().refused(15, "plan", *TARGET)


def test_an_archive_that_is_hostile(shop: Shop) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../etc/passwd", "")
    shop.lib = out.getvalue()
    assert "lib-1.0-py3-none-any.whl" in shop.save().refused(23, "plan", *TARGET)


def test_a_checkout_that_gives_no_sdist(shop: Shop) -> None:
    tree = shop.home.parent / "app"
    tree.mkdir()
    (tree / "pyproject.toml").write_text(PYPROJECT)
    (tree / "backend.py").write_text("def build_sdist(*_): raise SystemExit('the sdist of app cannot be made')")
    (tree / "uv.lock").write_text(UV_LOCK.format(index="https://pypi.org/simple", url="", sha256="", size=0))
    shop.release = RELEASE.replace('version = "1.0"', 'path = "../app", version = "1.0"')
    said = shop.save().refused(18, "plan", *TARGET)
    assert f"no sdist can be made of the checkout {tree.resolve()}\n" in said
    assert "\nthe sdist of app cannot be made\n" in said


def test_a_missing_tool(shop: Shop, tmp_path: Path) -> None:
    for tool in ("dnf", "bwrap", "rpm", "gpg", "gpg-agent", "gpgconf", "rpmsign", "rpmkeys"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to("/bin/true")
    said = shop.save().refused(16, "rpm", *TARGET, env={"PATH": str(tmp_path / "bin")})
    assert said.count("•") == said.count("createrepo_c is not installed")
    assert "✓" not in said, "a missing tool is told before anything is done"


def test_no_root(shop: Shop) -> None:
    """Modules are loaded while that is allowed: the interpreter may live where nobody else can read."""
    if os.geteuid() != 0:
        said = shop.save().refused(17, "rpm-all", *TARGET)
    else:
        tools = shop.home.parent / "bin"
        tools.mkdir()
        for tool in ("dnf", "bwrap", "rpm", "createrepo_c"):
            (tools / tool).symlink_to("/bin/true")
        code = (
            "import os, sys, pkgutil, importlib, elpack\n"
            "for found in pkgutil.walk_packages(elpack.__path__, 'elpack.'):\n"
            "    if not found.name.startswith(('elpack.assets', 'elpack.__main__')):\n"
            "        importlib.import_module(found.name)\n"
            "from elpack.cli import app\n"
            "try: app(['plan', '--file', '/nonexistent/elpack.toml'])\n"
            "except SystemExit: pass\n"
            "print('-----', file=sys.stderr)\n"
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
            "app(sys.argv[1:])\n"
        )
        before = shop.save().results()
        done = subprocess.run(
            (sys.executable, "-c", code, "rpm-all", *TARGET),
            cwd=shop.home,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = done.stderr.partition("-----\n")[2]
        assert (done.returncode, done.stdout) == (17, ""), done.stderr
        assert shop.results() == before
    assert said.startswith("error: this step needs root\n• Install and smoke-test: clean roots are made with mounts")
    assert "Traceback" not in said


@pytest.fixture
def small_disk(shop: Shop, needs: Callable[..., None]) -> Iterator[Path]:
    """Put the work folder on a file system of 400 kB."""
    needs("mount")
    work = shop.home / ".elpack"
    work.mkdir()
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(work)), capture_output=True, text=True, check=False
    )
    assert mounted.returncode == 0, mounted.stderr
    yield work
    subprocess.run(("umount", str(work)), check=True)


@pytest.mark.root
def test_a_full_disk(shop: Shop, small_disk: Path) -> None:
    shop.lib = wheel("lib", filler=1_000_000)
    said = shop.save().refused(19, "plan", *TARGET)
    assert "error: the disk is full" in said
    assert sorted(path.name for path in shop.downloads.iterdir()) == [
        "app-1.0.tar.gz",
        "installer-1.0-py3-none-any.whl",
    ]


@pytest.mark.root
def test_a_disk_that_fills_up_between_two_writes(shop: Shop, small_disk: Path) -> None:
    shop.save()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    said = shop.refused(19, "plan", *TARGET)
    assert "error: the disk is full" in said
    filler.unlink()
    assert shop.run("plan", *TARGET).returncode == 0, "the next run goes on"


BACKEND = """\
import io, tarfile
def build_sdist(folder, settings=None):
    with tarfile.open(f"{folder}/app-1.0.tar.gz", "w:gz") as archive:
        for name in ("pyproject.toml", "backend.py", "uv.lock", "PKG-INFO", "app.py"):
            archive.add(name, f"app-1.0/{name}")
    return "app-1.0.tar.gz"
def build_wheel(folder, settings=None, metadata=None):
    raise SystemExit("the wheel of app cannot be made")
"""


@pytest.mark.root
@pytest.mark.integration
def test_an_sdist_that_does_not_build(shop: Shop, needs: Callable[..., None]) -> None:
    needs("mmdebstrap", "dpkg-deb", "rpmbuild", "createrepo_c", "dnf", "bwrap", "rpm")
    repository = Path(__file__).parents[2]
    tree = shop.home.parent / "app"
    tree.mkdir()
    lock = UV_LOCK.replace('dependencies = [{{ name = "lib" }}]\n', "")
    lock = lock.partition('\n[[package]]\nname = "lib"')[0].replace('{{ name = "lib", specifier = ">=1" }}', "")
    (tree / "uv.lock").write_text(lock.format())
    (tree / "pyproject.toml").write_text(PYPROJECT.replace('"lib>=1"', ""))
    (tree / "PKG-INFO").write_text(METADATA.format(name="app", version="1.0"))
    (tree / "backend.py").write_text(BACKEND)
    (tree / "app.py").write_text("")
    shop.release = RELEASE.replace('version = "1.0"', 'path = "../app", version = "1.0"')
    shop.release = shop.release.replace("[targets.el9]", '[targets.el9-standin]\npython = "3.11"')
    shop.save()
    own = {"installer", "packaging", "pip", "setuptools", "wheel"}
    head, *blocks = (repository / "pylock.build.toml").read_text().partition("\n[tool.elpack")[0].split("[[packages]]")
    kept = [block for block in blocks if block.split('"')[1] in own]
    # of a checkout's sdist, only what says how it is built is in the build lock's digest
    project = (tree / "pyproject.toml").read_bytes()
    table = build_lock_table("3.11 x86_64", sha256(f"pyproject.toml {len(project)}\n".encode() + project))
    (shop.home / "pylock.build.toml").write_text("[[packages]]".join((head, *kept)) + "\n" + table)
    (repository / ".elpack" / "standin").mkdir(parents=True, exist_ok=True)
    (shop.home / ".elpack" / "standin").symlink_to(repository / ".elpack" / "standin")
    shutil.rmtree(shop.downloads)
    done = shop.run("rpm", "--target", "el9-standin", "--arch", "x86_64", "--keep-going", "--builder", "bwrap")
    assert done.returncode == 18, done.stderr
    assert "error: a build failed\n• app-1.0.0-1.el9s" in done.stderr
    assert "the wheel of app cannot be made" in done.stderr
    assert "to see it again: sh " in done.stderr
    assert "Traceback" not in done.stderr.partition("error: a build failed")[0]
    assert not list(shop.home.glob("dist/*/*/repo"))
    assert not list(shop.home.glob("dist/**/*.rpm"))
    finished = {path.name.partition("-1")[0] for path in shop.home.glob(".elpack/store/??/*/*.src.rpm")}
    assert {"shop-python3.11-3.11.0", "python3.11-installer"} & finished
