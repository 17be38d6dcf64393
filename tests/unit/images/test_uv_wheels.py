"""Wheels of RPMs, what wheels become in a tree, and why the trees of two carriers may differ."""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import Case, el9

from elpack.archives.cpio import PayloadFile, read_payload
from elpack.errors import ArchiveError, ImageError
from elpack.images import uv
from elpack.naming import dist_name
from elpack.plan.make import make_plan
from elpack.run import Command, Completed
from elpack.steps.images.compare import Found, Reason, why
from elpack.steps.images.uv_content import installed
from elpack.steps.images.uv_index import make_index
from elpack.steps.images.wheels import wheel_from_rpms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from elpack.plan.model import Package, Plan

SITE = "/opt/shop/lib/python3.12/site-packages"
INFO = f"{SITE}/own-1.0.dist-info"
PAYLOAD: Mapping[str, tuple[int, bytes]] = {
    "/opt/shop": (stat.S_IFDIR | 0o755, b""),
    "/opt/shop/bin/own": (stat.S_IFREG | 0o755, b"#!/opt/shop/bin/python\nimport own\n"),
    "/opt/shop/bin/helper": (stat.S_IFREG | 0o755, b"#!/bin/sh\necho helper\n"),
    "/opt/shop/share/own/data.txt": (stat.S_IFREG | 0o644, b"data\n"),
    f"{SITE}/own/__init__.py": (stat.S_IFREG | 0o644, b"import os\n"),
    f"{SITE}/own/fast.so": (stat.S_IFREG | 0o755, b"\x7fELF"),
    f"{SITE}/own/__pycache__/__init__.cpython-312.pyc": (stat.S_IFREG | 0o644, b"code"),
    f"{INFO}/METADATA": (stat.S_IFREG | 0o644, b"Metadata-Version: 2.1\nName: own\nVersion: 1.0\n"),
    f"{INFO}/INSTALLER": (stat.S_IFREG | 0o644, b"rpm\n"),
    f"{INFO}/WHEEL": (stat.S_IFREG | 0o644, b"Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any\n"),
    f"{INFO}/entry_points.txt": (stat.S_IFREG | 0o644, b"[console_scripts]\nown = own:main\ndead = own:dead\n"),
    "/usr/bin/own": (stat.S_IFLNK | 0o777, b"../../opt/shop/bin/own"),
}


def _cpio(files: Mapping[str, tuple[int, bytes]], links: int = 1) -> bytes:
    out = b""
    for path, (mode, content) in {**files, "TRAILER!!!": (0, b"")}.items():
        name = (path if path == "TRAILER!!!" else f".{path}").encode() + b"\0"
        fields = (7, mode, 0, 0, links if stat.S_ISREG(mode) else 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return out


def _plan() -> Plan:
    return make_plan(Case().inputs())


def _package(**changes: object) -> Package:
    own = next(one for one in _plan().packages if one.dist == "own")
    return replace(own, **changes)  # type: ignore[arg-type]


def _wheel(tmp_path: Path, package: Package, files: Mapping[str, tuple[int, bytes]] = PAYLOAD) -> Path:
    def rpm2cpio(command: Command) -> Completed:
        with open(command.argv[-1], "wb") as file:  # noqa: PTH123
            file.write(_cpio(files))
        return Completed(command, 0, "", "", 0.0)

    return wheel_from_rpms(package, [tmp_path / "own.rpm"], "3.12", tmp_path, rpm2cpio)


def test_a_payload_is_read_as_rpm_writes_it(tmp_path: Path) -> None:
    (tmp_path / "cpio").write_bytes(_cpio(PAYLOAD))
    found = list(read_payload(tmp_path / "cpio"))
    assert [one.path for one in found] == [path for path in PAYLOAD if path != "/opt/shop"]
    assert found[-1] == PayloadFile("/usr/bin/own", stat.S_IFLNK | 0o777, b"../../opt/shop/bin/own")


def test_files_with_several_names_have_one_content(tmp_path: Path) -> None:
    mode = stat.S_IFREG | 0o644
    (tmp_path / "cpio").write_bytes(_cpio({"/a": (mode, b""), "/b": (mode, b"content")}, links=2))
    assert [(one.path, one.content) for one in read_payload(tmp_path / "cpio")] == [
        ("/a", b"content"),
        ("/b", b"content"),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no payload" * 20, "no payload of an RPM"),
        (_cpio(PAYLOAD)[:-50], "ends too early"),
        (_cpio({"/../etc/passwd": (stat.S_IFREG, b"")}), "leaves the root"),
        (_cpio(PAYLOAD).replace(b"070701000", b"070701xyz"), "damaged header"),
    ],
)
def test_what_rpm_does_not_write_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "cpio").write_bytes(content)
    with pytest.raises(ArchiveError, match=words):
        list(read_payload(tmp_path / "cpio"))


def test_a_wheel_holds_what_its_rpm_holds_below_the_prefix(tmp_path: Path) -> None:
    path = _wheel(tmp_path, _package())
    assert path.name == "own-1.0-py2.py3-none-any.whl"
    with zipfile.ZipFile(path) as wheel:
        modes = {member.filename: member.external_attr >> 16 & 0o777 for member in wheel.infolist()}
        record = list(csv.reader(io.StringIO(wheel.read("own-1.0.dist-info/RECORD").decode())))
    assert modes == {
        "own/__init__.py": 0o644,
        "own/fast.so": 0o755,
        "own-1.0.data/data/share/own/data.txt": 0o644,
        "own-1.0.data/scripts/helper": 0o755,
        "own-1.0.dist-info/METADATA": 0o644,
        "own-1.0.dist-info/WHEEL": 0o644,
        "own-1.0.dist-info/entry_points.txt": 0o644,
        "own-1.0.dist-info/RECORD": 0o644,
    }
    assert {row[0] for row in record} == modes.keys()


