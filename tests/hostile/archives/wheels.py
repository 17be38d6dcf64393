"""Hostile wheels. What elpack packages all the same is installed by its own script, and compared with `installs`."""

from __future__ import annotations

import io
import struct
import tarfile
from typing import TYPE_CHECKING, Literal

from tests.hostile.archives.zips import (
    DEVICE,
    FIFO,
    FILE,
    FOLDER,
    LINK,
    STORED,
    UTF8,
    Entry,
    about,
    record,
    sound,
    wheel_of,
    zip_of,
)
from tests.hostile.corpus import INFO, Case, Project, record_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARCHIVE, MISMATCH, PLAN = 23, 14, 15
EVIL = b"#!/bin/sh\npwned\n"
SITE = "lib/python3.12/site-packages"


def _case(name: str, what: str, data: bytes | Callable[[], bytes], says: str = "", code: int = ARCHIVE) -> Case:
    def make(project: Project) -> None:
        project.wheel = data if isinstance(data, bytes) else data()

    return Case(f"wheel {name}", what, make, code, (says,) if says else ())


def named(name: str | bytes, what: str, path: str | bytes, says: str = "", code: int = ARCHIVE) -> Case:
    """Return a case of a file under a name, with a RECORD that lists it."""
    return _case(f"name/{name!s}", what, lambda: wheel_of(Entry(path, EVIL)), says, code)


def names() -> Iterator[Case]:
    """Yield names of members that lead elsewhere, or that mean something to somebody."""
    out = "climbs out of the archive"
    yield named("up", "a file two folders up", "../../pwned", out)
    yield named("up-within", "a path that climbs and comes back", "lib/../../pwned", out)
    yield named("absolute", "an absolute path", "/tmp/pwned", "absolute path")
    yield named("drive", "a Windows drive", "C:/pwned", "absolute path")
    yield named("backslash", "backslashes as Windows has them", "..\\..\\pwned", "backslash")
    yield named("share", "a Windows share", "\\\\host\\pwned", "backslash")
    yield named("double-slash", "two slashes in a row", "lib//pwned", "shortest form")
    yield named("dot", "./ in front", "./pwned.py", "shortest form")
    yield named("dot-within", "/./ within", "lib/./pwned.py", "shortest form")
    yield named("empty", "no name at all", "", "empty name")
    yield named("newline", "a line end, and a section of a spec behind it", "a\n%post\npwned", "control characters")
    yield named("return", "a carriage return", "a\rpwned", "control characters")
    yield named("escape", "a terminal's escape sequence", "a\x1b]0;pwned\x07", "control characters")
    yield named("nul", "a NUL, at which some programs stop reading", "lib/a.py\0.txt", "control characters")
    yield named("c1", "a control character of ISO 8859", "a\x9bpwned", "control characters")
    yield named("direction", "a mark that turns the text around", "a\u202eyp.exe", "direction")
    yield named("latin", "bytes that are not UTF-8, said to be", b"caf\xe9.py", "utf-8")
    yield named("surrogate", "a lone surrogate in UTF-8's form", b"\xed\xa0\x80.py", "utf-8")
    yield named("long", "256 bytes", "a" * 256, "too long")
    yield named("long-wide", "100 characters of 3 bytes", "\u4e2d" * 100, "too long")
    yield named("deep", "folders 5000 deep", "d/" * 5000 + "f", "")
    yield named("deeper", "folders 1500 deep, within 4000 bytes", "d/" * 1500 + "f", "")
    yield named("end-slash", "a slash at the end of a file's name", "lib/sub//", "shortest form")
    yield named("data-up", "climbing out of a scheme", "lib-1.0.data/data/../../../pwned", out)
    yield named("data-absolute", "an absolute path in a scheme", "lib-1.0.data/data//etc/pwned", "shortest form")
    # what names may hold as long as the list of files can say it
    for name, path in (
        ("spaces", "lib/a file.py"),
        ("quote", "lib/it's.py"),
        ("globs", "lib/[a]*?.py"),
        ("braces", "lib/{a,b}.py"),
        ("semicolon", "lib/a;pwned;.py"),
        ("dollar", "lib/$(pwned)`pwned`.py"),
        ("dash", "-rf"),
        ("end-dot", "lib/dir./a."),
        ("tilde", "~root/.ssh"),
        ("hash", "#pwned"),
        ("at", "@pwned"),
        ("parenthesis", "lib/%dir (x)".replace("%dir ", "")),
    ):
        yield named(name, f"{path} as a name", path, code=0)
    for name, path in (
        ("percent", "lib/100%.py"),
        ("macro", "lib/%(pwned).py"),
        ("macro-lua", "lib/%{lua:os.execute('pwned')}.py"),
        ("double-quote", 'lib/a".py'),
    ):
        yield named(name, f"{path} as a name, which rpm would read", path, "no RPM can list", PLAN)
    yield named("case", "two names that differ in case", "LIB.py", code=0)
    yield _case(
        "name/cp437",
        "a name in the old code page without the flag",
        wheel_of(Entry(b"caf\x82.py", EVIL, flags=0)),
        "RECORD",
    )
    yield _case(
        "name/normal-form",
        "one name in two of Unicode's normal forms",
        wheel_of(Entry("caf\u00e9.py"), Entry("cafe\u0301.py")),
        "same name",
    )


