"""Hostile uv.lock files."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.hostile.corpus import LOCK, Case, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MISMATCH, LOCKED, PLAN, FETCH = 14, 11, 15, 13
SECRET = "secret-word"  # noqa: S105 - no password at all
URL = "https://files.pythonhosted.org/WHEEL_NAME"
HASH = "sha256:WHEEL_SHA256"
LIB = '\n[[package]]\nname = "{0}"\nversion = "1.0"\nsource = {{ registry = "https://pypi.org/simple" }}\n'


def lock(name: str, what: str, text: str | bytes | Callable[[], str], says: str = "", code: int = LOCKED) -> Case:
    """Return a case of an application with this lock; what is large is made when it is needed."""

    def make(project: Project) -> None:
        project.lock = text() if callable(text) else text

    return Case(f"lock {name}", what, make, code, (says,) if says else (), (SECRET,))


def changed(name: str, what: str, old: str, new: str, says: str = "", code: int = LOCKED) -> Case:
    """Return a case of a sound lock in which one text is replaced."""
    assert old in LOCK, old
    return lock(name, what, LOCK.replace(old, new), says, code)


def files() -> Iterator[Case]:
    """Yield what a lock may say of a file: its digest, size, address."""
    yield changed("hash/other", "the hash of another file", HASH, f"sha256:{'0' * 64}", "pinned is", MISMATCH)
    yield changed("hash/none", "no hash", f', hash = "{HASH}"', "", "a sha256 is needed")
    yield changed("hash/md5", "an md5", HASH, f"md5:{'0' * 32}", "found md5")
    yield changed("hash/sha1", "a sha1", HASH, f"sha1:{'0' * 40}", "found sha1")
    yield changed("hash/short", "the beginning of a hash", HASH, "sha256:WHEEL", "a sha256 is needed")
    yield changed("hash/upper", "a hash in capitals", HASH, f"sha256:{'A' * 64}", "a sha256 is needed")
    yield changed("hash/newline", "a line end behind a hash", HASH, f"{HASH}\\n", "a sha256 is needed")
    yield changed("hash/escape", "an escape sequence as algorithm", HASH, "\\u001b[2Jsha:0", "a sha256 is needed")
    for name, url, says in (
        ("http", "http://files.pythonhosted.org/WHEEL_NAME", "only https"),
        ("file", "file:///etc/WHEEL_NAME", "only https"),
        ("ftp", "ftp://files.pythonhosted.org/WHEEL_NAME", "only https"),
        ("git", "git+https://files.pythonhosted.org/WHEEL_NAME", "only https"),
        ("data", "data:application/zip;base64,AAAA/WHEEL_NAME", "only https"),
        ("none", "", "no URL"),
        ("relative", "../../WHEEL_NAME", "only https"),
        ("scheme-less", "//files.pythonhosted.org/WHEEL_NAME", "only https"),
        ("no-host", "https:///WHEEL_NAME", "only https"),
        ("loopback", "http://127.0.0.1/WHEEL_NAME", "only https"),
        ("password", f"https://user:{SECRET}@files.pythonhosted.org/WHEEL_NAME", "user"),
        ("token", f"https://{SECRET}@files.pythonhosted.org/WHEEL_NAME", "user"),
        ("password-http", f"http://user:{SECRET}@files.pythonhosted.org/WHEEL_NAME", "only https"),
        ("password-at", f"https://user:{SECRET}@pypi.org@evil.invalid/WHEEL_NAME", "user"),
        ("query", f"https://files.pythonhosted.org/WHEEL_NAME?token={SECRET}", "query"),
        ("backslash", "https://files.pythonhosted.org\\\\@evil.invalid/WHEEL_NAME", ""),
        ("idn", "https://f\u0456les.pythonhosted.org/WHEEL_NAME", "only https"),
        ("port", "https://files.pythonhosted.org:99999/WHEEL_NAME", "Port"),
        ("port-word", "https://files.pythonhosted.org:pwned/WHEEL_NAME", "Port"),
        ("bracket", "https://[::1/WHEEL_NAME", "is not a URL"),
        ("newline", "https://files.pythonhosted.org/a\\nSource1: pwned/WHEEL_NAME", "only https"),
        ("space", "https://files.pythonhosted.org/a b/WHEEL_NAME", "only https"),
        ("traversal", "https://files.pythonhosted.org/%2e%2e%2fWHEEL_NAME", "not a file name"),
        ("traversal-twice", "https://files.pythonhosted.org/%252e%252e%252fWHEEL_NAME", "not a file name"),
        ("nul", "https://files.pythonhosted.org/lib%00-1.0-py3-none-any.whl", "not a file name"),
        ("option", "https://files.pythonhosted.org/-lib-1.0-py3-none-any.whl", "not a file name"),
        ("hidden", "https://files.pythonhosted.org/.lib-1.0-py3-none-any.whl", "not a file name"),
        ("macro-name", "https://files.pythonhosted.org/%25(pwned)-1.0-py3-none-any.whl", "not a file name"),
        ("long", f"https://files.pythonhosted.org/{'a' * 300}-1.0-py3-none-any.whl", "not a file name"),
    ):
        yield changed(f"url/{name}", f"a file at {url[:60]!a}", URL, url, says)
    yield changed(
        "url/macro",
        "macros in the address of a file",
        URL,
        "https://files.pythonhosted.org/%(pwned)/%{lua:pwned}/WHEEL_NAME",
        "percent sign",
    )
    yield changed("url/fragment", "a fragment that names another file", URL, f"{URL}#/../../pwned", code=0)
    yield changed("size/negative", "a negative size", "WHEEL_SIZE", "-1", "expected 0 or more")
    for value in ("0", "1", "WHEEL_SIZE0", "9223372036854775808"):
        yield changed(f"size/{value}", f"size {value}", "size = WHEEL_SIZE", f"size = {value}", "", MISMATCH)
    yield changed("size/huge", "a size of 5000 digits", "WHEEL_SIZE", "9" * 5000, "not valid TOML")
    for name, value in (
        ("word", '"yesterday"'),
        ("range", '"9999-12-31T23:59:59-23:59"'),
        ("first", '"0001-01-01T00:00:00+23:59"'),
        ("type", "5"),
    ):
        yield changed(
            f"time/{name}",
            f"an upload time of {value}",
            "size = WHEEL_SIZE",
            f"size = WHEEL_SIZE, upload-time = {value}",
            "upload-time",
        )
    yield changed(
        "name/not-a-wheel",
        "a file that is no wheel among the wheels",
        URL,
        "https://files.pythonhosted.org/lib-1.0.exe",
        "",
        PLAN,
    )


def graphs() -> Iterator[Case]:
    """Yield graphs that lead in circles, nowhere, or everywhere."""
    back = LOCK.replace('simple" }\nwheels', 'simple" }\ndependencies = [{ name = "app" }, { name = "lib" }]\nwheels')
    yield lock("graph/circle", "a circle, and a dist that requires itself", back, code=0)
    yield changed(
        "graph/missing",
        "a requirement that is not in the lock",
        '[{ name = "lib" }]\n\n[package.m',
        '[{ name = "gone" }]\n\n[package.m',
        "which the lock does not hold",
    )
    yield lock(
        "graph/twice",
        "a package twice",
        LOCK + LOCK.partition("\n[[package]]\n")[2].partition("\n[[package]]\n")[2].join(["\n[[package]]\n", ""]),
        "is there twice",
    )
    yield lock(
        "graph/versions",
        "two versions of one package",
        LOCK + LIB.format("lib").replace('"1.0"', '"2.0"'),
        "more than once",
    )
    yield lock("graph/empty", "no package at all", LOCK.partition("[[package]]")[0], "does not hold app")
    yield lock("graph/nothing", "an empty file", "", "required")
    yield changed(
        "graph/root",
        "an application that comes from elsewhere",
        'editable = "."',
        'git = "https://evil.invalid/app"',
        code=0,
    )
    yield changed(
        "graph/git",
        "a dist from a git repository",
        'registry = "https://pypi.org/simple"',
        f'git = "https://user:{SECRET}@evil.invalid/lib"',
        "a git repository",
    )
    yield changed(
        "graph/url",
        "a dist from a URL",
        'registry = "https://pypi.org/simple"',
        f'url = "https://user:{SECRET}@evil.invalid/lib.whl"',
        "outside any index",
    )
    yield changed(
        "graph/path",
        "a dist from a folder",
        'registry = "https://pypi.org/simple"',
        'directory = "/etc"',
        "a path on the machine",
    )
    yield changed(
        "graph/registry-password",
        "a registry with a password",
        "https://pypi.org/simple",
        f"https://user:{SECRET}@pypi.org/simple",
        code=0,
    )
    yield changed(
        "graph/sources",
        "two sources at once",
        'registry = "https://pypi.org/simple"',
        'registry = "https://pypi.org/simple", git = "x"',
        "unknown kind of source",
    )
    yield changed("graph/source", "a source that nobody knows", "registry =", "blockchain =", "unknown kind of source")
    deep = "(" * 500 + "os_name == 'posix'" + ")" * 500
    yield changed(
        "marker/deep",
        "a marker in 500 brackets",
        '[{ name = "lib" }]\n',
        f'[{{ name = "lib", marker = "{deep}" }}]\n',
        "not an environment marker",
    )
    long = " or ".join(f"os_name == 'x{i}'" for i in range(2000))
    yield changed(
        "marker/long",
        "a marker of 2000 parts",
        '[{ name = "lib" }]\n',
        f'[{{ name = "lib", marker = "{long} or os_name == \'posix\'" }}]\n',
        code=0,
    )
    wide = " and ".join(["(os_name == 'posix' or extra == 'a')"] * 500)
    yield changed(
        "marker/wide",
        "a marker of 500 choices",
        '[{ name = "lib" }]\n',
        f'[{{ name = "lib", marker = "{wide}" }}]\n',
        code=0,
    )
    for name, text in (
        ("code", "__import__('os').system('pwned') == 0"),
        ("name", "pwned == 'x'"),
        ("version", "python_version > 'pwned'"),
        ("digits", f"python_version > '{'1' * 5000}'"),
        ("newline", "os_name == 'a\\nb'"),
    ):
        yield changed(
            f"marker/{name}",
            f"the marker {text[:40]}",
            '[{ name = "lib" }]\n',
            f'[{{ name = "lib", marker = "{text}" }}]\n',
            "leaves out" if name == "version" else "not an environment marker",
            PLAN if name == "version" else LOCKED,
        )


def names() -> Iterator[Case]:
    """Yield names and versions that are none."""
    for name, value in (
        ("space", "li b"),
        ("newline", "li\\nb"),
        ("macro", "%(pwned)"),
        ("path", "../lib"),
        ("nul", "li\\u0000b"),
        ("escape", "li\\u001b[2Jb"),
        ("empty", ""),
        ("dash", "-lib"),
        ("unicode", "l\u0456b"),
        ("quote", "li'b"),
    ):
        yield lock(f"name/{name}", f"a package named {value!a}", LOCK + LIB.format(value), "not a valid name")
    yield lock(
        "name/spelling",
        "a name that is not normalised",
        LOCK.replace('name = "lib"\nversion', 'name = "LIB"\nversion'),
        code=0,
    )
    yield lock("name/long", "a name of 100 000 letters", LOCK + LIB.format("a" * 100_000), code=0)
    for name, value in (
        ("word", "pwned"),
        ("macro", "%(pwned)"),
        ("newline", "1\\n%post"),
        ("digits", "1" * 5000),
        ("empty", ""),
    ):
        yield lock(
            f"version/{name}",
            f"version {value[:20]!a}",
            LOCK + LIB.format("more").replace('"1.0"', f'"{value}"'),
            "version",
        )
    yield changed(
        "version/local",
        "a local version that rpm cannot order",
        'name = "lib"\nversion = "1.0"',
        'name = "lib"\nversion = "1.0+g1a2b"',
        "",
        PLAN,
    )


def forms() -> Iterator[Case]:
    """Yield what is no lock, or one of another kind."""
    yield changed(
        "form/version", "a version of tomorrow", "version = 1\nrev", "version = 2\nrev", "unknown lock version"
    )
    yield changed(
        "form/version-huge",
        "a version of 2^200",
        "version = 1\nrev",
        f"version = {1 << 200}\nrev",
        "unknown lock version",
    )
    yield changed(
        "form/version-type", "a version in quotes", "version = 1\nrev", 'version = "1"\nrev', "expected an integer"
    )
    yield changed("form/revision", "a revision of tomorrow", "revision = 3", "revision = 99", "unknown lock revision")
    yield changed(
        "form/revision-negative", "a negative revision", "revision = 3", "revision = -1", "unknown lock revision"
    )
    yield lock("form/unknown", "tables that nobody knows", LOCK + '\n[pwned]\nexec = "pwned"\n', code=0)
    yield changed("form/python", "another Python", ">=3.11", "<3", "the lock is for Python")
    yield changed("form/python-word", "a Python that is none", ">=3.11", "pwned", "not a version specifier")
    yield changed(
        "form/python-digits", "a Python of 5000 digits", ">=3.11", f">={'3' * 5000}", "not a version specifier"
    )
    for name, old, new in (
        ("package", "[[package]]", "[package]"),
        ("package-numbers", LOCK.partition("[[package]]")[1] + LOCK.partition("[[package]]")[2], "package = [1, 2]\n"),
        ("name", 'name = "lib"\nv', "name = 5\nv"),
        ("version", 'version = "1.0"\nsource = { reg', "version = 1.0\nsource = { reg"),
        ("source", '{ registry = "https://pypi.org/simple" }', '"pypi"'),
        ("source-value", '"https://pypi.org/simple"', "[5]"),
        ("wheels", "wheels = [", "wheels = 5\nx = ["),
        ("wheel", "{ url", "5, { url"),
        ("url", f'"{URL}"', "{}"),
        ("hash", f'"{HASH}"', "[1]"),
        ("size", "WHEEL_SIZE", "true"),
        ("size-float", "WHEEL_SIZE", "1e9"),
        ("dependencies", '[{ name = "lib" }]\n', '"lib"\n'),
        ("dependency", '[{ name = "lib" }]\n', '["lib"]\n'),
        ("dependency-name", '[{ name = "lib" }]\n', "[{ name = 5 }]\n"),
        ("dependency-extra", '[{ name = "lib" }]\n', '[{ name = "lib", extra = "x" }]\n'),
        ("dependency-extras", '[{ name = "lib" }]\n', '[{ name = "lib", extra = [5] }]\n'),
        ("marker", '[{ name = "lib" }]\n', '[{ name = "lib", marker = 1979-01-01 }]\n'),
        ("metadata", "[package.metadata]\n", "[package.metadata.x]\n"),
        ("requires-dist", '[{ name = "lib", specifier = ">=1" }]', "5"),
        ("requires-dist-entry", '[{ name = "lib", specifier = ">=1" }]', "[5]"),
        ("requires-dist-name", '[{ name = "lib", specifier = ">=1" }]', "[{ name = [] }]"),
        ("requires-python", '">=3.11"', "3.11"),
        ("optional", "[package.metadata]", "optional-dependencies = 5\n[package.metadata]"),
        ("optional-entry", "[package.metadata]", "optional-dependencies = { a = 5 }\n[package.metadata]"),
        ("conflicts", "revision = 3", "revision = 3\nconflicts = 5"),
        ("conflicts-set", "revision = 3", "revision = 3\nconflicts = [5]"),
        ("conflicts-item", "revision = 3", "revision = 3\nconflicts = [[5]]"),
        ("supported", "revision = 3", "revision = 3\nsupported-markers = [5]"),
        ("resolution", "[package.metadata]", "resolution-markers = 5\n[package.metadata]"),
    ):
        yield changed(f"type/{name}", f"a wrong type: {new.strip()[:40]!r}", old, new)
    yield lock("text/bom", "a byte order mark", b"\xef\xbb\xbf" + LOCK.encode(), "not valid TOML")
    yield lock("text/utf-16", "UTF-16", LOCK.encode("utf-16"), "UTF-8")
    yield lock("text/nul", "a NUL", LOCK.replace("revision", "\0revision"), "not valid TOML")
    yield lock("text/cut", "the first half", LOCK[: len(LOCK) // 2])
    yield lock("text/deep", "arrays 100 000 deep", f"{LOCK}\n[x]\na = {'[' * 100_000}", "not valid TOML")
    yield lock("text/tables", "inline tables 3000 deep", f"{LOCK}\n[x]\na = {'{a=' * 3000}", "not valid TOML")
    yield lock("text/key", "a key of 20 000 parts", f"{LOCK}\n[x]\n{'a.' * 20_000}a = 1", "more than 100 parts")
    yield lock("text/header", "a table's name of 20 000 parts", f"{LOCK}\n[{'a.' * 20_000}a]\n", "more than 100 parts")
    yield lock("text/large", "50 MB", lambda: LOCK + "#" + "x" * (50 << 20), "unpacks to more", 23)
    yield lock(
        "text/large-random",
        "18 MB that hardly compress",
        lambda: f"{LOCK}# {random.Random(0).randbytes(9 << 20).hex()}",  # noqa: S311 - always the same
        "larger than",
        23,
    )
    yield lock("text/direction", "marks of direction in a name", LOCK + LIB.format("a\u202eb"), "not a valid name")


def ten_thousand() -> str:
    """Return a lock of ten thousand packages, each with six wheels, in one long chain."""
    entries = [LOCK.replace('simple" }\nwheels', 'simple" }\ndependencies = [{ name = "n0" }]\nwheels')]
    digest = f"sha256:{'0' * 64}"
    for number in range(10_000):
        wheels = "".join(
            f'    {{ url = "https://files.invalid/n{number}-1.0-cp31{minor}-none-win32.whl", hash = "{digest}" }},\n'
            for minor in range(6)
        )
        after = f'dependencies = [{{ name = "n{number + 1}" }}]\n' if number < 9_999 else ""
        entries.append(LIB.format(f"n{number}") + after + f"wheels = [\n{wheels}]\n")
    return "".join(entries)


CASES: tuple[Case, ...] = tuple(case for group in (files, graphs, names, forms) for case in group())
