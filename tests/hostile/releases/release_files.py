"""Hostile files of a release's own: elpack.toml, overrides, changelog, build lock, and what lies beside them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.hostile.corpus import INSTALLER, RELEASE, Case, Project
from tests.shop import BUILD_LOCK, build_lock_table, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONFIG, BUILD, PLAN = 10, 12, 15
SECRET = "secret-word"  # noqa: S105 - no password at all
ASSET = '[[asset]]\nsource = "{0}"\ndestination = "{1}"\n'
OUTSIDE = "leads out of the release's folder"


def release(name: str, what: str, text: str | bytes, says: str = "", code: int = CONFIG, **more: object) -> Case:
    """Return a case of this release file."""

    def make(project: Project) -> None:
        project.release = text
        for key, value in more.items():
            setattr(project, key, value)

    return Case(f"release {name}", what, make, code, (says,) if says else (), (SECRET,))


def changed(name: str, what: str, old: str, new: str, says: str = "", code: int = CONFIG) -> Case:
    """Return a case of a sound release file in which one text is replaced."""
    assert old in RELEASE, old
    return release(name, what, RELEASE.replace(old, new), says, code)


def beside(name: str, what: str, path: str, data: str | bytes, says: str = "", code: int = CONFIG) -> Case:
    """Return a case of a sound release with one more file."""
    return release(name, what, RELEASE, says, code, beside={path: data})


def odd(
    name: str, what: str, after: Callable[[Path], object], says: str, code: int = CONFIG, text: str = RELEASE
) -> Case:
    """Return a case of a release beside which something is made that is no plain file."""
    return release(name, what, text, says, code, after=after)


def texts() -> Iterator[Case]:
    """Yield files that are no TOML, or too much of it."""
    for name, text, says in (
        ("empty", "", "required"),
        ("nul", RELEASE + "\0", "not valid TOML"),
        ("cut", RELEASE[:-9], "not valid TOML"),
        ("bom", b"\xef\xbb\xbf" + RELEASE.encode(), "not valid TOML"),
        ("utf-16", RELEASE.encode("utf-16"), "not UTF-8"),
        ("deep", f"{RELEASE}\n[x]\na = {'[' * 50_000}", "not valid TOML"),
        ("key", f"{RELEASE}\n[{'a.' * 5000}a]\n", "100 parts"),
        ("digits", f"{RELEASE}\n[x]\na = {'1' * 5000}", "not valid TOML"),
        ("unknown", RELEASE + '[hook]\nexec = "pwned"\n', "unknown key"),
        ("unknown-escape", RELEASE + '["\\u001b[2J\\npwned"]\n', "unknown key"),
        ("many-keys", RELEASE + "[service.environment]\n" + "".join(f"K{i} = 'v'\n" for i in range(5000)), ""),
        ("many-unknown", RELEASE + "[hook]\n[x]\n" + "".join(f"k{i} = 1\n" for i in range(5000)), "unknown key"),
        ("long-unknown", RELEASE + f'[release2]\n"{"x" * 100_000}" = 1\n', "unknown key"),
    ):
        yield release(f"text/{name}", name.replace("-", " "), text, says)


def values() -> Iterator[Case]:  # noqa: C901 - a list of lists
    """Yield values that lead elsewhere."""
    head = 'packager = "Shop <shop@example.org>"\n'

    def with_head(name: str, line: str, says: str = "", code: int = CONFIG) -> Case:
        return changed(name, line[:70], head, f"{head}{line}\n", says, code)

    for number, prefix in enumerate(
        (
            "/opt/../usr",
            "/usr",
            "/",
            "/opt/",
            "/opt/a/b",
            "/opt/a b",
            "/opt/%(pwned)",
            "opt/a",
            "/opt/..",
            "/opt/a\\n",
            "",
        )
    ):
        yield with_head(f"prefix/{number}", f'prefix = "{prefix}"', "prefix")
    for number, index in enumerate(
        (
            f"https://user:{SECRET}@pypi.org/simple",
            "http://pypi.org/simple",
            "file:///srv",
            "http://127.0.0.1.evil.invalid/",
            "http://localhost@evil.invalid/",
            "ftp://x/",
            "https://pypi.org/simple?token=" + SECRET,
        )
    ):
        yield with_head(f"index/{number}", f'index = "{index}"', "index")
    for number, name in enumerate(("sh\\nop", "sh op", "../shop", "%(pwned)", "-shop", "sh/op", "")):
        yield changed(
            f"name/{number}", f"a release named {name!a}", 'name = "shop"', f'name = "{name}"', "release.name"
        )
    for number, lock in enumerate(
        ("../uv.lock", "/etc/passwd", "a/../../uv.lock", "", "u\\u0000v", "u\\nv", "~/uv.lock;pwned")
    ):
        yield changed(
            f"lock/{number}", f"a lock at {lock!a}", 'name = "app"\n', f'name = "app"\nlock = "{lock}"\n', "lock"
        )
    for number, command in enumerate(("../app", "a b", "-app", "%(pwned)", "/bin/sh")):
        yield changed(f"expose/{number}", f"a command {command!a}", '["app"]', f'["{command}"]', "expose")
    app = 'app = { version = "1.0", sha256 = "SDIST_SHA256" }'
    for name, source in (
        ("ext", 'git = "ext::sh -c pwned", tag = "v1"'),
        ("option", 'git = "--upload-pack=pwned", tag = "v1"'),
        ("ssh-option", 'git = "ssh://-oProxyCommand=pwned/x", tag = "v1"'),
        ("password", f'git = "https://user:{SECRET}@evil.invalid/x", tag = "v1"'),
        ("tag", 'git = "https://evil.invalid/x", tag = "--upload-pack=pwned"'),
        ("tag-newline", 'git = "https://evil.invalid/x", tag = "v1\\n"'),
        ("nul", 'git = "https://evil.invalid/x\\u0000", tag = "v1"'),
        ("path-nul", 'path = "a\\u0000b"'),
        ("file", 'git = "file:///etc", tag = "v1"'),
        ("sha", 'version = "1.0", sha256 = "XYZ"'),
        ("both", 'git = "https://evil.invalid/x", tag = "v1", path = "a"'),
    ):
        code = 25 if name == "file" else CONFIG
        yield changed(
            f"source/{name}", f"a first-party source {source[:60]}", app, f"app = {{ {source} }}", "first-party", code
        )
    for number, (source, destination) in enumerate(
        (
            ("../a", "/etc/shop/a"),
            ("/etc/shadow", "/etc/shop/a"),
            ("a/../../b", "/etc/shop/a"),
            ("a", "etc/shop/a"),
            ("a", "/etc/../shadow"),
            ("a", "/etc/shop/%(pwned)"),
            ("a", "/etc/shop/a b"),
            ("a", "/etc/shop/a\\nb"),
            ("a", "/"),
            ("a", "/etc/shop/"),
            ("a", "//etc/a"),
        )
    ):
        yield release(
            f"asset/{number}",
            f"an asset from {source} to {destination!a}",
            RELEASE + ASSET.format(source, destination),
            "asset",
            beside={"a": b""},
        )
    for path in (
        "/etc/shadow",
        "/etc/passwd",
        "/etc/sudoers.d/shop",
        "/etc/ld.so.preload",
        "/usr/lib/rpm/macros.d/macros.shop",
        "/opt/shop/bin/python",
    ):
        yield release(
            f"place/{path.strip('/').replace('/', '-')}",
            f"an asset at {path}",
            RELEASE + ASSET.format("a", path),
            "virtual environment" if "python" in path else "belongs to the system",
            PLAN if "python" in path else CONFIG,
            beside={"a": b""},
        )
    for mode in ("4755", "06755", "01777", "0o644", "rwx", "-0644", "0888"):
        yield release(
            f"mode/{mode}",
            f"an asset of mode {mode}",
            RELEASE + ASSET.format("a", "/etc/shop/a") + f'mode = "{mode}"\n',
            "mode",
            beside={"a": b""},
        )
    yield release(
        "asset/same",
        "two assets at one place",
        RELEASE + ASSET.format("a", "/etc/shop/a") * 2,
        "asset",
        beside={"a": b""},
    )
    yield release(
        "asset/many",
        "3000 assets",
        RELEASE + "".join(ASSET.format("a", f"/etc/shop/{i}") for i in range(3000)),
        "two sources are named a",
        PLAN,
        beside={"a": b""},
    )


def oddities() -> Iterator[Case]:
    """Yield links and devices where files are expected."""
    asset = RELEASE + ASSET.format("a", "/etc/shop/a")
    yield odd(
        "link/asset",
        "an asset that is a link out",
        lambda home: (home / "a").symlink_to("/etc/shadow"),
        OUTSIDE,
        text=asset,
    )
    yield odd(
        "link/asset-folder",
        "an asset below a link out",
        lambda home: (home / "sub").symlink_to("/etc"),
        OUTSIDE,
        text=asset.replace('"a"', '"sub/shadow"'),
    )
    yield odd(
        "link/asset-circle",
        "an asset that is a link to itself",
        lambda home: (home / "a").symlink_to("a"),
        "not there",
        text=asset,
    )
    yield odd("link/fifo", "an asset that is a pipe", lambda home: _pipe(home / "a"), "not there", text=asset)
    yield odd(
        "link/device",
        "an asset that is a device",
        lambda home: (home / "a").symlink_to("/dev/zero"),
        "not there",
        text=asset,
    )
    yield odd(
        "link/override",
        "an override that is a pipe",
        lambda home: _pipe(home / "specs/overrides/lib.toml"),
        "is not a file",
    )
    yield odd(
        "link/override-out",
        "an override that is a link out",
        lambda home: (_folder(home / "specs/overrides") / "lib.toml").symlink_to("/etc/passwd"),
        OUTSIDE,
    )
    yield odd(
        "link/override-zero",
        "an override that never ends",
        lambda home: (_folder(home / "specs/overrides") / "lib.toml").symlink_to("/dev/zero"),
        "",
    )
    yield odd(
        "link/changelog",
        "a changelog that is a pipe",
        lambda home: _pipe(home / "specs/changelog.toml"),
        "is not a file",
    )
    yield odd(
        "link/build-lock",
        "a build lock that is a pipe",
        lambda home: _pipe(home / "pylock.build.toml"),
        "is not a file",
        BUILD,
    )
    yield odd(
        "link/smoke",
        "a folder of smoke tests that is a link out",
        lambda home: (home / "tests").symlink_to("/etc"),
        OUTSIDE,
        text=RELEASE + '[smoke]\nfiles = "tests"\n',
    )
    yield odd(
        "link/smoke-file",
        "a link out within the smoke tests",
        lambda home: (_folder(home / "tests") / "a").symlink_to("/etc/shadow"),
        OUTSIDE,
        text=RELEASE + '[smoke]\nfiles = "tests"\n',
    )


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(_folder(path.parent) / path.name)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def overrides() -> Iterator[Case]:
    """Yield overrides and changelogs."""
    for name, text, says in (
        ("extends", 'extends = "other.toml"\n', "unknown key"),
        ("drop-up", '[[drop]]\npath = "../../etc/passwd"\nreason = "x"\n', "plain relative path"),
        ("drop-absolute", '[[drop]]\npath = "/etc/passwd"\nreason = "x"\n', "plain relative path"),
        ("drop-option", '[[drop]]\npath = "-rf"\nreason = "x"\n', "option"),
        ("drop-shell", '[[drop]]\npath = "$(pwned)"\nreason = "x"\n', "quote"),
        ("env", '[[build-env]]\nset = "A=$(pwned)"\nreason = "x"\n', "NAME=value"),
        ("env-newline", '[[build-env]]\nset = "A=b\\n%post"\nreason = "x"\n', "NAME=value"),
        ("env-name", '[[build-env]]\nset = "a b=c"\nreason = "x"\n', "NAME=value"),
        ("rpm", '[[build-requires]]\nrpm = "a%(pwned)"\nreason = "x"\n', "not a valid RPM name"),
        ("module", '[[no-import]]\nmodule = "os;pwned"\nreason = "x"\n', "name of a module"),
        ("reason", '[licence]\nexpression = "MIT"\nreason = "a\\u001b[2J"\n', "control characters"),
        ("no-reason", '[licence]\nexpression = "MIT"\n', "required"),
        ("licence", '[licence]\nexpression = "%(pwned)"\nreason = "x"\n', "not an SPDX"),
        ("licence-deep", f'[licence]\nexpression = "{"(" * 400}MIT{")" * 400}"\nreason = "x"\n', "not an SPDX"),
        ("must-have", '[[must-have]]\npath = "**/*"\nat-least = 1\nreason = "x"\n', "**"),
        ("must-have-count", f'[[must-have]]\npath = "a"\nat-least = {1 << 80}\nreason = "x"\n', "expected 1 to"),
        ("many", '[[drop]]\npath = "a"\n' * 5000, "required"),
        ("type", "drop = 5\nlicence = []\npolicy = 'x'\n", "expected"),
    ):
        yield beside(f"override/{name}", f"an override: {text[:50]!a}", "specs/overrides/lib.toml", text, says)
    yield beside(
        "override/name", "an override for a name with a line end", "specs/overrides/li\nb.toml", "", "not a valid name"
    )
    yield beside(
        "override/twice", "an override under another spelling", "specs/overrides/LIB.toml", "", "normalised name"
    )
    yield beside("override/encoding", "an override that is not UTF-8", "specs/overrides/lib.toml", b"\xff", "UTF-8")
    entry = '[[entry]]\ndist = "app"\nversion = "1.0"\nrevision = 1\ndate = 2026-10-01\ntext = ["x"]\n'
    for name, old, new, says in (
        ("newline", '"x"', '"a\\n%post\\npwned"', "control characters"),
        ("date", "2026-10-01", "9999-01-01", "a year from"),
        ("date-time", "2026-10-01", "2026-10-01T00:00:00", "expected a date"),
        ("revision", "revision = 1", f"revision = {1 << 100}", ""),
        ("revision-negative", "revision = 1", "revision = -1", "1 or more"),
        ("dist", '"app"', '"../app"', "not a valid name"),
        ("version", '"1.0"', '"%(pwned)"', "PEP 440"),
        ("types", '["x"]', "5", "expected"),
        ("twice", "[[entry]]", entry + "[[entry]]", "twice"),
    ):
        yield beside(
            f"changelog/{name}", f"a changelog with {new[:40]!a}", "specs/changelog.toml", entry.replace(old, new), says
        )


def build_locks() -> Iterator[Case]:
    """Yield locks of build requirements."""
    wheel = "installer-1.0-py3-none-any.whl"
    sound = BUILD_LOCK.format(name=wheel, size=len(INSTALLER), sha256=sha256(INSTALLER))
    url = f"https://files.invalid/{wheel}"
    own = build_lock_table("3.12 x86_64", "0" * 64)

    def lock(name: str, what: str, text: str | bytes, says: str = "", code: int = BUILD) -> Case:
        return release(f"build-lock/{name}", what, RELEASE, says, code, build_lock=text)

    for name, old, new, says in (
        ("http", url, f"http://files.invalid/{wheel}", "only https"),
        ("file", url, f"file:///etc/{wheel}", "only https"),
        ("password", url, f"https://user:{SECRET}@files.invalid/{wheel}", "user"),
        ("query", url, f"{url}?token={SECRET}", "query"),
        ("port", url, f"https://files.invalid:99999/{wheel}", "not a URL"),
        ("name", f'url = "{url}"', f'url = "{url}", name = "../../pwned-1.0-py3-none-any.whl"', ""),
        ("traversal", url, f"https://files.invalid/%2e%2e%2f{wheel}", ""),
        ("no-hash", f'hashes = {{ sha256 = "{sha256(INSTALLER)}" }}', "hashes = {}", ""),
        ("md5", f'sha256 = "{sha256(INSTALLER)}"', f'md5 = "{"0" * 32}"', "a sha256 is needed"),
        ("short", sha256(INSTALLER), "0" * 63, "a sha256 is needed"),
        ("path", f'url = "{url}"', f'path = "../{wheel}"', "no URL"),
        ("marker", 'name = "installer"', f'name = "installer"\nmarker = "{"(" * 500}os_name == \'a\'{")" * 500}"', ""),
        ("marker-sense", 'name = "installer"', 'name = "installer"\nmarker = "pwned == \'a\'"', ""),
        ("time", f"size = {len(INSTALLER)}", f"size = {len(INSTALLER)}, upload-time = 9999-12-31T23:59:59Z", "no time"),
        ("version", 'version = "1.0"', f'version = "{"1" * 5000}"', ""),
        ("vcs", "wheels = [", 'vcs = { type = "git", url = "https://evil.invalid", commit-id = "0" }\nx = [', ""),
        ("lock-version", 'lock-version = "1.0"', 'lock-version = "9.0"', ""),
        ("type", "wheels = [", "wheels = 5\nx = [", ""),
        ("format", "format = 1", 'format = "x"', "format"),
        ("environments", 'environments = ["3.12 x86_64"]', "environments = 5", "expected an array"),
        ("sdists", "requires = []\ndynamic", "requires = 5\ndynamic", "expected an array"),
        (
            "edges",
            "[tool.elpack.sdists",
            "[tool.elpack.requires]\ninstaller = 5\n[tool.elpack.sdists",
            "expected an array",
        ),
    ):
        text = sound + own
        assert old in text, old
        yield lock(name, f"a build lock with {new[:50]!a}", text.replace(old, new), says)
    yield lock("encoding", "a build lock that is not UTF-8", b"\xff", "UTF-8")
    yield lock("deep", "a build lock that is 50 000 arrays deep", "a = " + "[" * 50_000, "not valid TOML")
    yield lock("digits", "a number of 5000 digits", "a = " + "1" * 5000, "not valid TOML")
    yield lock("foreign", "a lock that elpack did not make", sound, "not a lock that elpack made")
    yield lock("tool", "a tool table that is none", "tool = 5\n" + sound, "'tool'")


CASES: tuple[Case, ...] = tuple(case for group in (texts, values, oddities, overrides, build_locks) for case in group())