def kinds() -> Iterator[Case]:
    """Yield members that are no plain files, and names that stand twice."""
    yield _case(
        "kind/link", "a symbolic link out", wheel_of(Entry("lib/l", b"../../../etc/shadow", LINK)), "symbolic link"
    )
    yield _case("kind/link-in", "a symbolic link inside", wheel_of(Entry("lib2.py", b"lib.py", LINK)), "symbolic link")
    yield _case("kind/fifo", "a pipe", wheel_of(Entry("lib/p", b"", FIFO)), "device or pipe")
    yield _case("kind/device", "a device", wheel_of(Entry("lib/d", b"", DEVICE)), "device or pipe")
    yield _case("kind/socket", "a socket", wheel_of(Entry("lib/s", b"", 0o140755)), "device or pipe")
    yield _case("kind/folder-data", "a folder that has data", wheel_of(Entry("lib/x/", EVIL, FOLDER)), "folder")
    yield _case("kind/setuid", "a set-uid command", wheel_of(Entry("lib-1.0.data/scripts/su", EVIL, 0o104755)), code=0)
    yield _case("kind/setgid", "set-gid, sticky, writable", wheel_of(Entry("lib/x", EVIL, 0o107777)), code=0)
    yield _case("kind/twice", "the same file twice", wheel_of(Entry("lib.py", b"")), "twice")
    yield _case("kind/twice-other", "two files of one name", wheel_of(Entry("lib.py", EVIL)), "twice")
    yield _case("kind/folder-file", "a file and a folder of one name", wheel_of(Entry("lib.py/", b"", FOLDER)), "twice")
    yield _case("kind/below-file", "a file below a file", wheel_of(Entry("lib.py/x", EVIL)), "lies below")


def records() -> Iterator[Case]:
    """Yield RECORDs that lie."""
    evil = Entry("lib/evil.py", EVIL)
    entries = [*(Entry(name, data) for name, data in sound().items()), evil]
    truth = record(entries)
    digest, size = record_hash(EVIL), len(EVIL)

    def lie(name: str, what: str, text: str | bytes, says: str = "", code: int = ARCHIVE) -> Case:
        return _case(f"record/{name}", what, wheel_of(evil, said=text), says, code)

    wrong = record_hash(b"other")
    yield lie("hash", "a wrong hash", truth.replace(digest, wrong), "does not match its sha256")
    yield lie(
        "short", "the beginning of the right hash", truth.replace(digest, digest[:8]), "does not match its sha256"
    )
    yield lie("size", "a wrong size", truth.replace(f",{size}\n", f",{size + 1}\n"), "RECORD says")
    yield lie("size-word", "a size that is no number", truth.replace(f",{size}\n", ",many\n"), "RECORD says")
    yield lie("left-out", "a file that it does not list", record(entries[:-1]), "not listed in RECORD")
    yield lie("too-many", "a file that is not there", truth + f"gone.py,sha256={digest},{size}\n", "and missing")
    yield lie(
        "outside", "a file outside, which an uninstaller would remove", truth + "../../../etc/passwd,,\n", "missing"
    )
    yield lie("no-hash", "a file without a hash", truth.replace(f"sha256={digest},{size}", ","), "no usable hash")
    for name in ("md5", "sha1", "shake_128", "blake2b", "crc32"):
        yield lie(name, f"a hash by {name}", truth.replace(f"sha256={digest}", f"{name}=AAAA"), "no usable hash")
    yield lie("own-hash", "a hash of RECORD itself", truth.replace("RECORD,,", f"RECORD,sha256={wrong},1"), code=0)
    yield lie("twice", "a file twice, with two hashes", f'"lib/evil.py",sha256={wrong},{size}\n{truth}', "twice")
    yield lie("fields", "lines of two and four fields", truth + "a,b\na,b,c,d\n", "fields instead of three")
    yield lie("quote", "a quote that nothing ends", truth + '"', "not CSV")
    yield lie("encoding", "bytes that are not UTF-8", truth.encode() + b"\xff,,\n", "not UTF-8")
    yield lie("long-field", "a field of 200 kB", truth + "x" * 200_000 + ",,\n", "not CSV")
    yield lie("empty", "nothing", "", "not listed")
    unlisted = zip_of([*entries[:-1]])
    yield _case("record/missing", "no RECORD", unlisted, "lacks RECORD")
    signed = Entry(f"{INFO}/RECORD.jws", b'{"payload": "pwned"}')
    yield _case("record/signed", "a signature of another RECORD", wheel_of(signed, said=record(entries[:-1])), code=0)


