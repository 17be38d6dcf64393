from __future__ import annotations

from pathlib import Path

import pytest

from elpack.errors import ConfigError
from elpack.naming import dist_name
from elpack.overrides import Bundled, MustHave, Override, Reasoned, parse_overrides

SHIPPED = Path(__file__).parents[2] / "specs" / "overrides"

FULL = """
[policy]
use = "sdist"
reason = "the wheel lacks its tests"

[licence]
expression = "mit and apache-2.0"
reason = "two files"

[native]
is = "yes"
reason = "a hook compiles"

[[drop]]
path = "bin/flatc"
reason = "dead"

[[no-bytecompile]]
path = "pkg/broken.py"
reason = "broken"

[[build-env]]
set = "LMDB_FORCE_CFFI=1"
reason = "CFFI only"

[[build-requires]]
rpm = "gcc-c++"
reason = "C++"

[[build-with]]
dist = "NumPy"
reason = "its C API"

[[no-import]]
module = "pkg._gui"
reason = "needs gi"

[[bundled]]
name = "npm(@scope/left-pad)"
version = "1.3.0~rc1"
file = "package-lock.json"
text = 'left-pad": "1.3.0-rc1"'
reason = "in the page"

[[must-have]]
path = "pkg/abi/*.json"
at-least = 20
reason = "read at import"

[[must-have]]
path = "pkg/data"
reason = "read at import"

[[not-hardened]]
path = "*/site-packages/_jit.*.so"
reason = "writes code"
"""


def _one(text: str) -> Override:
    return parse_overrides({"specs/overrides/foo.toml": text})[dist_name("foo")]


def _mistakes(files: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(files)
    return [str(problem) for problem in caught.value.problems]


def _mistake(text: str) -> str:
    (mistake,) = _mistakes({"foo.toml": text})
    return mistake


def test_every_entry_is_read() -> None:
    assert _one(FULL) == Override(
        name=dist_name("foo"),
        policy=Reasoned("sdist", "the wheel lacks its tests"),
        licence=Reasoned("MIT AND Apache-2.0", "two files"),
        native=Reasoned("yes", "a hook compiles"),
        drop=(Reasoned("bin/flatc", "dead"),),
        keep_source=(Reasoned("pkg/broken.py", "broken"),),
        build_env=(Reasoned("LMDB_FORCE_CFFI=1", "CFFI only"),),
        build_requires=(Reasoned("gcc-c++", "C++"),),
        build_dists=(Reasoned("numpy", "its C API"),),
        skip_import=(Reasoned("pkg._gui", "needs gi"),),
        bundled=(
            Bundled("npm(@scope/left-pad)", "1.3.0~rc1", "package-lock.json", 'left-pad": "1.3.0-rc1"', "in the page"),
        ),
        must_have=(MustHave("pkg/abi/*.json", 20, "read at import"), MustHave("pkg/data", 1, "read at import")),
        not_hardened=(Reasoned("*/site-packages/_jit.*.so", "writes code"),),
    )


def test_an_empty_file_changes_nothing() -> None:
    assert _one("") == Override(dist_name("foo"))


def test_a_reason_becomes_one_line() -> None:
    override = _one('[licence]\nexpression = "MIT"\nreason = """\nthe text\n  of   LICENSE"""\n')
    assert override.licence == Reasoned("MIT", "the text of LICENSE")


@pytest.mark.parametrize("file", ["Foo.toml", "foo_bar.toml", "foo.bar.toml"])
def test_a_file_is_named_by_the_normalised_name(file: str) -> None:
    (mistake,) = _mistakes({file: ""})
    assert "an override file is named by its dist's normalised name" in mistake


def test_two_spellings_of_one_dist_do_not_overwrite_each_other() -> None:
    with pytest.raises(ConfigError, match=r"foo-bar\.toml"):
        parse_overrides({"foo-bar.toml": "", "foo_bar.toml": ""})


def test_a_name_that_no_dist_can_have_is_refused() -> None:
    (mistake,) = _mistakes({"-foo.toml": ""})
    assert mistake == "-foo.toml: '-foo' is not a valid name of a Python distribution"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ('[license]\nexpression = "MIT"\nreason = "x"\n', "did you mean licence?"),
        ('[[build-require]]\nrpm = "gcc"\nreason = "x"\n', "did you mean build-requires?"),
        ('[[drop]]\npath = "a"\nreasons = "x"\nreason = "y"\n', "did you mean reason?"),
    ],
)
def test_an_unknown_key_is_told_the_nearest_one(text: str, fix: str) -> None:
    mistake = _mistake(text)
    assert "unknown key" in mistake
    assert mistake.endswith(f"fix: {fix}")


