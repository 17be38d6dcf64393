"""The real uv, without network, on a tiny application: what it unpacks, what it refuses, and what stays the same."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.programs import program
from tests.shop import BUILD_LOCK, METADATA, PYPROJECT, UV_LOCK, build_lock_table, sdist, sha256, wheel

from elpack.builders.emulation import MACHINE
from elpack.errors import ElpackError, HashMismatchError, ImageError, LockError
from elpack.pipeline import carry_out
from elpack.session import Options, Session
from elpack.steps.base import Base
from elpack.steps.images import uv_tree
from elpack.steps.images.home import Home
from elpack.steps.images.uv_sandbox import UvSandbox
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.images.model import Layer

pytestmark = pytest.mark.root  # a sandbox that a lock's addresses answer in has ports below 1024

PYTHON = "3.11"
ADDRESS = "https://files.invalid/lib-1.0-py3-none-any.whl"
COMPILED = b"a wheel for each architecture"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
OTHER = next(arch for arch in MACHINES if arch != MACHINE)
CONFIG = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
[application]
name = "app"
[first-party.app]
version = "1.0"
sha256 = "{sha256}"
[targets.el9-standin]
python = "3.11"
arches = ["{arch}"]
[[asset]]
source = "app.conf"
destination = "/etc/shop/app.conf"
mode = "0640"
group = "app"
[[asset]]
source = "app.1"
destination = "/usr/share/man/man1/app.1"
[images]
user = 4711
data = "/srv/data"
"""
BACKEND = """\
import base64, hashlib, pathlib, zipfile
FILES = {
    "app/__init__.py": pathlib.Path("app.py").read_text(),
    "app/tool.py": "#!/usr/bin/env python\\n",
    "app-1.0.dist-info/METADATA": pathlib.Path("PKG-INFO").read_text(),
    "app-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "app-1.0.dist-info/entry_points.txt": "[console_scripts]\\napp = app:main\\n",
}
def build_wheel(into, config_settings=None, metadata_directory=None):
    name, record = "app-1.0-py3-none-any.whl", ""
    with zipfile.ZipFile(pathlib.Path(into) / name, "w") as archive:
        for path, text in FILES.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text)}\\n"
        archive.writestr("app-1.0.dist-info/RECORD", record + "app-1.0.dist-info/RECORD,,\\n")
    return name
"""


class _Quiet:
    @contextmanager
    def phase(self, title: str) -> Iterator[Callable[[str], None]]:
        yield lambda _: None

    @contextmanager
    def building(self, plan: object) -> Iterator[object]:
        yield None

    def notice(self, text: str) -> None:
        pass


def _planned(home: Path, *, lib: bytes | None = None, arch: str = MACHINE, **changed: str) -> Session:
    """Return a session with everything fetched and planned; no package of it is an RPM.

    arch: the target's. `compiled` in the place of `lib` is one wheel of it for each architecture.
    """
    downloads = home / ".elpack" / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    lib = lib or wheel("lib")
    lock = UV_LOCK.format(index="https://pypi.invalid/simple/", url=ADDRESS, sha256=sha256(lib), size=len(lib))
    metadata = METADATA.format(name="app", version="1.0") + "Requires-Dist: lib>=1\n"
    files = {"pyproject.toml": PYPROJECT, "uv.lock": lock, "PKG-INFO": metadata, "LICENSE": "MIT\n"}
    files |= {"app.py": "def main(): print('app')\n", "backend.py": BACKEND}
    if lib == COMPILED:
        _lock_compiled(files, downloads)
    app, installer = sdist(files | {name.replace("_", "."): text for name, text in changed.items()}), wheel("installer")
    name = "installer-1.0-py3-none-any.whl"
    (downloads / "app-1.0.tar.gz").write_bytes(app)
    (downloads / "lib-1.0-py3-none-any.whl").write_bytes(lib)
    (downloads / name).write_bytes(installer)
    (home / "elpack.toml").write_text(CONFIG.format(sha256=sha256(app), arch=arch))
    (home / "app.conf").write_text("secret\n")
    (home / "app.1").write_text(".TH app 1\n")
    text = BUILD_LOCK.format(name=name, size=len(installer), sha256=sha256(installer))
    (home / "pylock.build.toml").write_text(text + build_lock_table(f"{PYTHON} {arch}", sha256(app)))
    session = Session(
        Workspace(home / "elpack.toml", home / ".elpack", home / "dist"),
        Options(target="el9-standin", arch=arch, offline=True),
        _Quiet(),  # type: ignore[arg-type]
    )
    carry_out(session, "plan")
    session.base = Base((), "no packages")
    return session


