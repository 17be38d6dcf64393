"""Names of files: in wheels, in sdists, of the archives themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.corpus import EVIL, INFO, LIBRARY, LOCK, Case, Project
from tests.hostile.text.metadata import ARCHIVE, LOCKED, PLAN
from tests.hostile.text.payloads import LUA, QUOTED, SHELL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def in_wheel(*names: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.wheel_files |= dict.fromkeys(names, b"")

    return make


def in_sdist(*names: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.sdist_files |= dict.fromkeys(names, b"")

    return make


def in_system(*names: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.release = LIBRARY
        project.wheel_files |= dict.fromkeys(names, b"")

    return make


def folder(name: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.sdist_folder = name

    return make


def wheel_name(name: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.lock = LOCK.replace("WHEEL_NAME", name)

    return make


FILES = (
    ("macro", SHELL, PLAN),
    ("lua", LUA.replace("/", ""), PLAN),
    ("quotes", QUOTED[:-2].replace("/", ""), PLAN),
    ("section", f"%post {EVIL}", PLAN),
    ("directive", "%dir %attr(4755, root, root) x", PLAN),
    ("shell", f"$({EVIL}) `{EVIL}` '; {EVIL}; & | >", 0),
    ("blank", "a b", 0),
    ("glob", "*[a-z]?{x,y}", 0),
    ("option", "-rf", 0),
    ("hash", "# x", 0),
    ("heredoc", "EOF", 0),
)
"""Names of files; no list of an RPM's files can hold some of them."""
REFUSED = ("no RPM can list",)


def _files() -> Iterator[Case]:
    for name, text, code in FILES:
        says = REFUSED if code else ()
        yield Case(
            f"file/{name}-top", "the name of a module", in_wheel(f"{text}.py", f"{text}/__init__.py"), code, says
        )
        data = (f"lib-1.0.data/data/etc/{text}", f"lib-1.0.data/scripts/{text}")
        yield Case(f"file/{name}-data", "the name of a data file and of a script", in_wheel(*data), code, says)
        licence = f"{INFO}/licenses/{text}/LICENSE"
        yield Case(f"file/{name}-licence", "the name of a licence's folder", in_wheel(licence), code, says)
        source = (f"README {text}", f"LICENSE{text}", f"{text}.py", f"src/{text}/__init__.py")
        yield Case(f"file/{name}-sdist", "the names of files in an sdist", in_sdist(*source))


CASES = (
    *_files(),
    Case(
        "file/system",
        "names in a wheel that goes into the system's own Python",
        in_system(*(f"{text}.py" for _, text, code in FILES if not code)),
    ),
    Case(
        "file/system-macro",
        "a name with a macro in a wheel that goes into the system's own Python",
        in_system(f"{SHELL}.py"),
        PLAN,
        REFUSED,
    ),
    Case("file/libs", "a library named by a pattern", in_wheel("lib.libs/lib.*|(x-01234567.so")),
    Case(
        "file/newline",
        "a name with a line end",
        in_wheel(f"a\n%post\n{EVIL}.py"),
        ARCHIVE,
        ("control characters",),
    ),
    Case(
        "file/escape",
        "a name that speaks to the terminal",
        in_wheel("a\x1b[2J.py"),
        ARCHIVE,
        ("control characters",),
    ),
    Case("file/direction", "a name that turns around", in_wheel("\u202egnp.exe"), ARCHIVE, ("text direction",)),
    *(
        Case(f"folder/{name}", "the folder of an sdist", folder(text), PLAN, ("app",))
        for name, text in (
            ("macro", f"app{SHELL}"),
            ("blank", "app 1.0"),
            ("option", "-rf"),
            ("quotes", "app';x;'"),
        )
    ),
    Case("folder/newline", "a line end in it", folder(f"app\n%post\n{EVIL}"), ARCHIVE, ("control characters",)),
    *(
        Case(f"address/{name}", "the address of a wheel", wheel_name(text), LOCKED, ("uv.lock",))
        for name, text in (
            ("macro", f"{SHELL}.whl"),
            ("newline", f"x\\n%post\\n{EVIL}.whl"),
            ("escape", "x\\u001b[2J.whl"),
            ("percent", "%25%28pwned%29.whl"),
            ("blank", "a b.whl"),
        )
    ),
)