def test_a_reason_is_mandatory() -> None:
    assert "foo.toml: drop[0].reason: this key is required" in _mistake('[[drop]]\npath = "bin/x"\n')


@pytest.mark.parametrize("blank", ["", "  ", "\\n\\t"])
def test_a_blank_reason_is_none(blank: str) -> None:
    mistake = _mistake(f'[licence]\nexpression = "MIT"\nreason = "{blank}"\n')
    assert mistake == "foo.toml: licence.reason: an override needs a reason that its next reader can weigh"


def test_one_mistake_is_reported_once() -> None:
    assert _mistake("licence = 3\n") == "foo.toml: licence: expected a table, found an integer"
    assert "expected a string" in _mistake('[licence]\nexpression = "MIT"\nreason = 1\n')


def test_the_mistakes_of_several_files_come_at_once_in_order() -> None:
    mistakes = _mistakes(
        {
            "b.toml": '[policy]\nuse = "egg"\nreason = "x"\n',
            "a.toml": "not toml",
            "c.toml": '[licence]\nexpression = "BSD"\nreason = ""\n[[drop]]\npath = "/etc"\nreason = "x"\n',
            "good.toml": FULL,
        }
    )
    assert [mistake.split(":")[0] for mistake in mistakes] == ["a.toml", "b.toml", "c.toml", "c.toml", "c.toml"]
    assert "not valid TOML" in mistakes[0]
    assert "'egg' is not a policy to switch to: sdist" in mistakes[1]


@pytest.mark.parametrize(
    "expression",
    [
        "BSD",
        "",
        "MIT OR",
        "MIT\\nBuildRequires: evil",
        "%{lua:os.exit()}",
        "MIT\\u0000",
        "LicenseRef-\\u212A",
        "MIT " * 400,
    ],
)
def test_a_licence_is_spdx(expression: str) -> None:
    mistake = _mistake(f'[licence]\nexpression = "{expression}"\nreason = "x"\n')
    assert mistake.startswith("foo.toml: licence.expression: ")
    assert "is not an SPDX licence expression" in mistake


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "a/../b",
        "/etc/passwd",
        "./a",
        "a//b",
        "a/",
        "",
        ".",
        "a b",
        "a\\n%post",
        "%{_bindir}/x",
        "$(id)",
        "a*",
    ],
)
@pytest.mark.parametrize("key", ["drop", "no-bytecompile"])
def test_a_path_stays_below_the_prefix_and_needs_no_quotes(key: str, path: str) -> None:
    assert f"foo.toml: {key}[0].path: " in _mistake(f'[[{key}]]\npath = "{path}"\nreason = "x"\n')


def test_two_dots_inside_a_name_are_no_traversal() -> None:
    assert _one('[[drop]]\npath = "share/a..b"\nreason = "x"\n').drop[0].value == "share/a..b"


