"""The availability matrix: which wheel an installer takes where, what is left without one, and how it is shown."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests.hostile.corpus import LOCK, Project
from typer.testing import CliRunner

from elpack import cli
from elpack.lockfile import parse_uv_lock
from elpack.model import CoreMetadata, RemoteFile, SdistFacts, SelectedDist, Sha256
from elpack.naming import dist_name
from elpack.report.availability import matrix_page, words
from elpack.selection import select
from elpack.wheels.availability import Known, Made, Matrix, Means, Row, Way, rows_of, served, way_of
from elpack.wheels.columns import Column, columns_of, interpreter_of
from elpack.wheels.model import INTERPRETERS, releases_of

if TYPE_CHECKING:
    from pathlib import Path

EL9 = (2, 34)
SDIST = RemoteFile("demo-1.0.tar.gz", "", Sha256("0" * 64))
CP312 = Column(INTERPRETERS["cp312"], "x86_64")
PP311 = Column(INTERPRETERS["pp311"], "x86_64")
PP73 = Column(releases_of("pp311")[0], "x86_64")
OLD, NEW, NEWER = (f"manylinux_2_{minor}_x86_64" for minor in (17, 34, 39))


def dist(*tags: str, sdist: RemoteFile | None = SDIST, name: str = "demo") -> SelectedDist:
    wheels = tuple(RemoteFile(f"{name}-1.0-{tag}.whl", "", Sha256("1" * 64)) for tag in tags)
    return SelectedDist(dist_name(name), Version("1.0"), frozenset(), (), sdist, wheels, 1)


def taken(tags: tuple[str, ...], column: Column) -> tuple[Means, str, tuple[int, int] | None]:
    way = way_of(dist(*tags), column, EL9, Known())
    return way.means, way.file.removeprefix("demo-1.0-").removesuffix(".whl"), way.libc


@pytest.mark.parametrize(
    ("tags", "column", "expected"),
    [
        (("py3-none-any", f"cp312-cp312-{OLD}"), CP312, (Means.EXACT, f"cp312-cp312-{OLD}", (2, 17))),
        ((f"cp311-abi3-{NEW}", f"cp313-cp313-{OLD}"), CP312, (Means.ABI3, f"cp311-abi3-{NEW}", (2, 34))),
        ((f"cp313-abi3-{OLD}",), CP312, (Means.SDIST, "demo-1.0.tar.gz", None)),
        ((f"py3-none-{OLD}", "py2.py3-none-any"), CP312, (Means.PLATFORM, f"py3-none-{OLD}", (2, 17))),
        (("py2.py3-none-any",), CP312, (Means.UNIVERSAL, "py2.py3-none-any", None)),
        ((f"cp312-cp312-{OLD}.manylinux2014_x86_64.manylinux_2_28_x86_64",), CP312, None),
        ((f"cp311-abi3-{OLD}", f"cp312-cp312-{OLD}"), PP311, (Means.SDIST, "demo-1.0.tar.gz", None)),
        ((f"pp311-pypy311_pp80-{OLD}", "py3-none-any"), PP311, (Means.EXACT, f"pp311-pypy311_pp80-{OLD}", (2, 17))),
        ((f"pp311-pypy311_pp73-{OLD}", "py3-none-any"), PP73, (Means.EXACT, f"pp311-pypy311_pp73-{OLD}", (2, 17))),
        ((f"pp311-pypy311_pp73-{OLD}",), PP311, (Means.SDIST, "demo-1.0.tar.gz", None)),
        ((f"pp311-pypy311_pp80-{OLD}",), PP73, (Means.SDIST, "demo-1.0.tar.gz", None)),
        ((f"cp312-cp312-{OLD.replace('x86_64', 'aarch64')}",), CP312, (Means.SDIST, "demo-1.0.tar.gz", None)),
        (("cp312-cp312-musllinux_1_2_x86_64",), CP312, (Means.SDIST, "demo-1.0.tar.gz", None)),
        (
            (f"cp312-cp312-{OLD}", "cp312-cp312-musllinux_1_2_x86_64"),
            Column(INTERPRETERS["cp312"], "x86_64", musl=True),
            (Means.EXACT, "cp312-cp312-musllinux_1_2_x86_64", (1, 2)),
        ),
    ],
)
def test_what_an_installer_takes(
    tags: tuple[str, ...], column: Column, expected: tuple[Means, str, tuple[int, int] | None] | None
) -> None:
    # a name with several platforms runs where the oldest of them does
    assert taken(tags, column) == (expected or (Means.EXACT, tags[0], (2, 17)))


def test_a_wheel_for_a_newer_glibc_is_told_beside_what_is_left() -> None:
    way = way_of(dist(f"cp312-cp312-{NEWER}", "cp312-cp312-manylinux_2_41_x86_64"), CP312, EL9, Known())
    assert (way.means, way.newer, way.newer_libc) == (Means.SDIST, f"demo-1.0-cp312-cp312-{NEWER}.whl", (2, 39))
    assert words(way) == "sdist (wheel: 2.39)"
    assert way_of(dist(f"cp312-cp312-{NEWER}"), CP312, (2, 39), Known()).means is Means.EXACT


def test_facts_of_a_read_sdist_tell_whether_it_compiles() -> None:
    for native, means in (("a C extension", Means.SDIST_COMPILES), ("", Means.SDIST_PURE)):
        metadata = CoreMetadata("demo", "1.0")
        facts = SdistFacts(SDIST.filename, SDIST.sha256, "", metadata, (), "", (), (), native, (), (), (), False)
        assert way_of(dist(), CP312, EL9, Known(facts={SDIST.sha256: facts})).means is means


def test_pypy_has_another_closure_in_rows_of_its_own() -> None:
    text = (
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
        '[[package]]\nname = "app"\nversion = "1.0"\nsource = { editable = "." }\ndependencies = [\n'
        '    { name = "lib", version = "2.0", source = { registry = "https://pypi.org/simple" },'
        " marker = \"platform_python_implementation != 'PyPy'\" },\n"
        '    { name = "lib", version = "1.0", source = { registry = "https://pypi.org/simple" },'
        " marker = \"platform_python_implementation == 'PyPy'\" },\n]\n"
    ) + "".join(
        f'[[package]]\nname = "lib"\nversion = "{version}"\nsource = {{ registry = "https://pypi.org/simple" }}\n'
        f'wheels = [{{ url = "https://files.pythonhosted.org/lib-{version}-py3-none-any.whl", '
        f'hash = "sha256:{"0" * 64}" }}]\n'
        for version in ("1.0", "2.0")
    )
    lock = parse_uv_lock(text, "uv.lock")
    closures = {column: select(lock, dist_name("app"), column).dists for column in (CP312, PP311)}
    rows = {str(row.version): row for row in rows_of(closures, EL9, Known()) if row.name == "lib"}
    assert {version: [one.key for one in row.ways] for version, row in rows.items()} == {
        "1.0": ["pp311-x86_64"],
        "2.0": ["cp312-x86_64"],
    }


def test_columns_stand_by_architecture_each_once() -> None:
    found = columns_of([*INTERPRETERS.values(), interpreter_of("3.12"), interpreter_of("3.9")], ["x86_64"], musl=True)
    assert [column.key for column in found if not column.musl] == [
        *("cp39-x86_64", "cp311-x86_64", "cp312-x86_64", "cp313-x86_64", "cp314-x86_64", "pp311-x86_64"),
    ]
    assert [str(column) for column in found[-2:]] == ["CPython 3.14 x86_64 musl", "PyPy 8.0 (3.11) x86_64 musl"]


def test_each_release_of_pypy_has_a_column_and_markers_of_its_own() -> None:
    found = columns_of([*releases_of("pp311"), *releases_of("cp313")], ["x86_64"], musl=False)
    assert [column.key for column in found] == ["cp313-x86_64", "pp311_pp73-x86_64", "pp311-x86_64"]
    versions = [column.marker_environment()["implementation_version"] for column in found]
    assert versions == ["3.13.99", "7.3.99", "8.0.99"]
    assert [one.key for one in served(f"demo-1.0-pp311-pypy311_pp73-{OLD}.whl", found)] == ["pp311_pp73-x86_64"]


def test_what_was_built_serves_the_columns_that_its_name_says() -> None:
    columns = columns_of(INTERPRETERS.values(), ("x86_64", "aarch64"), musl=False)
    assert [one.key for one in served(f"demo-1.0-cp311-cp311-{NEWER}.whl", columns)] == ["cp311-x86_64"]
    assert len(list(served("demo-1.0-py3-none-any.whl", columns))) == len(columns)
    made = {(dist_name("demo"), "1.0"): (Made("a wheel", frozenset({CP312})),)}
    assert way_of(dist(), CP312, EL9, Known(made=made)).made == ("a wheel",)
    assert way_of(dist(), PP311, EL9, Known(made=made)).made == ()


def matrix(*dists: SelectedDist, closed: str = "") -> Matrix:
    rows = rows_of({CP312: dists}, EL9, Known())
    own = {CP312: ("el9",)} | ({PP311: ("other",)} if closed else {})
    return Matrix("shop", "1.0", EL9, (CP312, PP311), rows, own, {PP311: closed} if closed else {})


def test_all_that_a_target_cannot_have_is_told_at_once() -> None:
    found = matrix(
        dist(f"cp312-cp312-{NEWER}", sdist=None, name="new"),
        dist(f"pp311-pypy311_pp73-{OLD}", sdist=None, name="pypy"),
        dist(),
        closed="no Python 3.11",
    )
    assert [str(problem) for problem in found.problems()] == [
        (
            "el9 (CPython 3.12 x86_64): new 1.0 cannot be had: its wheels need glibc 2.39, as "
            f"new-1.0-cp312-cp312-{NEWER}.whl, and there is no sdist\n"
            "  fix: lock a version of new that has an sdist or a wheel for it"
        ),
        (
            "el9 (CPython 3.12 x86_64): pypy 1.0 cannot be had: no wheel fits, and there is no sdist\n"
            "  fix: lock a version of pypy that has an sdist or a wheel for it"
        ),
        "other (PyPy 8.0 (3.11) x86_64): the lock gives no closure: no Python 3.11",
    ]


def test_machines_get_every_way() -> None:
    found = matrix(dist(f"cp312-cp312-{NEWER}")).as_json()
    assert json.loads(json.dumps(found)) == found
    assert found["dists"][0]["ways"] == {
        "cp312-x86_64": {
            "way": "sdist",
            "file": "demo-1.0.tar.gz",
            "platform": "",
            "libc": "",
            "made": [],
            "too_new": f"demo-1.0-cp312-cp312-{NEWER}.whl",
            "too_new_libc": "2.39",
        }
    }
    assert found["columns"][0]["counts"] == {"sdist": 1}


class Page(HTMLParser):
    """What of a page a browser would do something with."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in {"src", "href", "action", "onclick", "onload"}]