def infos() -> Iterator[Case]:
    """Yield metadata that belong to somebody else, and metadata that nobody can read."""
    other = {
        "lib.py": b"",
        "other-1.0.dist-info/METADATA": about("other"),
        "other-1.0.dist-info/WHEEL": sound()[f"{INFO}/WHEEL"],
    }

    def told(
        name: str, what: str, member: str, data: bytes | Callable[[], bytes], says: str = "", code: int = ARCHIVE
    ) -> Case:
        def made() -> bytes:
            return wheel_of(files=sound() | {f"{INFO}/{member}": data() if callable(data) else data})

        return _case(f"info/{name}", what, made, says, code)

    yield _case("info/other", "the dist-info of another dist", wheel_of(files=other), "dist-info")
    yield _case("info/two", "two dist-info folders", wheel_of(files=sound() | other), "2 dist-info folders")
    yield _case("info/none", "no dist-info at all", zip_of([Entry("lib.py")]), "0 dist-info folders")
    yield _case("info/file", "a dist-info that is a file", zip_of([Entry(INFO)]), "lacks METADATA")
    yield told("name", "another name in METADATA", "METADATA", about("other"), "is about")
    yield told("version", "another version in METADATA", "METADATA", about("lib").replace(b"1.0", b"2.0"), "is about")
    yield told("nothing", "an empty METADATA", "METADATA", b"", "lacks the field")
    yield told("names", "two names", "METADATA", about("lib", "Name: other"), "lacks the field")
    yield told(
        "huge-version",
        "a version of 5000 digits",
        "METADATA",
        about("lib").replace(b"Version: 1", b"Version: " + b"1" * 5000),
    )
    yield told(
        "multipart",
        "METADATA as a mail of several parts",
        "METADATA",
        b"Content-Type: multipart/mixed; boundary=x\n" + about("lib") + b"\n--x\n\na\n--x--\n",
        "",
        0,
    )
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(500))
    yield told("nested", "METADATA as a mail in a mail, 500 deep", "METADATA", about("lib") + nested, "", 0)
    yield told(
        "charset",
        "METADATA in a code page that decodes to anything",
        "METADATA",
        b"Content-Type: text/plain; charset=utf-7\nContent-Transfer-Encoding: base64\n" + about("lib") + b"\n!!!\n",
        "",
        0,
    )
    yield told("bytes", "METADATA that is no text", "METADATA", bytes(range(256)) * 40, "lacks the field")
    yield told(
        "large", "METADATA of 20 MB", "METADATA", lambda: about("lib") + b"\n" + b"x" * (20 << 20), "larger than"
    )
    yield told(
        "wheel-version", "a wheel of format 2", "WHEEL", b"Wheel-Version: 2.0\nRoot-Is-Purelib: true\n", "Wheel-Version"
    )
    yield told("wheel-nothing", "an empty WHEEL", "WHEEL", b"", "Wheel-Version")
    yield told(
        "purelib",
        "neither purelib nor platlib",
        "WHEEL",
        b"Wheel-Version: 1.0\nRoot-Is-Purelib: pwned\n",
        "Root-Is-Purelib",
    )
    yield told(
        "tag",
        "another tag in WHEEL than in the file's name",
        "WHEEL",
        b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp39-cp39-win32\n",
        code=0,
    )
    for name, text in (
        ("module", "[console_scripts]\nlib = os;pwned:main\n"),
        ("command", "[console_scripts]\n../../pwned = lib:main\n"),
        ("newline", "[console_scripts]\nlib = lib:main\n  pwned\n"),
        ("macro", "[console_scripts]\n%(pwned) = lib:main\n"),
        ("no-section", "lib = lib:main\n"),
        ("twice", "[console_scripts]\nlib = lib:a\nlib = lib:b\n"),
        ("bracket", "[console_scripts\nlib = lib:main\n"),
    ):
        yield told(f"entry-{name}", f"entry points: {text!r}", "entry_points.txt", text.encode(), "entry_points.txt")
    yield told(
        "entry-encoding",
        "entry points that are not UTF-8",
        "entry_points.txt",
        b"[console_scripts]\nl\xe9 = a:b\n",
        "not UTF-8",
    )


