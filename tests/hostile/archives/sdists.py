"""Hostile sdists."""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zipfile
from typing import TYPE_CHECKING

from tests.hostile.archives.tars import Member, packed, pax_record, sdist_of, sound, tar_of
from tests.hostile.corpus import PYPROJECT, Case, Project, metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Content = str | bytes | Callable[[], str | bytes]

LOCK, PLAN, ARCHIVE = 11, 15, 23
TOP = "app-1.0/"
EVIL = b"pwned\n"


def _case(name: str, what: str, data: bytes | Callable[[], bytes], says: str = "", code: int = ARCHIVE) -> Case:
    def make(project: Project) -> None:
        project.sdist = data if isinstance(data, bytes) else data()

    return Case(f"sdist {name}", what, make, code, (says,) if says else (), never=("secret-word",))


def holds(name: str, what: str, *members: Member, says: str = "", code: int = ARCHIVE) -> Case:
    """Return a case of a sound sdist with more members."""
    return _case(name, what, lambda: sdist_of(*members), says, code)


def names() -> Iterator[Case]:
    """Yield names that lead elsewhere, in the header, in its extension, or in both."""
    out, twice = "climbs out of the archive", "entries at its top"
    yield holds("name/up", "a file two folders up", Member(f"{TOP}../../pwned", EVIL), says=out)
    yield holds("name/up-first", "the parent folder itself", Member("../pwned", EVIL), says=out)
    yield holds("name/absolute", "an absolute path", Member("/tmp/pwned", EVIL), says="absolute path")
    yield holds("name/prefix", "a prefix field that climbs", Member("pwned", EVIL, prefix=b"../.."), says=out)
    yield holds("name/dot", "./ within", Member(f"{TOP}./pwned", EVIL), says="shortest form")
    yield holds("name/double", "two slashes", Member("app-1.0//pwned", EVIL), says="shortest form")
    yield holds("name/top", "a second folder at the top", Member("evil/pwned", EVIL), says=twice)
    yield holds("name/top-file", "a file at the top", Member("pwned", EVIL), says=twice)
    yield holds("name/newline", "a line end", Member(f"{TOP}a\n%post", EVIL), says="control characters")
    yield holds("name/escape", "a terminal's escape sequence", Member(f"{TOP}\x1b[2J", EVIL), says="control characters")
    yield holds("name/bytes", "bytes that are not UTF-8", Member(TOP.encode() + b"\xff", EVIL), says="not UTF-8")
    yield holds("name/direction", "a mark that turns the text around", Member(f"{TOP}a\u202eb", EVIL), says="direction")
    yield holds("name/backslash", "backslashes", Member(f"{TOP}..\\..\\pwned", EVIL), code=0)
    yield holds("name/macro", "a macro as a name", Member(f"{TOP}%(pwned)", EVIL), code=0)
    yield holds("name/quote", "a shell's characters as a name", Member(f"{TOP}`pwned`;'$(pwned)", EVIL), code=0)
    yield holds(
        "name/deep", "folders 1500 deep", Member("x", EVIL, pax={"path": TOP + "d/" * 200 + "f"}), says="too deep"
    )
    yield holds("name/long", "a name of 300 bytes", Member("x", EVIL, pax={"path": TOP + "a" * 300}), says="too long")
    yield holds("name/twice", "the same name twice", Member(f"{TOP}pyproject.toml", EVIL), says="twice")
    yield holds(
        "name/file-folder", "a folder of a file's name", Member(f"{TOP}app.py", type=tarfile.DIRTYPE), says="twice"
    )
    yield holds("name/below", "a file below a file", Member(f"{TOP}app.py/x", EVIL), says="lies below")
    yield holds("name/case", "names that differ in case", Member(f"{TOP}APP.py", EVIL), code=0)
    yield holds(
        "name/nfc-nfd",
        "one name in two of Unicode's forms",
        Member(f"{TOP}caf\u00e9", EVIL),
        Member(f"{TOP}cafe\u0301", EVIL),
        says="same name",
    )
    yield holds(
        "pax/path",
        "an extended header with another path",
        Member(f"{TOP}fine", EVIL, pax={"path": "../../pwned"}),
        says=out,
    )
    yield holds(
        "pax/path-absolute",
        "an extended header with an absolute path",
        Member(f"{TOP}fine", EVIL, pax={"path": "/etc/pwned"}),
        says="absolute path",
    )
    yield holds(
        "pax/linkpath",
        "an extended header with another target",
        Member(f"{TOP}l", b"", tarfile.SYMTYPE, "app.py", pax={"linkpath": "/etc/shadow"}),
        says="outside the archive",
    )
    yield holds(
        "pax/global",
        "a global header that renames all that follows",
        Member("g", pax_record("path", "../pwned"), tarfile.XGLTYPE),
        Member(f"{TOP}x", EVIL),
    )
    yield holds("pax/nul", "a path with a NUL", Member(f"{TOP}x", EVIL, pax={"path": f"{TOP}a\0b"}))
    yield holds("pax/size", "a size of 2^80", Member(f"{TOP}x", EVIL, pax={"size": str(1 << 80)}))
    yield holds("pax/size-negative", "a negative size", Member(f"{TOP}x", EVIL, pax={"size": "-1024"}))
    yield holds("pax/size-word", "a size that is no number", Member(f"{TOP}x", EVIL, pax={"size": "pwned"}))
    yield holds("pax/mtime", "times that are no numbers", Member(f"{TOP}x", EVIL, pax={"mtime": "nan"}), code=0)
    yield holds(
        "pax/mtime-huge", "a time after the end of the world", Member(f"{TOP}x", EVIL, pax={"mtime": "9" * 400}), code=0
    )
    yield holds(
        "pax/uid",
        "an owner of root, by name and number",
        Member(f"{TOP}x", EVIL, pax={"uid": "0", "uname": "root\x1b[2J"}),
        code=0,
    )
    yield holds("pax/length", "a record longer than its header", Member(f"{TOP}x", EVIL, raw_pax=b"99999 path=x\n"))
    yield holds("pax/length-zero", "a record of length 0", Member(f"{TOP}x", EVIL, raw_pax=b"0 path=x\n"))
    yield holds(
        "pax/digits",
        "a million digits, which a search looks through again and again",
        Member(f"{TOP}x", EVIL, raw_pax=b"1" * (1 << 20)),
        says="unreasonable",
    )
    yield _case(
        "pax/large",
        "an extended header of 17 MB",
        lambda: sdist_of(Member(f"{TOP}x", EVIL, raw_pax=b"x" * (17 << 20))),
        "unreasonable size",
    )
    yield holds(
        "pax/charset",
        "a header in a charset of its own",
        Member(f"{TOP}x", EVIL, pax={"hdrcharset": "BINARY", "path": f"{TOP}caf\udce9"}),
    )