def test_the_page_needs_nothing_else_and_says_names_as_they_are() -> None:
    evil = '"><script>alert(1)</script>{{ 7 * 7 }}'
    way = Way(Means.EXACT, file=evil, newer=evil, made=(evil,))
    rows = (Row(dist_name("demo"), Version("1.0"), first_party=True, ways={CP312: way}),)
    text = matrix_page(Matrix(evil, evil, EL9, (CP312, PP311), rows, {CP312: (evil,)}, {PP311: evil}))
    page = Page(text)
    assert "script" not in page.tags
    assert page.loads == []
    assert "49" not in text
    assert "url(" not in text
    assert text == matrix_page(Matrix(evil, evil, EL9, (CP312, PP311), rows, {CP312: (evil,)}, {PP311: evil}))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project()
    monkeypatch.chdir(tmp_path)
    return project


def test_the_command_reads_the_lock_alone(shop: Project, tmp_path: Path) -> None:
    shop.save(tmp_path)
    (tmp_path / ".elpack" / "downloads" / shop.wheel_name).unlink()
    (tmp_path / "dist" / "wheels").mkdir(parents=True)
    (tmp_path / "dist" / "wheels" / "lib-1.0-py3-none-any.whl").touch()
    done = CliRunner().invoke(cli.app, ["audit", "wheels", "--offline", "--json", "--check", "--page", "page.html"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    ways = {one["name"]: one["ways"]["pp311-x86_64"] for one in found["dists"]}
    assert {name: (way["way"], way["made"]) for name, way in ways.items()} == {
        "app": ("sdist, pure", []),
        "lib": ("universal", ["lib-1.0-py3-none-any.whl"]),
    }
    assert "+ wheel" in (tmp_path / "page.html").read_text()
    done = CliRunner().invoke(cli.app, ["audit", "wheels", "--offline", "--interpreter", "cp312", "--arch", "x86_64"])
    assert "app 1.0 (first-party)  sdist, pure" in done.stdout
    assert "lib 1.0" not in done.stdout


def test_the_command_fails_for_a_target_that_cannot_have_its_closure(shop: Project, tmp_path: Path) -> None:
    shop.wheel_name = "lib-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
    shop.save(tmp_path)
    done = CliRunner().invoke(cli.app, ["audit", "wheels", "--offline", "--check"])
    assert done.exit_code == 15, done.output
    assert "lib 1.0 cannot be had: no wheel fits, and there is no sdist" in done.stderr
    assert CliRunner().invoke(cli.app, ["audit", "wheels", "--offline"]).exit_code == 0


def test_an_interpreter_that_the_lock_is_not_for_is_a_closed_column(shop: Project, tmp_path: Path) -> None:
    shop.lock = LOCK.replace(">=3.11", ">=3.12")
    shop.save(tmp_path)
    done = CliRunner().invoke(cli.app, ["audit", "wheels", "--offline", "--all"])
    assert done.exit_code == 0, done.output
    assert (
        "PyPy 8.0 (3.11) x86_64: no closure, because the lock is for Python >=3.12, the target has 3.11" in done.stdout
    )


@pytest.mark.parametrize("option", [("--interpreter", "cp27"), ("--arch", "i686"), ("--layout", "flat")])
def test_what_is_not_known_is_wrong_usage(option: tuple[str, str]) -> None:
    assert CliRunner().invoke(cli.app, ["audit", "wheels", *option]).exit_code == 2
