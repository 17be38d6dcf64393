"""The [library] and [system] tables: what they mean, and every mistake in them."""

from __future__ import annotations

import pytest
from tests.unit.plans import HEAD

from elpack.config import Release, parse_release
from elpack.config.system import DEVELOPERS
from elpack.errors import ConfigError
from elpack.model import Layout

TARGETS = """\
[first-party]
own = {}
base = {}
[first-party.app]
[targets.el9]
"""
LIBRARY = HEAD + 'layout = "system"\n[library]\nname = "own"\n' + TARGETS
APPLICATION = HEAD + '[application]\nname = "app"\n' + TARGETS


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        parse_release(text)
    return [str(problem) for problem in refusal.value.problems]


def test_a_library_and_its_defaults() -> None:
    library = parse_release(LIBRARY).application
    assert (library.name, library.library, library.lock) == ("own", True, "")
    assert (library.expose, library.provides, library.extras) == ((), (), frozenset())
    assert parse_release(LIBRARY).layouts == (Layout.SYSTEM,)
    locked = parse_release(LIBRARY.replace('name = "own"\n', 'name = "own"\nlock = "sub/uv.lock"\n'))
    assert locked.application.lock == "sub/uv.lock"
    assert not parse_release(APPLICATION).application.library


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "own"\n', "", "elpack.toml: library.name: this key is required\n  fix: add name = …"),
        (
            'name = "own"\n',
            'name = "other"\n',
            "elpack.toml: library.name: other has no entry under [first-party]",
        ),
        (
            'name = "own"\n',
            'name = "own"\nexpose = ["own"]\n',
            "elpack.toml: library.expose: unknown key\n  fix: known keys: lock, name",
        ),
        (
            'name = "own"\n',
            'name = "own"\nlock = "/uv.lock"\n',
            "elpack.toml: library.lock: '/uv.lock' is not a plain relative path below the release file",
        ),
        (
            'layout = "system"\n',
            "",
            'elpack.toml: release.layout: a library is for everybody\'s Python\n  fix: layout = "system"',
        ),
        (
            'layout = "system"\n',
            'layout = "bundle"\n',
            'elpack.toml: release.layout: a library is for everybody\'s Python\n  fix: layout = "system"',
        ),
        (
            "[targets.el9]\n",
            '[targets.el9]\n[application]\nname = "app"\n',
            (
                "elpack.toml: library: a release is for an application or for a library\n"
                "  fix: keep one of the two tables"
            ),
        ),
        (
            "[targets.el9]\n",
            '[targets.el9]\n[[asset]]\nsource = "a"\ndestination = "/etc/a"\n',
            "elpack.toml: asset: only an application brings this\n  fix: leave it out",
        ),
        (
            "[targets.el9]\n",
            '[targets.el9]\n[service]\nname = "a"\ndescription = "A"\nuser = "a"\nexec = ["/usr/bin/a"]\n',
            "elpack.toml: service: only an application brings this\n  fix: leave it out",
        ),
    ],
)
def test_a_mistake_about_a_library(old: str, new: str, message: str) -> None:
    assert old in LIBRARY
    assert mistakes(LIBRARY.replace(old, new)) == [message]


def system(text: str) -> Release:
    return parse_release(APPLICATION + text)


def test_the_table_and_its_defaults() -> None:
    assert system("").system is None
    table = system("[system]\n").system
    assert table is not None
    assert (table.packages, table.extras, table.replace, table.smoke.steps) == ((), {}, {}, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[system]\npackages = ["own", "OWN"]', "system.packages[1]: own is there twice"),
        ('[system.extras]\nown = ["fast"]\nOWN = []', "system.extras.OWN: own is there twice, in two spellings"),
        ('[system.replace]\nsix = "a"\nSIX = "b"', "system.replace.SIX: six is there twice, in two spellings"),
        ('[system.replace]\nsix = "a \\u001b[31m"', "system.replace.six: the reason holds control characters"),
        ('[system.extras]\napp = ["x"]', "system.extras: app is the application of this release"),
        ('[system.smoke]\nfiles = "/etc"', "system.smoke.files: '/etc' is not a plain relative path"),
        ('[system.smoke]\nfiles = "../x"', "system.smoke.files: '../x' is not a plain relative path"),
        ('[smoke]\nservice = ["a"]\n[[smoke.step]]\nname = "a"\nrun = ["true"]', "smoke.service: the release has no"),
        (
            '[system.smoke]\nservice = ["a"]\n[[system.smoke.step]]\nname = "a"\nrun = ["true"]',
            "system.smoke.service: no service runs in layout system",
        ),
    ],
)
def test_what_would_be_passed_over(text: str, message: str) -> None:
    assert [one.startswith(f"elpack.toml: {message}") for one in mistakes(f"{APPLICATION}{text}\n")] == [True]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('run = ["a\\u0000b"]', "run: an argument of a program holds no NUL"),
        ('run = ["a"]\ntimeout = 99999999', "timeout: expected at most 86400 seconds"),
        ('run = ["a"]\nuser = "root; x"', "user: 'root; x' is not a user's name"),
        ('run = ["a"]\nbackground = true\nready = "tcp:99999"', "ready: expected a port up to 65535, found 99999"),
        ('run = ["a"]\nenvironment = { "A=B" = "x" }', "environment.A=B: an environment cannot hold this"),
    ],
)
def test_a_step_that_could_not_be_started(line: str, message: str) -> None:
    text = f'{APPLICATION}[[smoke.step]]\nname = "one"\n{line}\n'
    assert [one.startswith(f"elpack.toml: smoke.step[0].{message}") for one in mistakes(text)] == [True]