def kinds() -> Iterator[Case]:
    """Yield links, devices and sparse files."""
    outside = "outside the archive"
    link, hard = tarfile.SYMTYPE, tarfile.LNKTYPE
    yield holds("link/up", "a link out", Member(f"{TOP}l", b"", link, "../../etc"), says=outside)
    yield holds(
        "link/absolute", "a link to an absolute path", Member(f"{TOP}l", b"", link, "/etc/shadow"), says=outside
    )
    yield holds(
        "link/through",
        "a link out, and a file written through it",
        Member(f"{TOP}l", b"", link, "../.."),
        Member(f"{TOP}l/pwned", EVIL),
        says=outside,
    )
    yield holds(
        "link/through-in",
        "a link inside, and a file written through it",
        Member(f"{TOP}l", b"", link, "sub"),
        Member(f"{TOP}l/pwned", EVIL),
        says="lies below",
    )
    yield holds(
        "link/chain",
        "two links that lead out together",
        Member(f"{TOP}a", b"", link, "."),
        Member(f"{TOP}b", b"", link, "a/../.."),
        says=outside,
    )
    yield holds("link/self", "a link to itself", Member(f"{TOP}l", b"", link, "l"), code=0)
    yield holds("link/empty", "a link to nothing", Member(f"{TOP}l", b"", link, ""), says=outside)
    yield _case(
        "link/metadata",
        "a PKG-INFO that is a link",
        lambda: sdist_of(Member(f"{TOP}PKG-INFO", b"", link, "app.py"), without="PKG-INFO"),
        "lacks PKG-INFO",
    )
    yield _case(
        "link/lock",
        "a uv.lock that is a link out",
        lambda: sdist_of(Member(f"{TOP}uv.lock", b"", link, "../../../uv.lock"), without="uv.lock"),
        outside,
    )
    yield _case(
        "link/top",
        "a top folder that is a link",
        lambda: packed(tar_of([Member("app-1.0", b"", link, "/tmp"), *sound()])),
        outside,
    )
    yield holds("hard/out", "a hard link out", Member(f"{TOP}h", b"", hard, "../../etc/shadow"), says="hard link")
    yield holds(
        "hard/absolute",
        "a hard link to an absolute path",
        Member(f"{TOP}h", b"", hard, "/etc/shadow"),
        says="hard link",
    )
    yield holds(
        "hard/later",
        "a hard link to what comes later",
        Member(f"{TOP}h", b"", hard, f"{TOP}z"),
        Member(f"{TOP}z", EVIL),
        says="hard link",
    )
    yield holds(
        "hard/link",
        "a hard link to a link",
        Member(f"{TOP}l", b"", link, "app.py"),
        Member(f"{TOP}h", b"", hard, f"{TOP}l"),
        says="hard link",
    )
    for name, kind in (("fifo", tarfile.FIFOTYPE), ("char", tarfile.CHRTYPE), ("block", tarfile.BLKTYPE)):
        yield holds(f"kind/{name}", f"a {name} device or pipe", Member(f"{TOP}d", b"", kind), says="device or pipe")
    yield holds("kind/unknown", "a type that nobody knows", Member(f"{TOP}x", EVIL, b"Z"), says="device or pipe")
    yield holds("kind/setuid", "set-uid, set-gid, sticky", Member(f"{TOP}x", EVIL, mode=0o7777), code=0)
    sparse = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": f"{TOP}s",
        "GNU.sparse.realsize": str(1 << 50),
    }
    yield holds(
        "sparse/bomb",
        "a sparse file of a petabyte",
        Member(f"{TOP}x", b"1\n0\n1\n".ljust(512, b"\0") + b"x", pax=sparse),
    )
    yield holds(
        "sparse/name",
        "a sparse file with another name",
        Member(
            f"{TOP}x",
            b"0\n".ljust(512, b"\0"),
            pax=sparse | {"GNU.sparse.name": "../../pwned", "GNU.sparse.realsize": "1"},
        ),
    )
    yield holds(
        "sparse/garbage",
        "a sparse map of words",
        Member(f"{TOP}x", b"pwned\n".ljust(512, b"\0"), pax=sparse | {"GNU.sparse.realsize": "1"}),
    )
    yield holds(
        "sparse/endless",
        "a sparse map that never ends",
        Member(f"{TOP}x", b"99999999\n".ljust(512, b"1"), pax=sparse | {"GNU.sparse.realsize": "1"}),
    )
    yield holds("sparse/old", "an old sparse file with a negative map", Member(f"{TOP}x", EVIL, b"S", size=-1))
    old = {"GNU.sparse.map": "0,1,pwned", "GNU.sparse.size": "10"}
    yield holds("sparse/0.1", "a sparse map that is no list of numbers", Member(f"{TOP}x", EVIL, pax=old))
    yield holds("kind/negative", "a negative size", Member(f"{TOP}x", EVIL, size=-512))
    yield holds("kind/huge", "a size of 2^70", Member(f"{TOP}x", EVIL, size=1 << 70))


