"""What a dist requires, and what it is started by: requirements, extras, entry points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.corpus import EVIL, INFO, LIBRARY, LOCK, PYPROJECT, Case, Project
from tests.hostile.text.metadata import ARCHIVE, LOCKED, PLAN, core, in_layout, of_sdist
from tests.hostile.text.payloads import ALL, LUA, SHELL

if TYPE_CHECKING:
    from collections.abc import Callable

BUILD_LOCKED = 12
DIGITS = "1" * 5000
REQUIREMENTS: tuple[tuple[str, str, int, str], ...] = (
    ("url", f"lib @ https://example.org/{SHELL}", PLAN, "an RPM cannot require a dist from a URL"),
    ("url-escape", "lib @ https://example.org/\x1b[2J\u202e", PLAN, "an RPM cannot require a dist from a URL"),
    ("arbitrary", f"lib === 1.0{SHELL}", 0, ""),
    ("arbitrary-text", "lib === %{x}$x", PLAN, "lib"),
    ("local", "lib == 1.0+%(x)", 0, ""),
    ("marker", f'lib>=1; python_version > "{SHELL}"', 0, ""),
    ("marker-lua", f"lib>=1; sys_platform != '{LUA}'", 0, ""),
    ("extra", f'lib>=1; extra == "x{SHELL}"', 0, ""),
    ("extras", f"lib[a{SHELL}]>=1", 0, ""),
    ("newline", f"lib>=1\n  Requires: {EVIL}", 0, ""),
    ("parenthesis", f"lib (>=1) {SHELL}", 0, ""),
    ("rich", f"(lib if {EVIL})", 0, ""),
    ("epoch", "lib >= 99999999999999999999!1", PLAN, "the lock has 1.0"),
    ("digits", f"lib >= {DIGITS}", ARCHIVE, "more than"),
    ("few-digits", f"lib >= {DIGITS[:1500]}", ARCHIVE, "a number of more than"),
    ("python-digits", f"lib>=1\nRequires-Python: >={DIGITS}", ARCHIVE, "more than"),
    ("python-lines", "lib>=1\nRequires-Python: >=4,\n  >=4", PLAN, "needs Python"),
    ("deep-marker", "lib>=1; " + "(" * 3000 + "os_name == 'x'" + ")" * 3000, ARCHIVE, "more than 2000 characters"),
    ("wide-marker", "lib>=1; " + " or ".join(["os_name == 'posix'"] * 20_000), ARCHIVE, "more than 2000 characters"),
    ("nested-marker", "lib>=1; " + "(" * 900 + "os_name == 'x'" + ")" * 250, ARCHIVE, "nested too deeply"),
    ("alternating-marker", "lib>=1; " + "(os_name == 'a' or " * 25 + "os_name == 'b'" + ")" * 25, 0, ""),
    ("wide-specifier", "lib" + ",".join(f"!=9.{n}" for n in range(20_000)), ARCHIVE, "more than 2000 characters"),
    ("many-extras", f"lib[{','.join(f'x{n}' for n in range(20_000))}]>=1", ARCHIVE, "more than 2000 characters"),
    ("long-name", "a" * 100_000 + ">=1", ARCHIVE, "more than 2000 characters"),
    ("blanks", "lib" + " " * 100_000 + "x", ARCHIVE, "more than 2000 characters"),
    ("regex-marker", "lib>=1; platform_version ~= '" + "1." * 20_000 + "x'", ARCHIVE, "more than 2000 characters"),
)


def requirement(text: str) -> Callable[[Project], None]:
    content = core("app", {}, "Requires-Dist: lib>=1", f"Requires-Dist: {text}")

    def make(project: Project) -> None:
        in_layout("system", of_sdist(content))(project)

    return make


def entry_points(text: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        project.wheel_files[f"{INFO}/entry_points.txt"] = text.encode(errors="surrogatepass")

    return make


def pyproject(*changes: tuple[str, str]) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        text = PYPROJECT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        project.sdist_files["pyproject.toml"] = text.encode()

    return make


def hostile_extra(project: Project) -> None:
    """Name one extra in the lock, in the application's requirement and in the wheel, none of them a PEP 508 name."""
    project.release = LIBRARY
    project.lock = LOCK.replace('{ name = "lib" }', f"{{ name = \"lib\", extra = ['x{SHELL}'] }}")
    project.wheel_files[f"{INFO}/METADATA"] = core(
        "lib", {}, f"Provides-Extra: x{SHELL}", f"Requires-Dist: lib; extra == 'x{SHELL}'"
    )


def hostile_spelling(project: Project) -> None:
    """Spell an extra with a letter whose small form is an ASCII one."""
    project.release = LIBRARY
    project.lock = LOCK.replace('{ name = "lib" }', '{ name = "lib", extra = ["k"] }')
    project.wheel_files[f"{INFO}/METADATA"] = core(
        "lib", {}, "Provides-Extra: \u212a", 'Requires-Dist: lib; extra == "k"'
    )
    project.sdist_files["PKG-INFO"] = core("app", {"Requires-Dist": "lib[k]>=1"})


