from __future__ import annotations

import base64
import hashlib
import stat
import warnings
import zipfile
from typing import TYPE_CHECKING

import pytest

from elpack.archives import Limits, read_wheel
from elpack.errors import ArchiveError
from elpack.model import EntryPoint, Sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DIGEST = Sha256("0" * 64)
LIMITS = Limits()
INFO = "demo-1.0.dist-info"
METADATA = b"Metadata-Version: 2.4\nName: demo\nVersion: 1.0\nSummary: A demo\nLicense-Expression: MIT\n"
WHEEL = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
RIGHT = {"demo/__init__.py": b"x = 1\n", f"{INFO}/METADATA": METADATA, f"{INFO}/WHEEL": WHEEL}


def record(files: Mapping[str, bytes]) -> bytes:
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f'"{name}",sha256={digest},{len(data)}\n')
    return "".join([*lines, f"{INFO}/RECORD,,\n"]).encode()


def make_wheel(
    folder: Path,
    files: Mapping[str, bytes] = RIGHT,
    *,
    name: str = "demo-1.0-py3-none-any.whl",
    recorded: Mapping[str, bytes] | None = None,
    extra: Callable[[zipfile.ZipFile], object] = lambda _: None,
) -> Path:
    """Write a wheel whose RECORD lists `recorded`; `extra` adds what no decent tool would."""
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
        if not any(member.endswith("/RECORD") for member in files):
            archive.writestr(f"{INFO}/RECORD", record(files if recorded is None else recorded))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of duplicates, which is what we want
            extra(archive)
    return path


def refused(path: Path, limits: Limits = LIMITS) -> list[str]:
    """Return the problems with which a wheel is refused."""
    with pytest.raises(ArchiveError) as caught:
        read_wheel(path, DIGEST, limits=limits)
    return [str(problem) for problem in caught.value.problems]


def test_a_right_wheel_becomes_facts(tmp_path: Path) -> None:
    files = RIGHT | {
        f"{INFO}/entry_points.txt": b"[console_scripts]\nDemo = demo.cli : main\nold = demo:run [extra]\n"
        b"[gui_scripts]\nwindow = demo.gui:App.run\n[other]\nx = anything goes\n",
        "demo/with a space.txt": b"",
    }
    facts = read_wheel(make_wheel(tmp_path, files), DIGEST)
    assert facts.filename == "demo-1.0-py3-none-any.whl"
    assert facts.sha256 == DIGEST
    assert facts.root_is_purelib
    assert (facts.metadata.name, facts.metadata.version, facts.metadata.summary) == ("demo", "1.0", "A demo")
    assert facts.metadata.licence_expression == "MIT"
    assert facts.console_scripts == (EntryPoint("Demo", "demo.cli:main"), EntryPoint("old", "demo:run"))
    assert facts.gui_scripts == (EntryPoint("window", "demo.gui:App.run"),)
    assert [file.path for file in facts.files] == sorted([*files, f"{INFO}/RECORD"])
    assert {file.path: file.size for file in facts.files}["demo/__init__.py"] == 6


def test_facts_are_the_same_without_verifying_contents(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, RIGHT | {"demo/__init__.py": b"x = 2\n"}, recorded=RIGHT)
    shallow = read_wheel(path, DIGEST, verify_contents=False)
    assert shallow == read_wheel(make_wheel(tmp_path), DIGEST)


def test_permission_bits_are_kept(tmp_path: Path) -> None:
    def script(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("demo/run.sh")
        info.external_attr = (stat.S_IFREG | 0o4755) << 16
        archive.writestr(info, b"")

    path = make_wheel(tmp_path, recorded=RIGHT | {"demo/run.sh": b""}, extra=script)
    modes = {file.path: file.mode for file in read_wheel(path, DIGEST).files}
    assert modes["demo/run.sh"] == 0o755


def test_a_dist_info_that_is_not_normalised_is_accepted(tmp_path: Path) -> None:
    files = {name.replace("demo", "Py_Demo"): data.replace(b"demo", b"py.demo") for name, data in RIGHT.items()}
    files["Py_Demo-1.0.dist-info/RECORD"] = record(files).replace(b"demo-1.0.d", b"Py_Demo-1.0.d")
    path = make_wheel(tmp_path, files, name="Py_Demo-1.0.0-py3-none-any.whl")
    assert read_wheel(path, DIGEST).metadata.name == "py.demo"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil.py", "climbs out of the archive with '..'"),
        ("demo/../../evil.py", "climbs out of the archive with '..'"),
        ("/etc/passwd", "has an absolute path"),
        ("C:/evil.py", "has an absolute path"),
        ("demo//evil.py", "has a path that is not in its shortest form"),
        ("demo/./evil.py", "has a path that is not in its shortest form"),
        ("demo/a\nb.py", "has control characters in its name"),
        ("demo/a\x1b[2Jb.py", "has control characters in its name"),
        ("demo/a\u2028b.py", "has control characters in its name"),
        ("demo/a\\b.py", "has a backslash in its name, where zip asks for '/'"),
        ("demo/" + "x" * 256, "has a name too long for a file system"),
        ("x/" * 2001 + "y", "has a name too long for a file system"),
        ("demo/__init__.py/below.py", "lies below 'demo/__init__.py', which is a file"),
    ],
)
def test_hostile_names_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    path = make_wheel(tmp_path, extra=lambda archive: archive.writestr(name, b""))
    assert refused(path) == [f"demo-1.0-py3-none-any.whl: {name!a}: {reason}"]