def streams() -> Iterator[Case]:
    """Yield what lies around a tar: other compressions, more data, less data, bombs."""
    tar = tar_of(sound())
    yield _case("bomb/ratio", "64 MB of zeros", lambda: sdist_of(Member(f"{TOP}z", bytes(64 << 20))), "times its size")
    yield _case(
        "bomb/claim",
        "a member of 8 GB that is not there",
        sdist_of(Member(f"{TOP}z", b"", size=8 << 30)),
        "unpacks to more",
    )
    yield _case("bomb/tail", "64 MB of zeros behind the end", lambda: sdist_of(after=bytes(64 << 20)), "times its size")
    yield _case("gzip/members", "a tar in two gzip members", packed(tar[:700]) + packed(tar[700:]), code=0)
    yield _case("gzip/garbage", "garbage behind the gzip", packed(tar) + b"pwned")
    yield _case("gzip/zeros", "zeros behind the gzip, as tapes have them", packed(tar) + bytes(512), code=0)
    yield _case(
        "gzip/second",
        "a second tar behind the first",
        packed(tar + tar_of([Member("../pwned", EVIL)])),
        "no tar header",
    )
    yield _case(
        "gzip/second-member",
        "a second tar in a gzip member of its own",
        packed(tar) + packed(tar_of([Member("../pwned", EVIL)])),
        "no tar header",
    )
    yield _case("gzip/crc", "a wrong checksum", packed(tar)[:-8] + b"pwnd" + packed(tar)[-4:], "damaged")
    yield _case(
        "gzip/name",
        "a gzip that names another file",
        b"\x1f\x8b\x08\x08" + bytes(6) + b"../../pwned\0" + packed(tar)[10:],
        code=0,
    )
    for cut in (0, 5, 100):
        yield _case(f"gzip/cut-{cut}", f"the first {cut} bytes", packed(tar)[:cut])
    yield _case("gzip/cut-end", "without its end", packed(tar)[:-9], "damaged")
    yield _case("tar/cut", "a tar that ends within a member", packed(tar[:-1100]))
    yield _case("tar/header", "a header with a wrong checksum", packed(tar[:148] + b"000000\0 " + tar[156:]))
    yield _case("tar/empty", "a tar with nothing in it", packed(bytes(1024)), "no such lock", LOCK)
    yield _case("tar/plain", "a tar that is not packed", tar)
    yield _case("tar/xz", "a tar packed by xz", lzma.compress(tar))
    yield _case("tar/bz2", "a tar packed by bzip2", bz2.compress(tar))
    yield _case("tar/zstd", "the beginning of a zstd stream", b"\x28\xb5\x2f\xfd" + bytes(40))
    yield _case("tar/text", "a web page", b"<!doctype html><title>log in</title>")
    yield _case("tar/zip", "a zip under a tar's name", _zip())
    yield _case("tar/gzip-gzip", "a gzip in a gzip", packed(packed(tar)))