@pytest.fixture(autouse=True)
def _host_as_root(monkeypatch: pytest.MonkeyPatch, needs: Callable[..., None]) -> None:
    """Let the sandbox have this host's Python, which no dnf need install."""
    needs("bwrap", f"python{PYTHON}")

    def sandbox(session: Session, home: Home) -> UvSandbox:
        work, prefix = session.workspace.work / "tasks", session.project.release.prefix
        return UvSandbox(Path("/"), work, home.target, prefix, session.runner)

    def home_of(session: Session) -> Home:
        return Home(replace(session.target, arch=MACHINE), session.base)

    monkeypatch.setattr(uv_tree, "uv_sandbox", sandbox)
    monkeypatch.setattr(uv_tree, "home_of", home_of)


def _lock_compiled(files: dict[str, str], downloads: Path) -> None:
    """Let the lock name a compiled wheel of lib for each architecture, and have them fetched."""
    lines = ""
    for arch, name in MACHINES.items():
        tag = f"cp311-cp311-manylinux_2_17_{arch}"
        found = wheel("lib", tag=tag, more={f"lib.cpython-311-{arch}-linux-gnu.so": program(name)})
        (downloads / f"lib-1.0-{tag}.whl").write_bytes(found)
        url = ADDRESS.replace("py3-none-any", tag)
        lines += f'    {{ url = "{url}", hash = "sha256:{sha256(found)}", size = {len(found)} }},\n'
    files["uv.lock"] = re.sub(r"    \{ url = .*\n", lines, files["uv.lock"])


def _tree(layers: tuple[Layer, ...]) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for layer in layers:
        with tarfile.open(layer.tar) as archive:
            found |= {member.name: member for member in archive}
    return found


def _read(layer: Layer, path: str) -> bytes:
    with tarfile.open(layer.tar) as archive:
        file = archive.extractfile(path)
        assert file is not None
        return file.read()


def test_the_tree_is_a_venv_in_form_with_what_the_lock_froze(tmp_path: Path) -> None:
    third, first = uv_tree.uv_layers(_planned(tmp_path), tmp_path / "layers")
    files = _tree((third, first))
    site = f"opt/shop/lib/python{PYTHON}/site-packages"
    assert {f"{site}/lib.py", f"{site}/app/__init__.py", "opt/shop/bin/app", "opt/shop/pyvenv.cfg"} <= files.keys()
    assert f"{site}/lib.py" not in _tree((first,))
    assert not {name for name in _tree((third,)) if name.startswith(f"{site}/app")}
    assert files["opt/shop/bin/python"].linkname == f"python{PYTHON}"
    assert files[f"opt/shop/bin/python{PYTHON}"].linkname == f"/usr/bin/python{PYTHON}"
    assert _read(first, "opt/shop/bin/app").startswith(b"#!/opt/shop/bin/python\n")
    assert {Path(name).name for name in files if name.startswith("opt/shop/bin/")} == {
        "app",
        "python",
        "python3",
        f"python{PYTHON}",
    }


def test_bytecode_is_never_stale_and_modes_are_those_of_rpms(tmp_path: Path) -> None:
    first = uv_tree.uv_layers(_planned(tmp_path), tmp_path / "layers")[1]
    files = _tree((first,))
    site = f"opt/shop/lib/python{PYTHON}/site-packages/app"
    compiled = _read(first, f"{site}/__pycache__/__init__.cpython-311.pyc")
    assert int.from_bytes(compiled[4:8], "little") == 1  # PEP 552: by hash, and unchecked
    assert stat.S_IMODE(files[f"{site}/tool.py"].mode) == 0o644
    assert stat.S_IMODE(files["opt/shop/bin/app"].mode) == 0o755


def test_beside_the_tree_there_are_configuration_accounts_and_the_volume(tmp_path: Path) -> None:
    first = uv_tree.uv_layers(_planned(tmp_path), tmp_path / "layers")[1]
    files = _tree((first,))
    assert b"app:x:4711:4711:app:/srv/data:/sbin/nologin\n" in _read(first, "etc/passwd")
    assert (files["etc/shop/app.conf"].gid, stat.S_IMODE(files["etc/shop/app.conf"].mode)) == (4711, 0o640)
    assert (files["srv/data"].uid, files["srv/data"].gid) == (4711, 4711)
    owned = {name for name, member in files.items() if member.uid or member.gid}
    assert owned == {"srv/data", "etc/shop/app.conf"}
    assert not any(name.startswith("usr/") for name in files)


