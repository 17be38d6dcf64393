# ruff: noqa: E501, ISC004 - seeds are easier to read as they are
"""Sound inputs that fuzzing begins with, and words of each format that chance would not find."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hostile.archives.tars import Member, packed, sound, tar_of
from tests.hostile.archives.zips import Entry, record, wheel_of
from tests.hostile.archives.zips import sound as sound_wheel
from tests.hostile.corpus import INSTALLER, LIBRARY, LOCK, PYPROJECT, RELEASE, filled, metadata
from tests.shop import BUILD_LOCK, build_lock_table, sha256

from elpack.listed import Content, Listed, Manifest
from elpack.model import Layout

__all__ = ["packed"]

ROOT = Path(__file__).parents[2]
WHEEL_FILES = sound_wheel()
UV_LOCKS = (
    filled(LOCK, b"x", "lib-1.0-py3-none-any.whl"),
    b'version = 1\nrevision = 3\nrequires-python = ">=3.11"\nsupported-markers = ["sys_platform == \'linux\'"]\n'
    b'conflicts = [[{ package = "app", extra = "a" }, { package = "app", extra = "b" }]]\n[[package]]\nname = "app"\n'
    b'version = "1.0"\nsource = { virtual = "." }\nresolution-markers = ["python_version > \'3\'"]\n'
    b'dependencies = [{ name = "lib", version = "1", extra = ["x"], marker = "extra == \'extra-3-app-a\'" }]\n'
    b'[package.optional-dependencies]\na = [{ name = "lib" }]\n[package.metadata]\nrequires-dist = []\n'
    b'provides-extras = ["a"]\n[[package]]\nname = "lib"\nversion = "1"\nsource = { registry = "https://pypi.org/simple" }\n'
    b'sdist = { url = "https://x.org/lib-1.tar.gz", hash = "sha256:' + b"0" * 64 + b'", size = 5, upload-time = '
    b'"2026-01-01T00:00:00Z" }\n[package.optional-dependencies]\nx = [{ name = "app" }]\n',
)
BUILD_LOCKS = (
    (
        BUILD_LOCK.format(name="installer-1.0-py3-none-any.whl", size=len(INSTALLER), sha256=sha256(INSTALLER))
        + build_lock_table("3.12 x86_64", "0" * 64)
        + '[tool.elpack.requires]\ninstaller = ["installer"]\n'
    ).encode(),
)
RELEASES = (filled(RELEASE, b"", ""), filled(LIBRARY, b"", ""), (ROOT / "elpack.toml").read_bytes())
OVERRIDES = tuple(path.read_bytes() for path in sorted((ROOT / "specs" / "overrides").glob("*.toml"))[:6]) or (b"",)
CHANGELOGS = (
    b'[[entry]]\ndist = "app"\nversion = "1.0"\nrevision = 1\ndate = 2026-10-01\ntext = ["x"]\n',
    (ROOT / "specs" / "changelog.toml").read_bytes(),
)
WHEELS = (wheel_of(), wheel_of(Entry("lib/a.py", b"x = 1\n", method=0), Entry("lib-1.0.data/scripts/a", b"#!python\n")))
RECORDS = (record([Entry(name, data) for name, data in WHEEL_FILES.items()]).encode(),)
RPM = Listed("repo/a.rpm", Content(1, "0" * 64), Content(2, "1" * 64), "stack/a", "a==1")
SHOP = Manifest(
    "1", "shop", "1", Layout.STACK, "el9", "3.12", "x86_64", standin=False, files=(RPM,), fingerprint="A" * 40
)
MANIFESTS = (json.dumps(SHOP.as_json()).encode(),)
TARS = (
    tar_of(sound()),
    tar_of([*sound(), Member("x", b"x", pax={"path": "app-1.0/x"}), Member("app-1.0/l", b"", b"2", "app.py")]),
    tar_of([*sound(), Member("app-1.0/h", b"", b"1", "app-1.0/app.py"), Member("app-1.0/d", b"", b"5")]),
)
SDISTS = tuple(packed(tar) for tar in TARS)
PYPROJECTS = (
    PYPROJECT.encode(),
    b'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[tool.hatch.build]\npackages = ["a"]\n'
    b'[tool.hatch.build.targets.wheel]\nforce-include = { "a" = "b" }\n[tool.hatch.build.hooks.custom]\npath = "x"\n'
    b'[tool.flit.module]\nname = "a.b"\n[tool.maturin]\nmodule-name = "a.b"\n[tool.poetry]\nbuild = "x"\n'
    b'scripts = { x = "a:b" }\n[tool.setuptools]\next-modules = []\n[tool.pdm.build]\nwheel-data = {}\n',
)
METADATA = (
    metadata("lib", "Summary: A library", "Requires-Dist: a[b]>=1; extra == 'x'", "Project-URL: Home, https://x.org"),
    b"Metadata-Version: 2.1\nName: lib\nVersion: 1\nLicense: BSD\nClassifier: License :: OSI Approved :: MIT License\n"
    b"Requires-Dist: b (>=1.0a1.post2,!=2.*) ; python_version < '4'\nProvides-Extra: x\nKeywords: a,b\n\nA text.\n",
)
ENTRY_POINTS = (b"[console_scripts]\na = b.c:d.e [x]\n[gui_scripts]\n# c\nf = g:h\n",)
NAMES = (b"1!2.3a4.post5.dev6+local.7", b"some-Name.x", b"python3-foo+x")
REQUIREMENTS = (
    b"a[b,c]>=1.0,!=2.*,~=3.1 ; python_version > '3' and (extra == 'x' or os_name in 'posix')",
    b"a @ https://x",
)
LICENCES = (b"MIT OR (Apache-2.0 WITH LLVM-exception AND GPL-2.0+)", b"LicenseRef-x")
LICENCE_TEXTS = ((ROOT / "LICENSE").read_bytes(),)
TEXTS = (
    b"lib: A summary of (some kind, and\tof %{others}.",
    "\u202eabc \U0001f600 \x1b[2J".encode(),
    b"%%files /opt/a-b_c*",
)
INDEXES = (
    json.dumps(
        {
            "files": [
                {
                    "filename": "lib-1.tar.gz",
                    "url": "../x/lib-1.tar.gz",
                    "hashes": {"sha256": "0" * 64},
                    "size": 5,
                    "upload-time": "2026-01-01T00:00:00Z",
                }
            ]
        }
    ).encode(),
)
WORDS = (
    b"\0", b"\n", b"\r\n", b"%", b"%(x)", b"%{lua:x}", b"\xff", b"\xed\xa0\x80", b"\x1b[2J", b"../", b"/", b"//", b"\\", b'"',
    b"'", b"[", b"]", b"[[", b"]]", b"{", b"}", b"{}", b"[]", b"=", b",", b";", b"#", b"(", b")", b"true", b"1979-01-01",
    b"1979-01-01T00:00:00Z", b"9999-12-31T23:59:59-23:59", b"-1", b"0", b"1e999", b"nan", b"9" * 30, b"9" * 5000,
    b"a" * 300, b"a." * 200, b"(" * 200, b"[" * 2000, b"name", b"version", b"extra", b"marker", b"source", b"registry",
    b"path", b"GNU.sparse.map", b"GNU.sparse.major", b"20 path=../x\n", b"hdrcharset=BINARY", b"PK\1\2", b"PK\3\4",
    b"PK\5\6", b"PK\6\6", b"\x7fELF", b"Content-Type: multipart/mixed; boundary=x\n", b"Content-Transfer-Encoding: base64\n",
    b"=?utf-8?b?AA==?=", b"sha256=", b"and ", b" or ", b"===", b"~=", b" @ ", b"1!", b"+a1b", b"\xe2\x80\xae", b"\xef\xbb\xbf",
)  # fmt: skip


def sdist_with(pyproject: bytes) -> bytes:
    """Return an sdist with this pyproject.toml."""
    members = [member for member in sound() if member.name != "app-1.0/pyproject.toml"]
    return packed(tar_of([*members, Member("app-1.0/pyproject.toml", pyproject)]))