def test_a_packager_is_one_printable_line() -> None:
    text = APPLICATION.replace("Shop <", "Shop\\r\\u202e <")
    assert [one.partition(":")[2].strip().partition(":")[0] for one in mistakes(text)] == ["release.packager"]


def test_names_are_normalised_and_sorted() -> None:
    release = system(
        """\
[system]
packages = ["Own", "Base"]
[system.extras]
OWN = ["Zip_Files", "fast"]
[system.replace]
Py_YAML = \"\"\"
  own needs
  pyyaml 6 \"\"\"
[[system.smoke.step]]
name = "import"
run = ["{python}", "-c", "import own"]
"""
    )
    table = release.system
    assert table is not None
    assert table.packages == ("base", "own")
    assert table.extras == {"own": ("fast", "zip-files")}
    assert table.replace == {"py-yaml": "own needs pyyaml 6"}
    assert [step.name for step in table.smoke.steps] == ["import"]
    assert release.system_extras(table.packages[1]) == ("fast", "zip-files")
    assert release.system_extras(table.packages[0]) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[system]\npackages = ["ghost"]\n', "elpack.toml: system.packages: ghost has no entry under [first-party]"),
        (
            '[system]\npackages = ["app"]\n',
            (
                "elpack.toml: system.packages: app is the application of this release, whose layout is stack\n"
                '  fix: give it a release of its own, with layout = "system"'
            ),
        ),
        ('[system]\npackages = "own"\n', "elpack.toml: system.packages: expected an array, found a string"),
        (
            '[system]\npackages = ["a b"]\n',
            "elpack.toml: system.packages[0]: 'a b' is not a valid name of a Python distribution",
        ),
        (
            '[system]\npackage = ["own"]\n',
            "elpack.toml: system.package: unknown key\n  fix: did you mean packages?",
        ),
        ('[system.extras]\nghost = ["x"]\n', "elpack.toml: system.extras: ghost has no entry under [first-party]"),
        (
            '[system.extras]\n"a b" = ["x"]\n',
            "elpack.toml: system.extras.a b: 'a b' is not a valid name of a Python distribution",
        ),
        (
            '[system.extras]\nown = ["a b"]\n',
            "elpack.toml: system.extras.own[0]: 'a b' is not a valid name of a Python distribution",
        ),
        ('[system.extras]\nown = "fast"\n', "elpack.toml: system.extras.own: expected an array, found a string"),
        (
            '[system.replace]\nlib = " "\n',
            (
                "elpack.toml: system.replace.lib: replacing a package of the target needs a reason that its next"
                " reader can weigh"
            ),
        ),
        ("[system.replace]\nlib = true\n", "elpack.toml: system.replace.lib: expected a string, found true or false"),
        (
            '[system.replace]\n"a b" = "why"\n',
            "elpack.toml: system.replace.a b: 'a b' is not a valid name of a Python distribution",
        ),
        ("[system.smoke]\nstep = 1\n", "elpack.toml: system.smoke.step: expected an array, found an integer"),
    ],
)
def test_a_mistake_in_the_table(text: str, message: str) -> None:
    assert mistakes(APPLICATION + text) == [message]


@pytest.mark.parametrize("extra", ["dev", "Docs", "test", "type_check"])
def test_an_extra_for_developers_gets_no_metapackage(extra: str) -> None:
    (message,) = mistakes(APPLICATION + f'[system.extras]\nown = ["fast", "{extra}"]\n')
    name = extra.lower().replace("_", "-")
    assert name in DEVELOPERS
    assert message == (f"elpack.toml: system.extras.own: extra {name} is for own's developers\n  fix: leave {name} out")