def test_a_wheel_is_the_same_each_time(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.append(_wheel(tmp_path / name, _package()).read_bytes())
    assert made[0] == made[1]


def test_a_dropped_command_is_no_entry_point_any_more(tmp_path: Path) -> None:
    path = _wheel(tmp_path, _package(drop=("bin/dead",)))
    with zipfile.ZipFile(path) as wheel:
        assert wheel.read("own-1.0.dist-info/entry_points.txt") == b"[console_scripts]\nown = own:main\n"


@pytest.mark.parametrize(
    ("gone", "words"), [(f"{INFO}/WHEEL", "WHEEL"), (f"{SITE}/own-1.0.dist-info", "not enough values")]
)
def test_an_rpm_that_is_no_dist_gives_no_wheel(tmp_path: Path, gone: str, words: str) -> None:
    files = {path: value for path, value in PAYLOAD.items() if not path.startswith(gone)}
    with pytest.raises(ImageError, match=words):
        _wheel(tmp_path, _package(), files)


def test_an_rpm_of_another_dist_gives_no_wheel(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"it holds own-1\.0\.dist-info"):
        _wheel(tmp_path, _package(dist=dist_name("other")))


def test_a_tree_is_known_from_its_wheels(tmp_path: Path) -> None:
    files = installed(_wheel(tmp_path, _package()), "/opt/shop", "3.12")
    site = "lib/python3.12/site-packages"
    assert files.keys() >= {f"{site}/own/__init__.py", "share/own/data.txt", "bin/helper", "bin/own", "bin/dead"}
    assert len(files[f"{site}/own/fast.so"]) == len(files["bin/helper"]) == 64
    assert files["bin/own"] == files[f"{site}/own-1.0.dist-info/RECORD"] == ""


def test_nothing_is_resolved_built_or_downloaded() -> None:
    words = uv.sync(el9(), "/usr/bin/python3.12", [dist_name("web")], [dist_name("own"), dist_name("app")])
    assert {"--frozen", "--no-dev", "--no-editable", "--no-build"} <= set(words)
    assert words[words.index("--python-platform") + 1] == "x86_64-manylinux_2_34"
    assert words[-6:] == ("--extra", "web", "--no-install-package", "app", "--no-install-package", "own")
    assert uv.environment("/opt/shop")["UV_OFFLINE"] == "1"


def test_lines_of_shell_take_every_word_literally() -> None:
    lines = uv.stage_lines("/opt/a b", "/context", "/usr/bin/python3.12", [(("echo", "$(id)"), "/a;b")])
    assert lines[0].startswith("export HOME=/elpack/home ")
    assert "UV_PROJECT_ENVIRONMENT='/opt/a b'" in lines[0]
    assert lines[-1] == "cd '/a;b' && echo '$(id)'"


def test_an_index_answers_for_the_addresses_of_a_lock() -> None:
    index = make_index({"https://files.example.org/a/x%2B1.whl": "/x", "http://127.0.0.1:8123/y.whl": "/y"})
    assert index.files == {"files.example.org/a/x+1.whl": "/x", "127.0.0.1:8123/y.whl": "/y"}
    assert index.hosts == ("files.example.org",)
    assert index.ports == ((443, True), (8123, False))
    assert "PRIVATE KEY" in index.certificate
    assert "PRIVATE KEY" not in index.authority


_FILE, _OTHER = Found("f", "1"), Found("f", "2")
_COMMAND = b"#!/opt/shop/bin/python\nimport sys\nfrom own import main\nsys.exit(main())\n"


@pytest.mark.parametrize(
    ("path", "mine", "other", "reason"),
    [
        ("lib/own/__pycache__/a.cpython-312.pyc", _FILE, _OTHER, Reason.BYTECODE),
        ("lib/own/__pycache__/a.cpython-312.pyc", None, _OTHER, None),
        ("lib/own/__pycache__/a.cpython-312.pyc", _FILE, None, None),
        ("lib/own-1.0.dist-info/RECORD", _FILE, None, Reason.RECORD),
        ("lib/own-1.0.dist-info/RECORD", None, _FILE, None),
        ("lib/own-1.0.dist-info/INSTALLER", None, _FILE, Reason.INSTALLER),
        ("lib/own-1.0.dist-info/METADATA", _FILE, _OTHER, None),
        ("lib/own-1.0.dist-info/entry_points.txt", _FILE, _OTHER, Reason.DROPPED),
        ("lib/app-1.0.dist-info/entry_points.txt", _FILE, _OTHER, None),
        ("lib/own/a.py", _FILE, _OTHER, None),
        ("lib/own/a.so", Found("x", "1"), Found("f", "1"), None),
        ("bin/own", Found("x", "1", _COMMAND), Found("x", "2", _COMMAND + b"# else\n"), Reason.COMMAND),
        ("bin/own", Found("x", "1", _COMMAND), Found("x", "2", _COMMAND.replace(b"own", b"evil")), None),
        ("bin/tool", Found("x", "1"), Found("x", "2"), None),
    ],
)
def test_a_difference_has_a_reason_or_is_an_error(
    path: str, mine: Found | None, other: Found | None, reason: Reason | None
) -> None:
    plan = _plan()
    packages = (_package(drop=("bin/dead",)), *(one for one in plan.packages if one.dist != "own"))
    assert why(path, mine, other, replace(plan, packages=packages)) is reason