def test_nothing_tells_of_this_machine_or_of_the_tools(tmp_path: Path) -> None:
    layers = uv_tree.uv_layers(_planned(tmp_path), tmp_path / "layers")
    for layer in layers:
        content = layer.tar.read_bytes()
        for trace in (str(tmp_path).encode(), b"/elpack", b"uv_cache", b"direct_url", b"files.invalid"):
            assert trace not in content, trace
    assert not {name for name in _tree(layers) if re.search(r"(^|/)(pip|uv|activate|\.lock|INSTALLER)(/|$)", name)}


def test_two_folders_give_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("one", "another-folder"):
        (tmp_path / name).mkdir()
        layers = uv_tree.uv_layers(_planned(tmp_path / name, lib=_lib()), tmp_path / name / "layers")
        found.append([(layer.sha256, layer.size) for layer in layers])
        assert [hashlib.sha256(layer.tar.read_bytes()).hexdigest() for layer in layers] == [one for one, _ in found[-1]]
    assert found[0] == found[1]


def test_layers_for_another_architecture_are_made_here_without_running_anything_of_it(tmp_path: Path) -> None:
    """Pure dists and their bytecode are the same; of compiled ones the lock's wheel for that architecture is taken."""
    found = []
    for arch in MACHINES:
        (tmp_path / arch).mkdir()
        session = _planned(tmp_path / arch, lib=_lib(), arch=arch)
        found.append([layer.sha256 for layer in uv_tree.uv_layers(session, tmp_path / arch / "layers")])
    assert found[0] == found[1]
    (tmp_path / "compiled").mkdir()
    third, _ = uv_tree.uv_layers(_planned(tmp_path / "compiled", lib=COMPILED, arch=OTHER), tmp_path / "layers")
    place = f"opt/shop/lib/python{PYTHON}/site-packages/lib.cpython-311-{OTHER}-linux-gnu.so"
    assert _read(third, place) == program(MACHINES[OTHER])
    assert [name for name in _tree((third,)) if name.endswith(".so")] == [place]


def test_a_change_of_the_application_alone_leaves_the_other_layer(tmp_path: Path) -> None:
    lib, said = _lib(), list[str]()
    before = uv_tree.uv_layers(_planned(tmp_path, lib=lib), tmp_path / "layers")
    changed = _planned(tmp_path, lib=lib, app_py="def main(): print('changed')\n")
    after = uv_tree.uv_layers(changed, tmp_path / "layers", said.append)
    assert before[0] == after[0]
    assert before[1].sha256 != after[1].sha256
    assert said == ["third-party: as before", "wheel of app"]


def test_bytecode_of_before_makes_the_same_layer(tmp_path: Path) -> None:
    session = _planned(tmp_path)
    before = uv_tree.uv_layers(session, tmp_path / "layers")
    (kept,) = (tmp_path / ".elpack/images/uv").glob("*/bytecode/app/*/app/__pycache__/__init__.*.pyc")
    shutil.rmtree(next((tmp_path / ".elpack/images/uv").glob("*/first-party")))
    assert uv_tree.uv_layers(session, tmp_path / "layers") == before
    assert kept.exists()


def test_a_damaged_layer_of_before_is_made_again(tmp_path: Path) -> None:
    session = _planned(tmp_path)
    before = uv_tree.uv_layers(session, tmp_path / "layers")
    (kept,) = (tmp_path / ".elpack/images/uv").rglob("third-party.tar")
    shutil.copy2(kept, tmp_path / "copy")
    kept.unlink()
    kept.write_bytes((tmp_path / "copy").read_bytes()[:-512])
    assert uv_tree.uv_layers(session, tmp_path / "layers") == before


def test_uv_itself_refuses_a_wheel_that_was_tampered_with_after_the_fetch(tmp_path: Path) -> None:
    session = _planned(tmp_path)
    _tamper(tmp_path / ".elpack/downloads/lib-1.0-py3-none-any.whl")
    with pytest.raises(HashMismatchError, match=r"(?s)lib.*sha256"):
        uv_tree.uv_layers(session, tmp_path / "layers")
    assert not list((tmp_path / "layers").glob("*"))
    assert not list((tmp_path / ".elpack/images").rglob("*.tar"))
    assert not list((tmp_path / ".elpack/tasks").glob("uv-*"))