def bombs() -> Iterator[Case]:
    """Yield what grows, and zips that look one way to one program and another way to the next."""
    yield _case(
        "bomb/ratio",
        "64 MB of bytes(64 << 20) in 64 kB",
        lambda: wheel_of(Entry("lib/z", bytes(64 << 20))),
        "times its size",
    )
    yield _case(
        "bomb/nested",
        "a bomb inside of a zip",
        lambda: wheel_of(Entry("lib/z.zip", zip_of([Entry("z", bytes(64 << 20))]), method=STORED)),
        code=0,
    )
    yield _case(
        "bomb/claim",
        "a size of 4 GB that is not there",
        wheel_of(Entry("lib/z", b"x", central_size=0xFFFFFFF0)),
        "unpacks to more",
    )
    yield _case(
        "bomb/lie", "a size that is smaller than the data", wheel_of(Entry("lib/z", bytes(1000), central_size=10))
    )
    overlap = [Entry("lib/0", bytes(1 << 20)), *(Entry(f"lib/{i}", bytes(1 << 20), shares=True) for i in range(1, 30))]
    yield _case("bomb/overlap", "30 members that share one member's data", lambda: wheel_of(*overlap))
    yield _case("bomb/inside", "a member inside of another one's data", _inside(), "shares its bytes")
    huge = struct.pack("<HHQQQ", 1, 24, 1 << 62, 1 << 62, 1 << 62)
    yield _case(
        "zip64/size",
        "sizes and offset of 2^62 by zip64",
        wheel_of(Entry("lib/z", b"x", central_size=0xFFFFFFFF, offset=0xFFFFFFFF, extra=huge)),
    )
    yield _case(
        "zip64/cut",
        "a zip64 record that is too short",
        wheel_of(Entry("lib/z", b"x", central_size=0xFFFFFFFF, extra=b"\1\0\4\0abcd")),
    )
    yield _case(
        "zip64/negative",
        "an offset of 2^64 - 1",
        wheel_of(Entry("lib/z", b"x", offset=0xFFFFFFFF, extra=struct.pack("<HHQ", 1, 8, (1 << 64) - 1))),
    )
    yield _case(
        "zip/local-name",
        "another name before the data than in the directory",
        wheel_of(Entry("lib/a.py", EVIL, local_name=b"lib/b.py")),
    )
    yield _case(
        "zip/local-size",
        "another size before the data than in the directory",
        wheel_of(Entry("lib/a.py", EVIL, local_size=3)),
    )
    yield _case("zip/prefix", "a program before the zip", _prefixed(), "before")
    yield _case("zip/suffix", "data behind the zip", wheel_of(after=b"pwned" * 10))
    yield _case("zip/comment", "a zip comment", wheel_of(comment=b"%(pwned)\n" * 20), code=0)
    yield _case("zip/comment-zip", "a zip within the comment of a zip", wheel_of(comment=zip_of([Entry("pwned")])))
    yield _case("zip/hidden", "a member that only readers of local headers see", _hidden())
    yield _case("zip/encrypted", "an encrypted member", wheel_of(Entry("lib/e", EVIL, flags=UTF8 | 1)), "encrypted")
    for method, name in ((12, "bzip2"), (14, "lzma"), (93, "zstd"), (99, "aes"), (1, "shrink")):
        yield _case(f"zip/{name}", f"compression {method}", wheel_of(Entry("lib/c", EVIL, method=method)), "compress")
    yield _case("zip/crc", "a wrong checksum", wheel_of(Entry("lib/c", EVIL, central_crc=1)), "damaged")
    yield _case(
        "zip/garbage", "data that are no deflate stream", wheel_of(Entry("lib/c", EVIL, packed=b"\xff" * 40)), "damaged"
    )
    good = wheel_of()
    for cut in (0, 1, 10, len(good) // 2, len(good) - 1):
        yield _case(
            f"zip/cut-{cut if cut < 20 else cut - len(good)}",
            f"the first {cut} bytes of a wheel",
            good[:cut],
            "damaged",
        )
    yield _case("zip/text", "a web page", b"<!doctype html><title>log in</title>", "damaged")
    yield _case("zip/tar", "a tar under a wheel's name", _tar(), "damaged")
    yield _case("zip/polyglot", "a tar with a wheel at its end", _tar() + good, "before")
    yield _case("zip/empty", "a zip with nothing in it", zip_of([]), "dist-info")
    yield _case("zip/disk", "a zip of several disks", good.replace(b"PK\5\6\0\0\0\0", b"PK\5\6\7\0\7\0"))


def contents() -> Iterator[Case]:
    """Yield wheels that are well-formed, and hold what somebody should think about."""

    def holds(name: str, what: str, files: dict[str, bytes], says: str = "", code: int = 0, **mode: int) -> Case:
        entries = (Entry(path, data, mode.get("mode", FILE)) for path, data in files.items())
        return _case(f"content/{name}", what, wheel_of(*entries), says, code)

    data = "lib-1.0.data"
    yield holds("pth", "code that runs when the interpreter starts", {"lib.pth": b"import os; os.system('pwned')\n"})
    yield holds(
        "sitecustomize",
        "sitecustomize and usercustomize",
        {"sitecustomize.py": b"import os; os.system('pwned')\n", "usercustomize.py": b""},
    )
    yield holds("stdlib", "modules named like the standard library's", {"os.py": EVIL, "ssl/__init__.py": EVIL})
    yield holds(
        "pycache", "bytecode of its own", {"__pycache__/lib.cpython-312.pyc": EVIL, "lib/__pycache__/x.pyc": EVIL}
    )
    yield holds(
        "shebang", "a script with a hostile first line", {f"{data}/scripts/run": b"#!/bin/sh -c pwned;%(pwned)\n"}
    )
    yield holds("etc", "a file for etc below the prefix", {f"{data}/data/etc/profile.d/x.sh": EVIL})
    yield holds("scheme", "a scheme that nobody knows", {f"{data}/evil/x": EVIL}, "scheme", ARCHIVE)
    yield holds("scheme-none", "a file in no scheme", {f"{data}/x": EVIL}, "scheme", ARCHIVE)
    yield holds(
        "scheme-other", "the data of another dist", {"other-1.0.data/scripts/x": EVIL}, "not this wheel's", ARCHIVE
    )
    yield holds(
        "interpreter", "the interpreter of the private prefix", {f"{data}/scripts/python": EVIL}, "python", PLAN
    )
    yield holds(
        "venv",
        "the file that makes the prefix a venv",
        {f"{data}/data/pyvenv.cfg": b"home = /tmp\n"},
        "pyvenv.cfg",
        PLAN,
    )
    yield holds("lib64", "a file in place of the prefix's lib64", {f"{data}/data/lib64/x": EVIL}, "lib64", PLAN)
    yield holds("other-dist", "a file of another dist", {"app.py": EVIL})
    yield holds("command", "another dist's command", {f"{data}/scripts/app": EVIL}, "both own", PLAN)
    yield holds(
        "elf",
        "machine code of another architecture",
        {"lib/x.so": b"\x7fELF\x02\x01\x01" + bytes(9) + b"\3\0\xb7\0" + bytes(44)},
    )
    yield from machines()
    noted = {f"{INFO}/direct_url.json": b'{"url": "https://u:pwned@h"}', f"{INFO}/REQUESTED": b""}
    yield holds("direct-url", "a note that it came from elsewhere", noted)
    yield holds("installer", "a note of who installed it", {f"{INFO}/INSTALLER": b"pwned"}, "installers alone", ARCHIVE)
    twice = "two files would be"
    yield _case("content/scheme-twice", "one place by two schemes", _two(f"{data}/purelib/lib.py"), twice, PLAN)
    yield _case("content/command-twice", "a script and a command", _two(f"{data}/scripts/lib"), twice, PLAN)
    yield _case("content/command-own", "a command of its own", _two("lib/x"), code=0)


def machines() -> Iterator[Case]:
    """Yield wheels whose name says which machine they are for, and whose machine code is for others."""
    for name, files, says in (
        ("all", {"lib/x.so": _elf(183)}, "machine code for aarch64: lib/x.so"),
        ("32-bit", {"lib/x.so": _elf(62, 1)}, "machine code for x32: lib/x.so"),
        ("big", {"lib/x.so": _elf(62, 2, "big")}, "big endian: lib/x.so"),
        ("no-suffix", {"lib/x": _elf(40, 1)}, "machine code for armv7l: lib/x"),
        ("module", {"lib/x.abi3.so": _elf(183), "lib/y.abi3.so": _elf(62)}, "code for aarch64: lib/x.abi3.so"),
        ("library", {"lib.libs/libx.so.1": _elf(183), "lib/y.so": _elf(62)}, "code for aarch64: lib.libs/libx.so.1"),
        ("name", {"lib/\u202ex.so": _elf(183)}, "direction"),
        ("beside", {"lib/tool_arm64.so": _elf(183), "lib/y.abi3.so": _elf(62)}, ""),
        ("object", {"lib/a.o": _elf(183, kind=1)}, ""),
    ):

        def make(project: Project, files: dict[str, bytes] = files) -> None:
            project.wheel_files |= files
            project.wheel_name = "lib-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"

        code = ARCHIVE if name == "name" else PLAN if says else 0
        yield Case(f"wheel machine/{name}", "a wheel for another machine than its name says", make, code, (says,))


def _elf(machine: int, bits: int = 2, order: Literal["little", "big"] = "little", kind: int = 3) -> bytes:
    """Return the head of a linked ELF file; bits: 1 for 32, 2 for 64."""
    head = bytes([bits, 1 if order == "little" else 2, 1]) + bytes(9)
    return b"\x7fELF" + head + kind.to_bytes(2, order) + machine.to_bytes(2, order) + bytes(44)


def _two(path: str) -> bytes:
    """Return a wheel with a command, and a file at a path."""
    points = Entry(f"{INFO}/entry_points.txt", b"[console_scripts]\nlib = lib:main\n")
    return wheel_of(points, Entry(path, EVIL))


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pwned"))
    return out.getvalue()


def _prefixed() -> bytes:
    return EVIL + wheel_of()


def _inside() -> bytes:
    """Return a wheel one of whose members is the data of another one, a whole zip member in itself."""
    inner = zip_of([Entry("lib/b.py", b"x = 1\n", method=STORED)])
    outer = Entry("lib/a.bin", inner, method=STORED)
    first = wheel_of(outer, Entry("lib/b.py", b"x = 1\n", method=STORED, shares=True))
    return wheel_of(outer, Entry("lib/b.py", b"x = 1\n", method=STORED, shares=True, offset=first.index(inner)))


def _hidden() -> bytes:
    """Return a wheel with a member that the central directory does not list."""
    hidden = zip_of([Entry("lib/hidden.py", EVIL)])
    hidden = hidden[: hidden.index(b"PK\1\2")]
    entries = [Entry(name, data) for name, data in sound().items()]
    entries.append(Entry(f"{INFO}/RECORD", record(entries).encode()))
    whole = zip_of(entries)
    start = whole.index(b"PK\1\2")
    end = bytearray(whole[-22:])
    struct.pack_into("<L", end, 16, start + len(hidden))
    return whole[:start] + hidden + whole[start:-22] + bytes(end)


CASES: tuple[Case, ...] = tuple(case for group in (names, kinds, records, infos, bombs, contents) for case in group())
