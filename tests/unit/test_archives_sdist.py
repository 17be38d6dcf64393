from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from elpack.archives import Limits, extract_sdist, read_sdist, sdist_member
from elpack.errors import ArchiveError
from elpack.model import EntryPoint, Sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

DIGEST = Sha256("0" * 64)
PKG_INFO = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
FILE = "demo-1.0.tar.gz"

type_of = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE}


def entry(name: str, kind: str = "file", target: str = "", data: bytes = b"", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = type_of.get(kind, tarfile.DIRTYPE if kind == "folder" else tarfile.REGTYPE)
    info.linkname, info.size, info.mode, info.mtime = target, len(data), mode, 1_000_000_000
    return info


def make_sdist(
    folder: Path, files: Mapping[str, bytes] | None = None, *entries: tarfile.TarInfo, name: str = FILE
) -> Path:
    """Write an sdist with PKG-INFO and these files below demo-1.0, then raw tar entries without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in ({"PKG-INFO": PKG_INFO} | dict(files or {})).items():
            archive.addfile(entry(f"demo-1.0/{member}", data=data), io.BytesIO(data))
        for info in entries:
            archive.addfile(info)
    path = folder / name
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path


def refused(path: Path, read: Callable[..., object] = read_sdist, **options: Limits) -> list[str]:
    """Return the problems with which an sdist is refused."""
    arguments = (DIGEST,) if read is read_sdist else (path.parent,)
    with pytest.raises(ArchiveError) as caught:
        read(path, *arguments, **options)
    return [str(problem) for problem in caught.value.problems]


def test_a_bare_sdist_gets_the_defaults_of_pep_517(tmp_path: Path) -> None:
    facts = read_sdist(make_sdist(tmp_path, {"setup.py": b"", "demo.py": b""}), DIGEST)
    assert (facts.filename, facts.sha256, facts.folder) == (FILE, DIGEST, "demo-1.0")
    assert facts.build_requires == ("setuptools>=40.8.0",)
    assert facts.backend == "setuptools.build_meta:__legacy__"
    assert facts.backend_path == ()
    assert (facts.native, facts.modules, facts.scripts, facts.has_uv_lock) == ("", ("demo",), (), False)


def test_pyproject_becomes_facts(tmp_path: Path) -> None:
    project = b"""
        [build-system]
        requires = ["mine", "wheel>=1; python_version < '4'"]
        build-backend = "backend.api:build"
        backend-path = ["tools"]
        [project.scripts]
        b = "demo.cli:main"
        a = "demo:run"
    """
    facts = read_sdist(make_sdist(tmp_path, {"pyproject.toml": project, "uv.lock": b""}), DIGEST)
    assert facts.build_requires == ("mine", "wheel>=1; python_version < '4'")
    assert (facts.backend, facts.backend_path) == ("backend.api:build", ("tools",))
    assert facts.scripts == (EntryPoint("a", "demo:run"), EntryPoint("b", "demo.cli:main"))
    assert facts.has_uv_lock


def test_scripts_come_from_the_egg_info_of_a_setup_py(tmp_path: Path) -> None:
    files = {"demo.egg-info/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n"}
    assert read_sdist(make_sdist(tmp_path, files), DIGEST).scripts == (EntryPoint("demo", "demo:main"),)


SETUPTOOLS = '[build-system]\nrequires = ["setuptools"{}]\nbuild-backend = "setuptools.build_meta"\n'
HATCH = '[build-system]\nrequires = ["hatchling"{}]\nbuild-backend = "hatchling.build"\n'
HOOK = "[tool.hatch.build.hooks.custom]\n"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"pyproject.toml": HATCH.format("")}, ""),
        ({"pyproject.toml": HATCH.format(', "cffi"'), "docs/x.py": ""}, ""),
        ({"pyproject.toml": HATCH.format(', "cffi"'), "src/x.c": ""}, "CFFI modules (build requirement cffi)"),
        ({"pyproject.toml": HATCH.format(', "cffi"') + HOOK}, "CFFI modules (build requirement cffi)"),
        ({"pyproject.toml": HATCH.format("") + HOOK, "hatch_build.py": "version()"}, ""),
        (
            {"pyproject.toml": HATCH.format("") + HOOK, "hatch_build.py": "build_data['infer_tag'] = True"},
            "hook tags the wheel as not pure",
        ),
        ({"pyproject.toml": HATCH.format(""), "setup.py": "setup(ext_modules=[x])"}, ""),
        ({"setup.py": "setup(ext_modules=[x])"}, "setup.py compiles extension modules (ext_modules)."),
        ({"setup.py": "x = [Extension('a', ['a.c'])]"}, "setup.py compiles extension modules (Extension)."),
        ({"setup.py": "setup()  # no ext_modules=[] any more"}, ""),
        ({"setup.py": "setup(cffi_modules=['b.py:ffi'])"}, "setup.py compiles extension modules (cffi_modules)."),
        (
            {"pyproject.toml": SETUPTOOLS.format("") + "[[tool.setuptools.ext-modules]]\nname = 'x'\n"},
            "setuptools compiles extension modules (pyproject.toml).",
        ),
        ({"pyproject.toml": SETUPTOOLS.format(', "Cython>=3"')}, "Cython compiles it (build requirement cython)."),
        ({"pyproject.toml": SETUPTOOLS.format(', "setuptools_rust"')}, "(build requirement setuptools-rust)."),
        ({"pyproject.toml": '[build-system]\nrequires = ["maturin>=1,<2"]\n'}, "maturin compiles Rust"),
        ({"pyproject.toml": '[build-system]\nrequires = ["meson-python"]\n'}, "meson compiles it"),
        ({"pyproject.toml": '[build-system]\nrequires = ["scikit-build-core"]\n'}, "cmake compiles it"),
        ({"pyproject.toml": '[build-system]\nrequires = []\nbackend-path = ["."]\n', "x/y.pyx": ""}, "Cython sources"),
        ({"pyproject.toml": "[tool.poetry.build]\nscript = 'build.py'\n"}, "A build script compiles"),
    ],
)
def test_native_code_is_recognised(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    native = read_sdist(make_sdist(tmp_path, {k: v.encode() for k, v in files.items()}), DIGEST).native
    assert reason in native if reason else native == ""


@pytest.mark.parametrize(
    ("files", "modules"),
    [
        ({"pyproject.toml": '[tool.hatch.build.targets.wheel]\npackages = ["src/b", "src/a/"]'}, ("a", "b")),
        ({"pyproject.toml": '[tool.hatch.build.targets.wheel]\nonly-include = ["x/one.py"]'}, ("one",)),
        ({"pyproject.toml": '[tool.hatch.build]\npackages = ["deep/er"]'}, ("er",)),
        ({"pyproject.toml": '[tool.flit.module]\nname = "flat"'}, ("flat",)),
        ({"pyproject.toml": '[build-system]\nrequires = ["maturin"]'}, ()),
        ({"pyproject.toml": '[build-system]\nrequires = ["maturin"]\n[tool.maturin]\nmodule-name = "a._a"'}, ("a",)),
        ({"src/demo.py": "", "src/test_demo.py": ""}, ("demo",)),
        ({"src/x.egg-info/top_level.txt": "_fast\nslow\n", "src/other/__init__.py": ""}, ("_fast", "slow")),
        ({"x.egg-info/top_level.txt": "%(id)\n../up\nok\n"}, ("ok",)),
        (
            {"x.egg-info/top_level.txt": "_x\nx\n", "x/__init__.py": "", "setup.py": "setup(ext_package='x')"},
            ("x",),
        ),
        ({"src/pkg/__init__.py": "", "src/pkg/sub/__init__.py": "", "src/mod.py": "", "src/x.c": ""}, ("mod", "pkg")),
        ({"demo/__init__.py": "", "tests/__init__.py": ""}, ("demo",)),
        ({"Demo.py": "", "setup.py": ""}, ("Demo",)),
        ({"unlike.py": ""}, ()),
    ],
)
def test_modules_are_found(tmp_path: Path, files: dict[str, str], modules: tuple[str, ...]) -> None:
    assert read_sdist(make_sdist(tmp_path, {k: v.encode() for k, v in files.items()}), DIGEST).modules == modules


@pytest.mark.parametrize(
    ("backend", "more", "plain"),
    [
        ("hatchling.build", "", True),
        ("flit_core.buildapi", "", True),
        ("pdm.backend", "", True),
        ("poetry.core.masonry.api", "", True),
        ("uv_build", "", True),
        ("hatchling_like.build", "", False),
        ("setuptools.build_meta", "", False),
        ("setuptools.build_meta:__legacy__", "", False),
        ("hatchling.build", '[tool.hatch.build.targets.wheel.shared-data]\n"a" = "share/a"', False),
        ("hatchling.build", '[tool.hatch.build.targets.wheel.force-include]\n"src/py.typed" = "demo/py.typed"', True),
        ("hatchling.build", '[tool.hatch.build.targets.wheel.force-include]\n"a" = "other/a"', False),
        ("hatchling.build", '[tool.hatch.build.force-include]\n"a" = "../a"', False),
        ("hatchling.build", "[tool.hatch.build]\nforce-include = 1", False),
        ("flit_core.buildapi", '[tool.flit.external-data]\ndirectory = "data"', False),
        ("pdm.backend", '[tool.pdm.build.wheel-data]\nscripts = ["a"]', False),
        ("poetry.core.masonry.api", '[tool.poetry]\ninclude = ["a"]', False),
        ("uv_build", '[tool.uv.build-backend.data]\nscripts = "a"', False),
    ],
)
def test_whether_a_wheel_will_hold_more_than_is_declared(
    tmp_path: Path, backend: str, more: str, *, plain: bool
) -> None:
    text = f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n{more}\n'
    facts = read_sdist(make_sdist(tmp_path, {"pyproject.toml": text.encode(), "demo/__init__.py": b""}), DIGEST)
    assert facts.plain is plain


def test_licence_and_readme_files(tmp_path: Path) -> None:
    names = ["LICENSE.txt", "copying", "AUTHORS", "NOTICE", "README.md", "docs/LICENSE", "LICENCE-MIT"]
    files = dict.fromkeys(names, b"")
    facts = read_sdist(make_sdist(tmp_path, files, entry("demo-1.0/README", "link", "README.md")), DIGEST)
    assert facts.licence_files == ("AUTHORS", "LICENCE-MIT", "LICENSE.txt", "NOTICE", "copying")
    assert facts.readme_files == ("README.md",)
    declared = PKG_INFO + b"License-File: docs/LICENSE\nLicense-File: gone\n"
    facts = read_sdist(make_sdist(tmp_path, files | {"PKG-INFO": declared}), DIGEST)
    assert facts.licence_files == ("docs/LICENSE",)


def test_placeholders_of_old_tools_are_no_values(tmp_path: Path) -> None:
    text = PKG_INFO + b"Summary: UNKNOWN\nLicense: UNKNOWN\nHome-page: UNKNOWN\nProject-URL: Home Page, https://x\n"
    metadata = read_sdist(make_sdist(tmp_path, {"PKG-INFO": text}), DIGEST).metadata
    assert (metadata.summary, metadata.licence_text, metadata.home_page) == ("", "", "https://x")


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (entry("demo-1.0/../../evil"), "'demo-1.0/../../evil': climbs out of the archive with '..'"),
        (entry("/etc/passwd"), "'/etc/passwd': has an absolute path"),
        (entry("demo-1.0/a\nb"), "'demo-1.0/a\\nb': has control characters in its name"),
        (entry("demo-1.0/\udcff"), "'demo-1.0/\\udcff': has a name that is not UTF-8"),
        (entry("demo-1.0/x", "device"), "'demo-1.0/x': is a device or pipe"),
        (entry("demo-1.0/x", "pipe"), "'demo-1.0/x': is a device or pipe"),
        (entry("demo-1.0/PKG-INFO"), "'demo-1.0/PKG-INFO': stands in the archive twice"),
        (entry("demo-1.0/x", "link", "/etc"), "'demo-1.0/x': is a link to '/etc', outside the archive"),
        (entry("demo-1.0/x", "link", ".."), "'demo-1.0/x': is a link to '..', outside the archive"),
        (entry("demo-1.0/x", "link", "../y"), "'demo-1.0/x': is a link to '../y', outside the archive"),
        (entry("demo-1.0/a/x", "link", "../../y"), "'demo-1.0/a/x': is a link to '../../y', outside the archive"),
        (entry("demo-1.0/x", "link", "a/../.."), "'demo-1.0/x': is a link to 'a/../..', outside the archive"),
        (entry("demo-1.0/x", "link", ""), "'demo-1.0/x': is a link to '', outside the archive"),
        (entry("demo-1.0/x", "hard", "/etc/passwd"), "is a hard link to '/etc/passwd', which is no file before it"),
        (entry("demo-1.0/x", "hard", "demo-1.0/y"), "is a hard link to 'demo-1.0/y', which is no file before it"),
        (entry("other/x"), "holds 2 entries at its top, not one folder"),
    ],
)
def test_hostile_members_are_refused(tmp_path: Path, member: tarfile.TarInfo, reason: str) -> None:
    path = make_sdist(tmp_path, None, member)
    for read in (read_sdist, extract_sdist):
        (problem,) = refused(path, read)
        assert problem.startswith(f"{FILE}: ")
        assert problem.endswith(reason)
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_member_below_a_link_is_refused(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, None, entry("demo-1.0/a", "link", "b"), entry("demo-1.0/a/x"))
    assert refused(path) == [f"{FILE}: 'demo-1.0/a/x': lies below 'demo-1.0/a', which is a symbolic link"]


def test_links_inside_even_dangling_ones_and_repeated_folders_are_legal(tmp_path: Path) -> None:
    path = make_sdist(
        tmp_path,
        {"real name.txt": b"content"},
        entry("demo-1.0", "folder"),
        entry("demo-1.0", "folder"),
        entry("demo-1.0/docs/up", "link", "../real name.txt"),
        entry("demo-1.0/dangling", "link", ".ai/gone"),
        entry("demo-1.0/hard", "hard", "demo-1.0/real name.txt"),
    )
    top = extract_sdist(path, tmp_path)
    assert top == tmp_path / "demo-1.0"
    assert (top / "docs/up").read_bytes() == (top / "hard").read_bytes() == b"content"
    assert (top / "dangling").readlink().as_posix() == ".ai/gone"


def test_extraction_normalises_modes_and_keeps_times(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, None, entry("demo-1.0/run", mode=0o6711), entry("demo-1.0/secret", mode=0o600))
    top = extract_sdist(path, tmp_path)
    assert (top / "run").stat().st_mode & 0o7777 == 0o755
    assert (top / "secret").stat().st_mode & 0o7777 == 0o644
    assert (top / "run").stat().st_mtime == 1_000_000_000


def test_extraction_never_writes_into_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "demo-1.0").symlink_to(tmp_path)
    with pytest.raises(FileExistsError):
        extract_sdist(make_sdist(tmp_path), tmp_path)


def test_a_zip_sdist_reads_and_unpacks_like_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo-1.0/", b"")
        archive.writestr("demo-1.0/PKG-INFO", PKG_INFO)
        archive.writestr("demo-1.0/demo.py", b"x = 1")
    assert read_sdist(path, DIGEST).modules == ("demo",)
    assert sdist_member(path, "demo.py") == b"x = 1"
    assert (extract_sdist(path, tmp_path) / "demo.py").read_bytes() == b"x = 1"


def test_bombs_are_refused_while_they_are_read(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, {"zeros": bytes(1 << 20)})
    for read in (read_sdist, extract_sdist):
        assert refused(path, read, limits=Limits(total=1 << 19)) == [
            f"{FILE}: 'demo-1.0/zeros': unpacks to more than 524288 bytes"
        ]
    (problem,) = refused(path, limits=Limits(ratio=50, ratio_from=1 << 16))
    assert problem == f"{FILE}: 'demo-1.0/zeros': unpacks to more than 50 times its size"
    assert refused(path, limits=Limits(members=1)) == [f"{FILE}: holds more than 1 members"]


def test_a_bomb_behind_the_last_member_is_refused(tmp_path: Path) -> None:
    path = make_sdist(tmp_path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(1 << 20)))
    assert refused(path, limits=Limits(total=1 << 19)) == [f"{FILE}: unpacks to more than 524288 bytes"]


def test_a_huge_extended_header_is_refused(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, None, entry("demo-1.0/" + "x/" * 50_000))
    assert refused(path, limits=Limits(text=2048)) == [f"{FILE}: has a header of unreasonable size"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw: raw[: len(raw) // 2], "Compressed file ended before the end-of-stream marker was reached"),
        (lambda raw: raw[:-4], "Compressed file ended before the end-of-stream marker was reached"),
        (lambda raw: raw[:-8] + bytes(4) + raw[-4:], "CRC check failed"),
        (lambda _: b"<html>Log in</html>", "Not a gzipped file"),
        (lambda _: b"", "empty file"),
        (lambda raw: gzip.compress(gzip.decompress(raw)[:700]), "unexpected end of data"),
        (lambda raw: gzip.compress(gzip.decompress(raw)[:1024] + b"x" * 512), "no tar header at byte 1024"),
        (lambda _: gzip.compress(b"no tar" * 200), "invalid header"),
    ],
)
def test_damaged_archives_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    path = make_sdist(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    (problem,) = refused(path)
    assert problem.startswith(f"{FILE}: is damaged or cut short: ")
    assert reason in problem


def test_every_flipped_byte_of_a_tar_is_refused_or_harmless(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, {"pyproject.toml": HATCH.format("").encode()}, entry("demo-1.0/\u00e4" * 20))
    tar = gzip.decompress(path.read_bytes())
    refusals = 0
    for position in range(0, len(tar), 3):
        path.write_bytes(gzip.compress(tar[:position] + bytes([tar[position] ^ 0xFF]) + tar[position + 1 :], 1))
        try:
            read_sdist(path, DIGEST)
        except ArchiveError:
            refusals += 1
    assert refusals > 100


def with_header(folder: Path, field: str, value: str) -> Path:
    info = entry("demo-1.0/x")
    info.pax_headers = {field: value}
    return make_sdist(folder, None, info)


@pytest.mark.parametrize("value", ["inf", "-1e9", "nan", "1e300"])
def test_absurd_times_do_no_harm(tmp_path: Path, value: str) -> None:
    path = with_header(tmp_path, "mtime", value)
    assert read_sdist(path, DIGEST).folder == "demo-1.0"
    assert (extract_sdist(path, tmp_path) / "x").exists()


@pytest.mark.parametrize("value", ["-512", "-1", "9999999999"])
def test_absurd_sizes_are_refused(tmp_path: Path, value: str) -> None:
    assert refused(with_header(tmp_path, "size", value))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"PKG-INFO": b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"}, "'PKG-INFO': is about 'other 1.0', not "),
        ({"pyproject.toml": b"[build-system"}, "'pyproject.toml': is not valid TOML: "),
        ({"pyproject.toml": b"build-system = 1"}, "'pyproject.toml': has a build-system that is no table"),
        ({"pyproject.toml": b"[build-system]\nrequires = 'x'"}, "has a build-system.requires that is no list of str"),
        ({"pyproject.toml": b"[build-system]\nrequires = ['a b']"}, "requires 'a b' to build, which is no requirement"),
        ({"pyproject.toml": b"[build-system]\nrequires=[]\nbuild-backend='a;b'"}, "has the build-backend 'a;b', which"),
        ({"pyproject.toml": b"[project.scripts]\nx = 'rm -rf /'"}, "gives the script x the object 'rm -rf /', not "),
    ],
)
def test_wrong_contents_are_refused(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    (problem,) = refused(make_sdist(tmp_path, files))
    assert reason in problem


def test_a_source_archive_without_pkg_info_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(entry("demo-1.0/setup.py"))
    assert refused(path) == [
        f"{FILE}: 'demo-1.0': lacks PKG-INFO\n  why: it is no sdist, but maybe a forge's source archive"
    ]


def test_what_is_no_sdist_by_name_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(make_sdist(tmp_path, name="demo.tar.gz"))
    assert problem.startswith("demo.tar.gz: is no file name of an sdist: ")


def test_one_member_is_read(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, {"uv.lock": b"version = 1"}, entry("demo-1.0/link", "link", "uv.lock"))
    assert sdist_member(path, "uv.lock") == b"version = 1"
    for name in ("link", "missing", "../PKG-INFO"):
        with pytest.raises(ArchiveError, match=rf"\Ademo-1\.0\.tar\.gz: holds no file {name}\Z"):
            sdist_member(path, name)
    with pytest.raises(ArchiveError, match=r"'demo-1\.0/uv\.lock': is larger than 10 bytes"):
        sdist_member(path, "uv.lock", limits=Limits(text=10, total=1 << 20))


def test_nothing_stays_when_unpacking_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    path = make_sdist(tmp_path)
    monkeypatch.setattr(os, "utime", fail)
    with pytest.raises(KeyboardInterrupt):
        extract_sdist(path, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