@pytest.mark.parametrize(
    "entry",
    [
        '[[build-env]]\nset = "lower=1"',
        '[[build-env]]\nset = "NAME"',
        '[[build-env]]\nset = "NAME=$(id)"',
        '[[build-env]]\nset = "NAME=a b"',
        '[[build-env]]\nset = "NAME=%{x}"',
        '[[build-requires]]\nrpm = "gcc >= 3"',
        '[[build-requires]]\nrpm = "gcc\\n%post"',
        '[[build-with]]\ndist = "num py"',
        '[[no-import]]\nmodule = "a/b"',
        '[[no-import]]\nmodule = "a; import os"',
        '[[no-import]]\nmodule = "a..b"',
        '[native]\nis = "maybe"',
        '[policy]\nuse = "bdist"',
    ],
)
def test_what_a_spec_could_stumble_over_is_refused(entry: str) -> None:
    assert _mistake(f'{entry}\nreason = "x"\n').startswith("foo.toml: ")


def test_the_overrides_of_the_release_are_sound() -> None:
    overrides = parse_overrides({path.name: path.read_text() for path in SHIPPED.glob("*.toml")})
    assert overrides[dist_name("autobahn")].drop[0].value == "bin/flatc"
    assert [entry.value for entry in overrides[dist_name("bjdata")].build_dists] == ["numpy"]
    assert overrides[dist_name("jinja2-highlight")].licence is not None


def test_bundled_code_is_said_as_fedora_says_it() -> None:
    assert Bundled("lmdb", "0.9.36", "lmdb.h", "36", "x").provide == "bundled(lmdb) = 0.9.36"


_BUNDLED = {"name": "lmdb", "version": "1.0", "file": "a.h", "text": "one", "reason": "x"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "lm db"),
        ("name", "lmdb) = 1\\nProvides: glibc"),
        ("name", "%{evil}"),
        ("name", "npm(x"),
        ("name", "npm()"),
        ("name", ""),
        ("version", "1.0-1"),
        ("version", "1 = 2"),
        ("version", "%(id)"),
        ("version", ""),
        ("file", "../a.h"),
        ("file", "/a.h"),
        ("text", ""),
        ("text", "  "),
        ("text", "x" * 201),
        ("reason", " "),
    ],
)
def test_what_is_bundled_is_plain(key: str, value: str) -> None:
    lines = "".join(f'{name} = "{text}"\n' for name, text in (_BUNDLED | {key: value}).items())
    assert _mistake(f"[[bundled]]\n{lines}").startswith(f"foo.toml: bundled[0].{key}: ")


def test_a_reason_can_be_printed() -> None:
    text = '[[drop]]\npath = "a"\nreason = "x \\u001b[31m \\u202e"\n'
    assert _mistake(text).startswith("foo.toml: drop[0].reason: the reason holds control characters")


def test_bundled_code_needs_its_proof() -> None:
    mistakes = _mistakes({"foo.toml": '[[bundled]]\nname = "lmdb"\nversion = "1.0"\nreason = "x"\n'})
    assert [mistake.split(":")[1] for mistake in mistakes] == [" bundled[0].file", " bundled[0].text"]


@pytest.mark.parametrize("path", ["../*.json", "/etc/*", "a[0-9]", "a b", "'", "$(id)", "a\\n*", "%{x}", "-x", ""])
@pytest.mark.parametrize("key", ["must-have", "not-hardened"])
def test_a_pattern_needs_no_more_than_quotes(key: str, path: str) -> None:
    assert f"foo.toml: {key}[0].path: " in _mistake(f'[[{key}]]\npath = "{path}"\nreason = "x"\n')


def test_files_that_must_be_there_are_told_folder_by_folder() -> None:
    text = '[[must-have]]\npath = "**/a"\nreason = "x"\n'
    assert _mistake(text).startswith("foo.toml: must-have[0].path: '**/a' holds **, which means nothing here")


@pytest.mark.parametrize("count", ["0", "-1", '"1"', "true", "1000001"])
def test_a_count_of_files_is_one_or_more(count: str) -> None:
    text = f'[[must-have]]\npath = "a"\nat-least = {count}\nreason = "x"\n'
    assert _mistake(text).startswith("foo.toml: must-have[0].at-least: expected ")