def test_a_nul_byte_in_a_name_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, extra=lambda archive: archive.writestr("demo/aQb.py", b""))
    path.write_bytes(path.read_bytes().replace(b"demo/aQb.py", b"demo/a\0b.py"))
    assert refused(path) == ["demo-1.0-py3-none-any.whl: 'demo/a\\x00b.py': has control characters in its name"]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    def three(archive: zipfile.ZipFile) -> None:
        archive.writestr("../a", b"")
        archive.writestr("/b", b"")
        archive.writestr("demo/__init__.py", b"x = 2\n")

    assert [problem.rpartition(": ")[2] for problem in refused(make_wheel(tmp_path, extra=three))] == [
        "climbs out of the archive with '..'",
        "has an absolute path",
        "stands in the archive twice",
    ]


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    def many(archive: zipfile.ZipFile) -> None:
        for number in range(50):
            archive.writestr(f"../{number}", b"")

    problems = refused(make_wheel(tmp_path, extra=many))
    assert len(problems) == 41
    assert problems[-1] == "demo-1.0-py3-none-any.whl: 10 more problems like these"


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (stat.S_IFLNK, "is a symbolic link, which is not supported in a zip"),
        (stat.S_IFCHR, "is a device or pipe"),
        (stat.S_IFIFO, "is a device or pipe"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, form: int, reason: str) -> None:
    def special(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("demo/special")
        info.external_attr = (form | 0o777) << 16
        archive.writestr(info, b"target")

    assert refused(make_wheel(tmp_path, extra=special))[0] == (f"demo-1.0-py3-none-any.whl: 'demo/special': {reason}")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    data[data.index(b"PK\x03\x04") + 6] |= 1  # and before the member's data
    path.write_bytes(data)
    assert refused(path) == ["demo-1.0-py3-none-any.whl: 'demo/__init__.py': is encrypted"]


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, RIGHT | {"demo/zeros": bytes(1 << 20)})
    where = "demo-1.0-py3-none-any.whl"
    assert refused(path, limits=Limits(total=1 << 19)) == [f"{where}: 'demo/zeros': unpacks to more than 524288 bytes"]
    assert refused(path, limits=Limits(ratio=50, ratio_from=1 << 16)) == [
        f"{where}: 'demo/zeros': unpacks to more than 50 times its size"
    ]
    assert refused(path, limits=Limits(members=2)) == [f"{where}: holds more than 2 members"]
    assert read_wheel(path, DIGEST).files


def test_a_member_that_unpacks_to_more_than_declared_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, RIGHT | {"demo/zeros": bytes(1234567)})
    true_size = (1234567).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true_size, (10).to_bytes(4, "little")))
    assert refused(path) == ["demo-1.0-py3-none-any.whl: is damaged or cut short: Bad CRC-32 for file 'demo/zeros'"]


@pytest.mark.parametrize("name", ["METADATA", "WHEEL", "RECORD"])
def test_missing_files_of_the_format_are_refused(tmp_path: Path, name: str) -> None:
    path = make_wheel(tmp_path, RIGHT | {f"{INFO}/RECORD": record(RIGHT)})
    smaller = tmp_path / "smaller" / path.name
    smaller.parent.mkdir()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(smaller, "w") as new:
        for info in old.infolist():
            if info.filename != f"{INFO}/{name}":
                new.writestr(info.filename, old.read(info))
    assert refused(smaller) == [f"demo-1.0-py3-none-any.whl: lacks {name} in demo-1.0.dist-info"]


def test_a_missing_or_second_dist_info_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, extra=lambda archive: archive.writestr("other-2.dist-info/METADATA", METADATA))
    assert refused(path) == ["demo-1.0-py3-none-any.whl: holds 2 dist-info folders, not one"]
    with zipfile.ZipFile(tmp_path / "demo-1.0-py2-none-any.whl", "w") as archive:
        archive.writestr("demo.py", b"")
    assert refused(tmp_path / "demo-1.0-py2-none-any.whl") == [
        "demo-1.0-py2-none-any.whl: holds 0 dist-info folders, not one"
    ]


def test_name_and_version_must_be_those_of_the_file_name(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, name="other-1.0-py3-none-any.whl")
    assert refused(path) == [
        "other-1.0-py3-none-any.whl: 'demo-1.0.dist-info': is not the dist-info folder that the file name promises",
        "other-1.0-py3-none-any.whl: 'demo-1.0.dist-info/METADATA': is about 'demo 1.0', not what the file name says",
    ]
    files = RIGHT | {f"{INFO}/METADATA": METADATA.replace(b"1.0", b"1.0.1")}
    assert refused(make_wheel(tmp_path, files)) == [
        "demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/METADATA': is about 'demo 1.0.1', not what the file name says"
    ]


