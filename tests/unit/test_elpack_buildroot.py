"""What happens inside a build root, on small trees."""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from elpack.assets import elpack_buildroot as buildroot
from elpack.assets.elpack_buildroot import PYTHON, Tree

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_795_132_800
ELF = b"\x7fELF\x02\x01\x01" + bytes(64)
DEFAULTS: dict[str, Any] = {
    "drop": [],
    "keep_source": [],
    "licence": [],
    "must_have": [],
    "script_suffix": "",
    "native": False,
    "pure": False,
}


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Return an empty private prefix in a build root."""
    made = Tree(str(tmp_path / "root"), "/opt/app")
    made.purelib.mkdir(parents=True)
    (made.top / "bin").mkdir()
    return made


def put(folder: Path, files: dict[str, str | bytes], mode: int = 0o644) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)


def finish(tree: Tree, **options: Any) -> list[str]:
    """Finish a tree and return its list of files."""
    files = tree.root.parent / "files"
    places = {"root": str(tree.root), "prefix": tree.prefix, "files": str(files)}
    buildroot.finish(argparse.Namespace(**places, **{**DEFAULTS, **options}))
    return files.read_text().splitlines()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_private_prefix_has_one_folder_of_modules(tmp_path: Path) -> None:
    tree = Tree(str(tmp_path), "/opt/app")
    assert tree.purelib == tree.platlib == tmp_path / "opt/app/lib" / PYTHON / "site-packages"
    assert tree.interpreter == "/opt/app/bin/python"


def test_the_system_has_two(tmp_path: Path) -> None:
    tree = Tree(str(tmp_path), "/usr")
    assert tree.platlib == tmp_path / "usr/lib64" / PYTHON / "site-packages"
    assert tree.interpreter == f"/usr/bin/{PYTHON}"


def test_dropped_files_are_gone(tree: Tree) -> None:
    put(tree.top, {"bin/flatc": "#!/usr/bin/python\n", "bin/keep": "#!/usr/bin/python\n"})
    listed = finish(tree, drop=["bin/flatc"])
    assert listed == ['"/opt/app/bin/keep"']


def test_object_files_of_a_build_are_left_out_and_a_wheel_keeps_its_own(tree: Tree) -> None:
    unlinked = ELF[:16] + (1).to_bytes(2, sys.byteorder) + bytes(46)
    shared = ELF[:16] + (3).to_bytes(2, sys.byteorder) + bytes(46)
    put(tree.purelib, {"app/fast.o": unlinked, "app/fast.so": shared, "app/shared.o": shared, "app/text.o": "no code"})
    assert {line.rpartition("/")[2].rstrip('"') for line in finish(tree, wheel="app.whl") if ".o" in line} == {
        "fast.o",
        "shared.o",
        "text.o",
    }
    assert {line.rpartition("/")[2].rstrip('"') for line in finish(tree) if ".o" in line} == {"shared.o", "text.o"}
    assert (tree.purelib / "app/fast.so").exists()


def test_an_override_that_drops_what_is_not_there_is_out_of_date(tree: Tree) -> None:
    with pytest.raises(SystemExit, match="bin/flatc is to be dropped, but is not there"):
        finish(tree, drop=["bin/flatc"])


def test_what_an_installer_left_is_not_shipped(tree: Tree) -> None:
    names = ("RECORD", "REQUESTED", "direct_url.json", "INSTALLER", "METADATA")
    put(tree.purelib, {f"a-1.dist-info/{name}": "pip\n" for name in names})
    put(tree.purelib, {"a/__pycache__/old.cpython-39.pyc": b"old", "a/__init__.py": ""})
    finish(tree)
    info = tree.purelib / "a-1.dist-info"
    assert sorted(path.name for path in info.iterdir()) == ["INSTALLER", "METADATA"]
    assert (info / "INSTALLER").read_text() == "rpm\n"
    (compiled,) = (tree.purelib / "a/__pycache__").iterdir()
    assert compiled.name == f"__init__.{sys.implementation.cache_tag}.pyc"


@pytest.mark.parametrize(
    ("name", "content", "before", "after"),
    [
        ("a/module.py", "x = 1\n", 0o666, 0o644),
        ("a/module.py", "x = 1\n", 0o600, 0o644),
        ("a/console.py", "#!/usr/bin/env python\nx = 1\n", 0o755, 0o644),
        ("a/tool.sh", "#!/bin/sh\n", 0o775, 0o755),
        ("a/tool.sh", "#!/bin/sh\n", 0o644, 0o644),
        ("a/data", "data", 0o777, 0o644),
        ("a/_x.cpython-311-x86_64-linux-gnu.so", ELF, 0o644, 0o755),
        ("a.libs/libx-1.so.2.0", ELF, 0o600, 0o755),
        ("a/bin/flatc", ELF, 0o755, 0o755),
        ("a/object.o", ELF, 0o644, 0o644),
        ("a/setuid", ELF, 0o4755, 0o755),
    ],
)
def test_modes_are_normal(tree: Tree, name: str, content: str | bytes, before: int, after: int) -> None:
    put(tree.purelib, {name: content}, before)
    finish(tree)
    path = tree.purelib / name
    assert mode(path) == after
    assert path.stat().st_mtime == EPOCH


def test_folders_are_readable(tree: Tree) -> None:
    put(tree.purelib, {"a/__init__.py": ""})
    (tree.purelib / "a").chmod(0o700)
    finish(tree)
    assert mode(tree.purelib / "a") == 0o755


@pytest.mark.parametrize(
    "line", ["#!/usr/bin/python3", "#!/usr/bin/env python", "#!python", "#!/tmp/venv/bin/python -E"]
)
def test_commands_run_with_the_private_interpreter(tree: Tree, line: str) -> None:
    put(tree.top, {"bin/tool": f"{line}\nprint('%')\n"})
    finish(tree)
    assert (tree.top / "bin/tool").read_text() == "#!/opt/app/bin/python\nprint('%')\n"
    assert mode(tree.top / "bin/tool") == 0o755


def test_other_scripts_keep_their_interpreter(tree: Tree) -> None:
    put(tree.top, {"bin/tool": "#!/bin/sh\nexec x\n"})
    put(tree.purelib, {"a/module.py": "#!/usr/bin/env python\nx = 1\n"})
    finish(tree)
    assert (tree.top / "bin/tool").read_text().startswith("#!/bin/sh\n")
    assert (tree.purelib / "a/module.py").read_text().startswith("#!/usr/bin/env python\n")


def test_a_package_that_is_meant_to_hold_machine_code_must(tree: Tree) -> None:
    put(tree.purelib, {"a/__init__.py": ""})
    with pytest.raises(SystemExit, match="no extension module was compiled"):
        finish(tree, native=True)
    put(tree.purelib, {"a/_x.so": ELF})
    assert finish(tree, native=True)


def test_a_package_for_all_architectures_must_not(tree: Tree) -> None:
    put(tree.purelib, {"a/_x.so": ELF})
    with pytest.raises(SystemExit, match="machine code in a package that is meant to be noarch"):
        finish(tree, pure=True)


def test_a_module_that_cannot_be_compiled_is_an_error(tree: Tree, capfd: pytest.CaptureFixture[str]) -> None:
    put(tree.purelib, {"a/bad.py": "def\n"})
    with pytest.raises(SystemExit, match=r"name it under \[\[no-bytecompile\]\]"):
        finish(tree)
    assert "a/bad.py" in capfd.readouterr().out


def test_an_override_leaves_such_a_module_as_source(tree: Tree) -> None:
    put(tree.purelib, {"a/bad.py": "def\n", "a/bad.pyx": "", "a/good.py": ""})
    listed = finish(tree, keep_source=["a/bad.py"])
    compiled = [line for line in listed if line.endswith('.pyc"')]
    assert [line.rpartition("/")[2] for line in compiled] == [f'good.{sys.implementation.cache_tag}.pyc"']


@pytest.mark.parametrize("kept", ["a/good.py", "a/gone.py"])
def test_source_that_compiles_or_is_gone_needs_no_override(tree: Tree, kept: str) -> None:
    put(tree.purelib, {"a/good.py": "x = 1\n", "a/bad.py": "x ="})
    with pytest.raises(SystemExit, match=rf"\[\[no-bytecompile\]\] is out of date: .*: {kept}$"):
        finish(tree, keep_source=["a/bad.py", kept])


def test_files_that_must_be_there_are_counted(tree: Tree) -> None:
    put(tree.purelib, {"a/abi/one.json": "", "a/abi/two.json": "", "a/abi/deep/three.json": "", "a/four.json": ""})
    (tree.purelib / "a/abi/folder.json").mkdir()
    assert finish(tree, must_have=["a/abi/*.json=2", "a/four.json=1"])
    with pytest.raises(SystemExit) as caught:
        finish(tree, must_have=["a/abi/*.json=3", "b/*=1", "a/four.json=1"])
    assert str(caught.value).splitlines()[:-1] == [
        "elpack: a/abi/*.json: 2 files are there, [[must-have]] asks for at least 3",
        "elpack: b/*: 0 files are there, [[must-have]] asks for at least 1",
    ]


def test_bytecode_names_its_source_as_installed_and_its_time(tree: Tree) -> None:
    put(tree.purelib, {"a/__init__.py": "x = 1\n"})
    finish(tree)
    (path,) = (tree.purelib / "a/__pycache__").iterdir()
    content = path.read_bytes()
    assert int.from_bytes(content[8:12], "little") == EPOCH
    assert f"/opt/app/lib/{PYTHON}/site-packages/a/__init__.py".encode() in content
    assert str(tree.root).encode() not in content


def test_the_list_holds_each_path_once_and_only_folders_of_its_own(tree: Tree) -> None:
    put(tree.purelib, {"a/__init__.py": "", "a-1.dist-info/METADATA": ""})
    put(tree.top, {"bin/tool": "#!/usr/bin/python\n", "share/a/data": ""})
    (tree.purelib / "link").symlink_to("a")
    site = f"/opt/app/lib/{PYTHON}/site-packages"
    assert finish(tree) == [
        '"/opt/app/bin/tool"',
        f'%dir "{site}/a"',
        f'"{site}/a/__init__.py"',
        f'%dir "{site}/a/__pycache__"',
        f'"{site}/a/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"',
        f'%dir "{site}/a-1.dist-info"',
        f'"{site}/a-1.dist-info/METADATA"',
        f'"{site}/link"',
        '%dir "/opt/app/share"',
        '%dir "/opt/app/share/a"',
        '"/opt/app/share/a/data"',
    ]


def test_in_the_system_only_folders_among_modules_are_listed(tmp_path: Path) -> None:
    tree = Tree(str(tmp_path / "root"), "/usr")
    put(tree.platlib, {"a/data": ""})
    put(tree.top, {"share/man/man1/a.1": ""})
    assert finish(tree) == [
        f'%dir "/usr/lib64/{PYTHON}/site-packages/a"',
        f'"/usr/lib64/{PYTHON}/site-packages/a/data"',
        '"/usr/share/man/man1/a.1"',
    ]


@pytest.mark.parametrize(
    "name", ["LICENSE", "licence.txt", "COPYING.LIB", "NOTICE", "AUTHORS.md", "licenses/LICENSE", "licenses/vendor/x"]
)
def test_licences_of_a_dist_are_marked(tree: Tree, name: str) -> None:
    put(tree.purelib, {f"a-1.dist-info/{name}": "", "a/LICENSE": ""})
    listed = finish(tree, licence=["LICENSE"])
    marked = [line for line in listed if line.startswith("%license")]
    assert marked == [f'%license "/opt/app/lib/{PYTHON}/site-packages/a-1.dist-info/{name}"']


def test_without_any_those_of_the_source_are_packaged(tree: Tree) -> None:
    put(tree.purelib, {"a-1.dist-info/METADATA": ""})
    assert finish(tree, licence=["LICENSE", "NOTICE"])[-2:] == ["%license LICENSE", "%license NOTICE"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("script (dev).tmpl", "script (dev).tmpl"),
        ("a*b?c[d]", "a[*]b[?]c[[]d]"),
        ("a{b,c}", "a?b,c?"),
        ("q'$`;#~!ü", "q'$`;#~!ü"),
    ],
)
def test_a_path_stands_in_the_list_literally(name: str, expected: str) -> None:
    assert buildroot.quoted(name) == expected


@pytest.mark.parametrize("name", ["%(touch x)", "100%", 'a"b', "a\\b", "a\nb", "a\tb", "a\x7f"])
def test_a_path_that_a_list_cannot_hold_is_refused(tree: Tree, name: str) -> None:
    put(tree.purelib, {name: ""})
    with pytest.raises(SystemExit, match="cannot stand in a file list"):
        finish(tree)


def make_wheel(folder: Path, files: dict[str, str]) -> Path:
    """Write a wheel whose RECORD is right."""
    info = "a-1.dist-info"
    metadata = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: a\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\na-tool = a:main\n",
    }
    path = folder / "a-1-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files | metadata).items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(text.encode())}\n")
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return path


def test_a_wheel_is_installed_and_finished(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        {
            "a/__init__.py": "def main(): pass\n",
            "a-1.data/scripts/old": "#!python\n",
            "a-1.data/data/share/a/x": "data",
        },
    )
    tree, files = Tree(str(tmp_path / "root"), "/opt/app"), tmp_path / "files"
    places = {"root": str(tree.root), "prefix": "/opt/app", "files": str(files), "wheel": str(wheel)}
    buildroot.wheel(argparse.Namespace(**places, **DEFAULTS))
    assert (tree.top / "bin/a-tool").read_text().startswith("#!/opt/app/bin/python\n")
    assert (tree.top / "bin/old").read_text() == "#!/opt/app/bin/python\n"
    listed = files.read_text().splitlines()
    assert '"/opt/app/share/a/x"' in listed
    assert not [line for line in listed if "RECORD" in line]


def test_a_module_is_imported_by_the_private_interpreter(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    prefix = tmp_path / "app"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/python").symlink_to(sys.executable)
    tree = Tree(str(tmp_path / "root"), str(prefix))
    put(tree.purelib, {"good.py": "import json\n", "bad.py": "import no_such_module\n"})
    options = argparse.Namespace(root=str(tree.root), prefix=str(prefix), modules=["good"])
    buildroot.check(options)
    assert "imported good" in capfd.readouterr().out
    options.modules = ["good", "bad"]
    with pytest.raises(SystemExit, match="cannot import bad"):
        buildroot.check(options)
    assert "No module named 'no_such_module'" in capfd.readouterr().err
    assert not list(tree.purelib.glob("**/*.pyc"))


def test_a_backend_is_called_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "own_backend:hooks"\nbackend-path = ["backend"]\n'
    )
    put(
        tmp_path / "backend",
        {
            "own_backend.py": "class hooks:\n    @staticmethod\n    def build_wheel(into):\n"
            "        with open('calls', 'a') as file:\n            file.write(into)\n        return 'x.whl'\n"
        },
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    buildroot.build(argparse.Namespace(into="wheels"))
    assert (tmp_path / "calls").read_text() == "wheels"
    assert (tmp_path / "wheels").is_dir()


def test_the_command_line_has_the_options_of_the_macros(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tree.purelib, {"a/bad.py": "def\n", "b": ""})
    files = tree.root.parent / "files"
    common = ["--root", str(tree.root), "--prefix", tree.prefix, "--files", str(files)]
    drop = f"lib/{PYTHON}/site-packages/b"
    monkeypatch.setattr(sys, "argv", ["x", "finish", *common, "-d", drop, "-k", "a/bad.py", "-l", "LICENSE", "-p"])
    buildroot.main()
    assert files.read_text().splitlines()[-1] == "%license LICENSE"
    assert not os.path.lexists(tree.top / drop)


def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *entries: str) -> Path:
    """Have `copy` copy what rpm says that installed packages own; return the build root."""
    answer = argparse.Namespace(stdout="".join(f"{entry}\n" for entry in entries))
    monkeypatch.setattr("subprocess.run", lambda *_args, **_named: answer)
    into = tmp_path / "root"
    files = tmp_path / "files"
    buildroot.copy(argparse.Namespace(root=str(into), files=str(files), leave_out=["/etc/app"], packages=["app"]))
    return into


def test_what_is_installed_is_copied_as_rpm_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "opt"
    put(top, {"LICENSE": "MIT", "x y": "x"})
    (top / "link").symlink_to("LICENSE")
    entries = (
        f"128 33188 7 root root {top}/LICENSE",
        f"0 33188 7 root app {top}/x y",
        f"0 41471 7 root root {top}/link",
    )
    into = copied(tmp_path, monkeypatch, f"0 16877 {EPOCH} root root {top}", *entries, "0 16877 7 root root /etc/app")
    folder = into / str(top).lstrip("/")
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "link", "x y"]
    assert (folder / "link").is_symlink()
    assert folder.stat().st_mtime == EPOCH
    assert (tmp_path / "files").read_text().splitlines() == [
        f'%attr(0755, root, root) %dir "{top}"',
        f'%attr(0644, root, root) %license "{top}/LICENSE"',
        f'"{top}/link"',
        f'%attr(0644, root, app) "{top}/x y"',
    ]


def test_documentation_that_was_not_installed_cannot_be_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"app\.1 is not in the build root"):
        copied(tmp_path, monkeypatch, f"2 33188 7 root root {tmp_path}/app.1")


def test_below_usr_only_folders_of_its_own_are_listed(tmp_path: Path) -> None:
    tree = Tree(str(tmp_path / "root"), "/usr")
    files = {"share/app/data": "", "share/man/man1/app.1": "", "bin/app": "", f"include/{PYTHON}/app/app.h": ""}
    put(tree.top, {**files, f"lib/{PYTHON}/site-packages/app/__init__.py": ""})
    folders = {line.split('"')[1] for line in finish(tree) if line.startswith("%dir")}
    site = f"/usr/lib/{PYTHON}/site-packages/app"
    assert folders == {"/usr/share/app", f"/usr/include/{PYTHON}/app", site, f"{site}/__pycache__"}