def test_what_was_changed_in_uvs_cache_is_found_in_the_tree(tmp_path: Path) -> None:
    session = _planned(tmp_path)
    real = session.runner

    def tampering(command):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        for path in (tmp_path / ".elpack/tasks").glob("uv-*/elpack/finish_tree.py"):
            evil = "import pathlib, sys\nif sys.argv[1] == 'finish':\n"
            evil += f"    pathlib.Path('/opt/shop/lib/python{PYTHON}/site-packages/lib.py').write_text('evil')\n"
            path.write_text(path.read_text().replace("def main()", f"{evil}\n\ndef main()"))
        return real(command)

    session.runner = tampering
    with pytest.raises(ImageError, match=r"lib\.py: is not as in the wheel"):
        uv_tree.uv_layers(session, tmp_path / "layers")


def test_a_lock_with_another_hash_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    session = _planned(tmp_path)
    path = tmp_path / ".elpack/downloads/app-1.0.tar.gz"
    with tarfile.open(path) as archive:
        lock = archive.extractfile("app-1.0/uv.lock")
        assert lock is not None
        text = lock.read().decode()
    other = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text)
    path.write_bytes(sdist({"pyproject.toml": PYPROJECT, "uv.lock": other}))
    with pytest.raises(LockError, match="changed while it was being used"):
        uv_tree.uv_layers(session, tmp_path / "layers")


def test_a_lock_that_is_not_the_projects_stops_it_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"app requires lib>=2, which the lock was not made for"):
        _planned(tmp_path, pyproject_toml=PYPROJECT.replace("lib>=1", "lib>=2"))
    assert not (tmp_path / ".elpack/tasks").exists()


def test_a_dist_that_is_in_no_lock_stops_it(tmp_path: Path) -> None:
    smuggled = BACKEND.replace('"app/tool.py"', '"other-2.0.dist-info/METADATA"')
    with pytest.raises(ElpackError, match="holds 2 dist-info folders"):
        uv_tree.uv_layers(_planned(tmp_path, backend_py=smuggled), tmp_path / "layers")


def test_a_wheel_that_installs_over_another_is_found(tmp_path: Path) -> None:
    over = BACKEND.replace('"app/tool.py": "', '"lib.py": "')
    session = _planned(tmp_path, backend_py=over, lib=_lib())
    with pytest.raises(ImageError, match=r"site-packages/lib\.py is in two dists"):
        uv_tree.uv_layers(session, tmp_path / "layers")


def test_the_stage_of_a_containerfile_gives_the_same_tree(tmp_path: Path) -> None:
    session = _planned(tmp_path)
    layers = uv_tree.uv_layers(session, tmp_path / "layers")
    (tmp_path / "context").mkdir()
    stage = uv_tree.uv_stage(session, tmp_path / "context")
    assert stage.run == uv_tree.stage_commands(session)
    wanted = {
        name: (one.mode, one.linkname, one.size)
        for name, one in _tree(layers).items()
        if name.startswith("opt/shop/") and not one.isdir()
    }
    assert _staged(stage, tmp_path) == wanted


def _staged(stage: uv_tree.Stage, tmp_path: Path) -> dict[str, tuple[int, str, int]]:
    """Run a stage's lines as a RUN does, and return what is below the prefix afterwards."""
    from elpack.run import Command, run

    root = tmp_path / "root"
    for name in ("opt", "elpack", "etc", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "elpack").rmdir()
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    words: tuple[str, ...] = ("--bind", str(root), "/", "--ro-bind", "/usr", "/usr", "--dev", "/dev", "--proc", "/proc")
    words += ("--ro-bind", str(stage.context), "/context", "--unshare-all", "--die-with-parent", "--")
    run(Command(("bwrap", *words, "sh", "-ec", " && ".join(stage.run)), env={"PATH": "/usr/bin:/bin"})).check()
    found = {}
    for path in (root / stage.prefix.lstrip("/")).rglob("*"):
        if path.is_dir() and not path.is_symlink():
            continue
        link = str(path.readlink()) if path.is_symlink() else ""
        mode, size = (0o777, 0) if link else (stat.S_IMODE(path.stat().st_mode), path.stat().st_size)
        found[str(path.relative_to(root))] = (mode, link, size)
    return found


def _lib() -> bytes:
    """Return a wheel that is the same whenever it is made."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel("lib"))) as old, zipfile.ZipFile(made, "w") as new:
        for member in old.infolist():
            new.writestr(zipfile.ZipInfo(member.filename), old.read(member))
    return made.getvalue()


def _tamper(path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for member in old.infolist():
            new.writestr(member, b"evil = 1\n" if member.filename == "lib.py" else old.read(member))
    path.unlink()
    path.write_bytes(made.getvalue())