def test_metadata_without_name_or_with_two_versions_is_refused(tmp_path: Path) -> None:
    files = RIGHT | {f"{INFO}/METADATA": b"Metadata-Version: 2.1\nVersion: 1.0\nVersion: 2.0\n"}
    where = "demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/METADATA'"
    assert refused(make_wheel(tmp_path, files)) == [
        f"{where}: lacks the field Name, or has it twice",
        f"{where}: lacks the field Version, or has it twice",
    ]


def test_what_is_no_wheel_by_name_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(make_wheel(tmp_path, name="demo.whl"))
    assert problem.startswith("demo.whl: is no file name of a wheel: ")


def test_record_lies_are_refused(tmp_path: Path) -> None:
    where = "demo-1.0-py3-none-any.whl"
    files = RIGHT | {"demo/unlisted.py": b"", "demo/size.py": b"abc"}
    told = RIGHT | {"demo/__init__.py": b"x = 2\n", "demo/gone.py": b"", "demo/size.py": b"abc"}
    text = record(told).replace(b",3\n", b",4\n")
    assert refused(make_wheel(tmp_path, files | {f"{INFO}/RECORD": text})) == [
        f"{where}: 'demo/__init__.py': does not match its sha256 in RECORD",
        f"{where}: 'demo/size.py': has 3 bytes, RECORD says '4'",
        f"{where}: 'demo/unlisted.py': is not listed in RECORD",
        f"{where}: 'demo/gone.py': is listed in RECORD and missing",
    ]


def test_weak_and_missing_hashes_are_refused(tmp_path: Path) -> None:
    digest = base64.urlsafe_b64encode(hashlib.md5(b"x = 1\n").digest()).decode()  # noqa: S324
    rows = record({name: data for name, data in RIGHT.items() if name != "demo/__init__.py"})
    weak = f"demo/__init__.py,md5={digest},6\n".encode()
    where = "demo-1.0-py3-none-any.whl: 'demo/__init__.py'"
    assert refused(make_wheel(tmp_path, RIGHT | {f"{INFO}/RECORD": rows + weak})) == [
        f"{where}: has no usable hash in RECORD: 'md5={digest}'"
    ]
    assert refused(make_wheel(tmp_path, RIGHT | {f"{INFO}/RECORD": rows + b"demo/__init__.py,,\n"})) == [
        f"{where}: has no usable hash in RECORD: ''"
    ]


def test_a_record_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, RIGHT | {f"{INFO}/RECORD": record(RIGHT) + b"a,b\n"})
    assert refused(path) == [
        "demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/RECORD': has a line with 2 fields instead of three"
    ]
    path = make_wheel(tmp_path, RIGHT | {f"{INFO}/RECORD": b"\xff"})
    assert refused(path) == ["demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/RECORD': is not UTF-8"]


def test_an_unknown_wheel_version_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, RIGHT | {f"{INFO}/WHEEL": b"Wheel-Version: 2.0\n"})
    where = "demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/WHEEL'"
    assert refused(path) == [
        f"{where}: has Wheel-Version '2.0'; elpack knows 1",
        f"{where}: does not say Root-Is-Purelib: true or false",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = demo:main\n", "is not in the form of entry points: "),
        ("[console_scripts]\nx = os.system('id')\n", "gives the script x the object \"os.system('id')\", "),
        ("[console_scripts]\nx = demo\n", "gives the script x the object 'demo', not 'module:function'"),
        ("[console_scripts]\n../x = demo:main\n", "names a script '../x', which is no name of a command"),
        ("[console_scripts]\na b = demo:main\n", "names a script 'a b', which is no name of a command"),
        ("[console_scripts]\n-x = demo:main\n", "names a script '-x', which is no name of a command"),
        ("[console_scripts]\nx = demo:main\n evil\n", "gives the script x the object 'demo:main\\nevil', "),
        ("[console_scripts]\nx = a:b\nx = c:d\n", "is not in the form of entry points: "),
    ],
)
def test_wrong_entry_points_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = make_wheel(tmp_path, RIGHT | {f"{INFO}/entry_points.txt": text.encode()})
    (problem,) = refused(path)
    assert problem.startswith(f"demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/entry_points.txt': {reason}")


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    whole = path.read_bytes()
    for content in (b"", b"<html>Log in</html>", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(content)
        assert refused(path) == ["demo-1.0-py3-none-any.whl: is damaged or cut short: File is not a zip file"]


def test_every_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    # Whatever the damage, the only exception is ours.
    path = make_wheel(tmp_path)
    whole = path.read_bytes()
    refusals = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read_wheel(path, DIGEST)
        except ArchiveError:
            refusals += 1
    assert refusals > len(whole) // 2


def test_a_huge_metadata_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, RIGHT | {f"{INFO}/METADATA": METADATA + bytes(2000)})
    assert refused(path, limits=Limits(text=1000)) == [
        "demo-1.0-py3-none-any.whl: 'demo-1.0.dist-info/METADATA': is larger than 1000 bytes"
    ]