def infos() -> Iterator[Case]:
    """Yield metadata and build configurations that nobody should follow."""

    def told(name: str, what: str, member: str, data: Content, says: str = "", code: int = ARCHIVE) -> Case:
        return _case(name, what, lambda: sdist_of(Member(f"{TOP}{member}", _bytes(data)), without=member), says, code)

    yield _case("info/missing", "no PKG-INFO", lambda: sdist_of(without="PKG-INFO"), "lacks PKG-INFO")
    yield told("info/name", "a PKG-INFO of another dist", "PKG-INFO", metadata("other"), "is about")
    yield told(
        "info/version", "a PKG-INFO of another version", "PKG-INFO", metadata("app").replace(b"1.0", b"9"), "is about"
    )
    yield told(
        "info/huge",
        "a version of 5000 digits",
        "PKG-INFO",
        metadata("app").replace(b"Version: 1", b"Version: " + b"1" * 5000),
    )
    yield told(
        "info/large",
        "a PKG-INFO of 20 MB",
        "PKG-INFO",
        lambda: metadata("app") + b"\n" + b"x" * (20 << 20),
        "larger than",
    )
    yield told(
        "info/python",
        "a Requires-Python of 5000 digits",
        "PKG-INFO",
        metadata("app", "Requires-Python: >=" + "1" * 5000),
        "2000 characters",
    )
    yield told(
        "info/requires",
        "a requirement that leads to a URL with a password",
        "PKG-INFO",
        metadata("app", "Requires-Dist: evil @ https://user:secret-word@evil.invalid/e.whl"),
        "leaves out",
        PLAN,
    )
    yield told(
        "info/multipart",
        "a PKG-INFO of several parts",
        "PKG-INFO",
        b"Content-Type: multipart/mixed; boundary=x\n" + metadata("app") + b"\n--x\n\na\n--x--\n",
        "",
        0,
    )

    def project(name: str, what: str, text: Content, says: str = "", code: int = ARCHIVE) -> Case:
        return told(f"pyproject/{name}", what, "pyproject.toml", text, says, code)

    def backend(name: str, value: str, says: str = "build-backend") -> Case:
        return project(name, f"build-backend {value}", PYPROJECT.replace('"backend"', value), says)

    yield backend("spaces", '"back end"')
    yield backend("code", "\"os.system('pwned')\"")
    yield backend("macro", '"%(pwned)"')
    yield backend("newline", '"backend\\n%post"')
    yield backend("traversal", '"../../pwned"')
    yield backend("option", '"-c import os"')
    yield backend("type", "5")
    for name, value in (
        ("up", '[".."]'),
        ("absolute", '["/tmp"]'),
        ("up-later", '["a/../../b"]'),
        ("home", '["~"]'),
        ("newline", '["a\\nb"]'),
    ):
        says = "backend-path"
        expected = 0 if name == "home" else ARCHIVE
        yield project(
            f"path-{name}",
            f"backend-path {value}",
            PYPROJECT.replace('["."]', value),
            "" if expected == 0 else says,
            expected,
        )
    yield project("path-type", "a backend-path of numbers", PYPROJECT.replace('["."]', "[1]"), "backend-path")
    for name, value in (
        ("url", "evil @ https://evil.invalid/evil.tar.gz"),
        ("file", "evil @ file:///tmp/evil"),
        ("git", "evil @ git+ssh://evil.invalid/evil"),
        ("credentials", "evil @ https://user:secret-word@evil.invalid/e.whl"),
    ):
        yield project(
            f"requires-{name}",
            f"requires {value}",
            PYPROJECT.replace("requires = []", f'requires = ["{value}"]'),
            "outside of any index",
        )
    yield project(
        "requires-option",
        "an option of pip as a requirement",
        PYPROJECT.replace("requires = []", 'requires = ["--index-url=https://evil.invalid"]'),
        "no requirement",
    )
    yield project(
        "requires-newline",
        "a requirement with a line end",
        PYPROJECT.replace("requires = []", 'requires = ["a\\n--index-url x"]'),
        "no requirement",
    )
    deep = "(" * 3000 + "os_name == 'a'" + ")" * 3000
    yield project(
        "requires-deep",
        "a marker in 3000 brackets",
        PYPROJECT.replace("requires = []", f'requires = ["a ; {deep}"]'),
        "no requirement",
    )
    yield project("encoding", "not UTF-8", PYPROJECT.encode("utf-16"), "not valid TOML", LOCK)
    yield project("bom", "a byte order mark", b"\xef\xbb\xbf" + PYPROJECT.encode(), "not valid TOML", LOCK)
    yield project("broken", "no TOML", "[build-system", "not valid TOML", LOCK)
    yield project("deep", "arrays 10 000 deep", "a = " + "[" * 10_000, "nested too deeply", LOCK)
    yield project("keys", "a key of 10 000 parts", "a." * 10_000 + "a = 1\n" + PYPROJECT, "more than 100 parts", LOCK)
    yield project("number", "a number of 5000 digits", "a = " + "1" * 5000, "not valid TOML", LOCK)
    yield project("large", "20 MB", lambda: "# " + "x" * (20 << 20), "larger than")
    chain = b"".join(Member("p", pax_record("comment", "x"), tarfile.XHDTYPE).packed() for _ in range(2000))
    yield _case(
        "pax/chain", "2000 extended headers in a row", lambda: packed(tar_of(sound())[:-1024] + chain + bytes(1024))
    )
    yield project("tool", "a tool table that is none", "tool = 5\n" + PYPROJECT, code=0)
    yield project(
        "tables",
        "tables of wrong types",
        "tool = {hatch = 1, poetry = [], flit = {module = {name = 5}}, setuptools = 'x'}\nscripts = 1\n" + PYPROJECT,
        code=0,
    )
    yield project(
        "build-system",
        "a build-system that is a list",
        "build-system = [1]\n[project]" + PYPROJECT.partition("[project]")[2],
        "no table",
    )
    yield project(
        "script",
        "a script with a path as its name",
        PYPROJECT.replace('app = "app:main"', '"../../pwned" = "app:main"'),
        "no name of a command",
    )
    yield project(
        "script-object", "a script of code", PYPROJECT.replace("app:main", "os;pwned"), "not 'module:function'"
    )
    yield _case(
        "setup/only",
        "a setup.py, and no pyproject.toml",
        lambda: sdist_of(Member(f"{TOP}setup.py", b"import os; os.system('pwned')\n"), without="pyproject.toml"),
        "no file pyproject.toml",
    )
    yield told(
        "setup/large", "a setup.py of one line of 4 MB", "setup.py", lambda: b"x" * (4 << 20) + b"#'cmake'", "", 0
    )
    yield told("setup/hook", "a build hook of one line of 4 MB", "hatch_build.py", lambda: b"'" * (4 << 20), "", 0)
    yield told("licence/large", "a licence of 8 MB", "LICENSE", lambda: b"Copyright (c)\n" * (1 << 19), "", 0)
    yield told(
        "licence/slow",
        "a licence that begins like one again and again",
        "LICENSE",
        b"redistribution and use in source and binary forms " * 1000,
        "",
        0,
    )


def _bytes(data: Content) -> bytes:
    data = data() if callable(data) else data
    return data if isinstance(data, bytes) else data.encode()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("app-1.0/PKG-INFO", metadata("app"))
    return out.getvalue()


CASES: tuple[Case, ...] = tuple(case for group in (names, kinds, streams, infos) for case in group())