ENTRY_POINTS: tuple[tuple[str, str, int, str], ...] = (
    ("name-macro", f"[console_scripts]\n{SHELL} = lib:main\n", ARCHIVE, "names a script '%(pwned)'"),
    ("name-shell", f"[console_scripts]\nx;{EVIL} = lib:main\n", ARCHIVE, "names a script"),
    ("name-path", "[console_scripts]\n../../../etc/cron.d/x = lib:main\n", ARCHIVE, "names a script"),
    ("name-option", "[console_scripts]\n-rf = lib:main\n", ARCHIVE, "names a script '-rf'"),
    ("name-blank", "[console_scripts]\na b = lib:main\n", ARCHIVE, "names a script 'a b'"),
    ("name-escape", "[console_scripts]\nx\x1b[2J = lib:main\n", ARCHIVE, "names a script 'x\\x1b[2J'"),
    ("name-homoglyph", "[console_scripts]\n\u0430pp = lib:main\n", ARCHIVE, "names a script '\\u0430pp'"),
    ("name-long", f"[console_scripts]\n{'a' * 300} = lib:main\n", 0, ""),
    ("value-code", f"[console_scripts]\nx = os:system('{EVIL}')\n", ARCHIVE, "gives the script x the object"),
    ("value-macro", f"[console_scripts]\nx = {SHELL}:main\n", ARCHIVE, "gives the script x the object"),
    ("value-lines", f"[console_scripts]\nx = lib:main\n  import os\n  os.system('{EVIL}')\n", ARCHIVE, "the object"),
    ("extras", f"[console_scripts]\nx = lib:main [{SHELL}]\n", 0, ""),
    ("group", f"[{SHELL}]\nx = lib:main\n", 0, ""),
    ("gui", f"[gui_scripts]\n`{EVIL}` = lib:main\n", ARCHIVE, "names a script"),
    ("interpolation", "[console_scripts]\nx = %(y)s\ny = lib:main\n", ARCHIVE, "the object '%(y)s'"),
    ("default", f"[DEFAULT]\n{SHELL} = lib:main\n[console_scripts]\nx = lib:main\n", 0, ""),
    ("twice", "[console_scripts]\nx = lib:main\nx = lib:other\n", ARCHIVE, "is not in the form of entry points"),
    ("headless", f"{SHELL} = x\n", ARCHIVE, "is not in the form of entry points"),
    ("many", "[console_scripts]\n" + "".join(f"x{n} = lib:main\n" for n in range(20_000)), 0, ""),
    ("unknown-group", f"[elpack.x]\n{ALL} = {ALL}\n", 0, ""),
)
CASES = (
    *(
        Case(
            f"requires/{name}", "a requirement that is more than one", requirement(text), code, (says,) if says else ()
        )
        for name, text, code, says in REQUIREMENTS
    ),
    Case("requires/extra-name", "an extra named by macros", hostile_extra, LOCKED, ("extra",)),
    Case("requires/extra-spelling", "an extra spelt in another script", hostile_spelling),
    *(
        Case(
            f"entry-point/{name}",
            "an entry point that is more than one",
            entry_points(text),
            code,
            (says,) if says else (),
        )
        for name, text, code, says in ENTRY_POINTS
    ),
    Case(
        "pyproject/script-name",
        "a script named by macros",
        pyproject(("app = ", f'"{SHELL}" = ')),
        ARCHIVE,
        ("names a script",),
    ),
    Case(
        "pyproject/script-value",
        "code as a script",
        pyproject(('"app:main"', f'"os:system(\\"{EVIL}\\")"')),
        ARCHIVE,
        ("the object",),
    ),
    Case(
        "pyproject/backend",
        "code as a backend",
        pyproject(('"backend"', f"\"os:system('{EVIL}')\"")),
        ARCHIVE,
        ("build-backend",),
    ),
    Case(
        "pyproject/requires",
        "macros as build requirement",
        pyproject(("requires = []", f'requires = ["x{SHELL}"]')),
        ARCHIVE,
        ("requires 'x%(pwned)' to build",),
    ),
    Case(
        "pyproject/requires-escape",
        "a terminal's sequence as build requirement",
        pyproject(("requires = []", 'requires = ["x\\u001b[2J\\n• y"]')),
        ARCHIVE,
        ("requires",),
    ),
    Case(
        "pyproject/requires-many",
        "a build requirement that nobody locked",
        pyproject(("requires = []", 'requires = ["x"]')),
        BUILD_LOCKED,
        ("elpack lock",),
    ),
    Case(
        "pyproject/toml-escape",
        "a mistake in TOML that speaks to the terminal",
        pyproject(("[project]", '"\\u001b[2J" = 1\n"\\u001b[2J" = 2\n[project]')),
        LOCKED,
        ("not valid TOML",),
    ),
    Case(
        "pyproject/packages",
        "modules named by macros and code",
        pyproject(
            (
                "[project]",
                f"[tool.hatch.build.targets.wheel]\npackages = ['{SHELL}', 'os;{EVIL}', 'a b', '-x']\n[project]",
            )
        ),
    ),
    Case(
        "pyproject/dependencies",
        "a dependency that the lock was not made for",
        pyproject(("lib>=1", "lib @ https://x/\\u001b[2J")),
        LOCKED,
        ("lib",),
    ),
    Case(
        "pyproject/deep",
        "a table in many others",
        pyproject(("[project]", "[x" + ".x" * 5000 + "]\n[project]")),
        LOCKED,
        ("pyproject.toml: not valid TOML",),
    ),
    Case(
        "pyproject/tables",
        "values where tables are expected",
        pyproject(("[build-system]", "tool = 1\n[build-system]")),
    ),
)
