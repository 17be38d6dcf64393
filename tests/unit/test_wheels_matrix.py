from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from cibuildwheel.options import OptionsReader
from cibuildwheel.platforms.linux import all_python_configurations

from elpack.naming import dist_name
from elpack.wheels.cibuildwheel import Run, configuration
from elpack.wheels.columns import Column, fitting_tags
from elpack.wheels.matrix import chosen, matrix
from elpack.wheels.model import INTERPRETERS, Cell, How, Implementation, Variable, Wheels
from elpack.wheels.refusal import explained
from elpack.wheels.standin import programs, standin_image

ZLMDB, TXAIO = dist_name("zlmdb"), dist_name("txaio")
CELL = Cell(ZLMDB, "cp311", "x86_64", "manylinux_2_28", How.STANDIN)
WHEELS = Wheels(
    environment=(
        Variable("ALL", "1", "for all"),
        Variable("OTHER", "1", "of another", packages=frozenset({TXAIO})),
        Variable("ON_PYPY", "1", "of PyPy", implementations=frozenset({Implementation.PYPY})),
    )
)


def test_every_place_of_the_matrix_is_told_of() -> None:
    packages = {TXAIO: False, ZLMDB: True}
    cells = matrix(Wheels(musllinux=True), packages, {"aarch64": "no emulator"}, standin=True)
    pure, *binary = cells
    assert (pure.package, pure.how) == (TXAIO, How.PURE)
    assert len(binary) == 3 * 2 * 5
    why = {(cell.platform, cell.arch, cell.interpreter): (cell.how, cell.reason) for cell in binary}
    assert why["manylinux_2_28", "x86_64", "cp313"] == (How.STANDIN, "")
    assert why["manylinux_2_28", "aarch64", "cp313"] == (How.NOT, "no emulator")
    assert why["manylinux_2_34", "x86_64", "cp312"][0] is How.NOT
    assert "has cp312" in why["manylinux_2_34", "x86_64", "cp312"][1]
    assert "glibc" in why["musllinux_1_2", "x86_64", "cp313"][1]
    assert all(cell.reason for cell in cells if cell.how is How.NOT)


def test_manylinux_images_have_every_interpreter() -> None:
    cells = matrix(Wheels(musllinux=True), {ZLMDB: True}, {}, standin=False)
    assert {cell.identifier for cell in cells if cell.how is How.NOT} == {
        "pp311-musllinux_x86_64",
        "pp311-musllinux_aarch64",
    }


def test_cibuildwheel_knows_every_place() -> None:
    known = {one.identifier for one in all_python_configurations()}
    cells = matrix(Wheels(musllinux=True), {ZLMDB: True}, {}, standin=False)
    assert {cell.identifier for cell in cells if cell.how is How.IMAGE} <= known


def test_cibuildwheel_finds_each_interpreter_of_the_standin() -> None:
    expected = {one.identifier.partition("-")[0]: Path(one.path_str).name for one in all_python_configurations()}
    for tag, one in standin_image().interpreters.items():
        assert expected[tag] in one.folders


def test_wheels_are_tagged_as_cibuildwheel_tags_them() -> None:
    folders = {one.identifier.partition("-")[0]: Path(one.path_str).name for one in all_python_configurations()}
    for tag, one in INTERPRETERS.items():
        ranks = fitting_tags(Column(one, "x86_64"), (2, 28))
        best = min(ranks, key=ranks.__getitem__)
        assert f"{best.interpreter}-{best.abi}" == folders[tag]


def test_words_leave_out_what_is_not_named() -> None:
    cells = matrix(Wheels(), {TXAIO: False, ZLMDB: True}, {}, standin=False)
    found = chosen(cells, interpreters=["cp313"], arches=["aarch64"])
    assert {(cell.interpreter, cell.arch) for cell in found} == {("", ""), ("cp313", "aarch64")}
    assert {cell.package for cell in chosen(cells, packages=["txaio"])} == {TXAIO}


def test_cibuildwheel_reads_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(configuration(WHEELS, ZLMDB, "manylinux_2_34", 5))
    reader = OptionsReader(path, platform="linux", env={}, disallow={})
    assert reader.get("manylinux-pypy_aarch64-image") == "manylinux_2_34"
    assert "manylinux_2_34_$(uname -m)" in reader.get("repair-wheel-command")
    table = tomllib.loads(path.read_text())["tool"]["cibuildwheel"]
    assert table["linux"]["environment"] == {"SOURCE_DATE_EPOCH": "5", "ALL": "1"}
    (override,) = table["overrides"]
    assert (override["select"], override["environment"]) == ("pp*", {"ON_PYPY": "1"})
    assert "# of PyPy" in path.read_text()


def test_musllinux_has_images_of_its_own() -> None:
    text = configuration(Wheels(), ZLMDB, "musllinux_1_2", 0)
    assert 'musllinux-x86_64-image = "musllinux_1_2"' in text
    assert "pypy" not in text
    assert "pp311" not in text


def test_a_container_sees_nothing_of_the_host_and_no_network() -> None:
    run = Run(CELL, Path("c"), Path("p"), Path("o"), Path("/house"), Path("/cache"), "localhost/x", memory=1 << 30)
    engine = run.environment()["CIBW_CONTAINER_ENGINE"]
    assert "--network=none" in engine
    assert "disable_host_mount: true" in engine
    assert "--volume=/house:/elpack/wheelhouse:ro" in engine
    assert "--env=ELPACK_GLIBC=2.28" in engine
    assert "--memory=1073741824" in engine
    assert run.arguments()[:2] == ("--only", "cp311-manylinux_x86_64")


def test_manylinux_images_keep_their_own_compiler() -> None:
    run = Run(CELL, Path("c"), Path("p"), Path("o"), Path("/house"), Path("/cache"))
    environment = run.environment()
    assert set(environment) == {"CIBW_CONTAINER_ENGINE", "CIBW_DEPENDENCY_VERSIONS"}
    assert "ELPACK_GLIBC" not in environment["CIBW_CONTAINER_ENGINE"]


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_the_compilers_have_the_names_that_debian_compiled_by(arch: str) -> None:
    found = dict(programs(arch))
    assert f"-target {arch}-linux-gnu." in found[f"usr/local/bin/{arch}-linux-gnu-gcc"]
    assert "exec ccache /usr/local/lib/elpack/c++" in found["usr/local/bin/g++"]


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("-O2 -MD -MF a.d -o a.o -c a.c", "-O2 -MD -MF a.d -o a.o -c a.c"),
        ("-march=x86-64-v2 -g -L/usr/lib -DA=b", "-march=x86_64_v2 -g -DA=b"),
        ("-march=armv8-a -Wl,-Bsymbolic-functions", "-mcpu=generic"),
    ],
)
def test_what_the_compilers_give_to_zig(given: str, seen: str) -> None:
    files = dict(programs("aarch64"))
    text = files["usr/local/bin/cc"].replace("exec ccache", 'exec echo "$CCACHE_DIR"')
    environment = {"ELPACK_GLIBC": "2.28", "ZIG_GLOBAL_CACHE_DIR": "/cache"}
    argv = ["/bin/sh", "-c", text, "cc", "one  word", *given.split()]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    own = "-target aarch64-linux-gnu.2.28 -fno-sanitize=undefined -idirafter /opt/include"
    assert done.stdout == f"/cache/ccache /usr/local/lib/elpack/cc {own} one  word {seen} -g0\n"
    assert "exec /opt/zig/zig cc" in files["usr/local/lib/elpack/cc"]


@pytest.mark.parametrize(
    ("said", "what", "fix"),
    [
        ("Build failed because a pure Python wheel was generated.", "compiled nothing", "hook"),
        (
            'cannot repair "x.whl" to "manylinux_2_28_x86_64" ABI because of too-recent versioned symbols.',
            "newer symbols of glibc than manylinux_2_28 allows",
            "wheels.policies",
        ),
        ('cannot repair "x.whl" to "y" ABI because it depends on black-listed symbols.', "2_28 forbids", "public"),
        ('cannot repair "x.whl" to "y" ABI because it depends on unsupported ISA extensions.', "newer proc", "-march"),
        ('cannot repair "x.whl" to "y" ABI because the moon is full', "the moon is full", "auditwheel show"),
        (
            'Cannot repair wheel, because required library "libfoo.so.1" could not be located',
            'libfoo.so.1" could not be located',
            "statically",
        ),
        ("'/opt/python/cp311-cp311/bin/python' executable doesn't exist in image 'x'", "no cp311", "wheels.interp"),
        ("ERROR: No matching distribution found for cffi>=2", "cffi>=2", "elpack lock"),
        ("\x1b[31mno reason\x1b[0m at all", "no reason at all", "the whole log"),
    ],
)
def test_refusals_are_told_in_a_users_words(said: str, what: str, fix: str) -> None:
    problem = explained(CELL, f"first line\n{said}\n", "the.log")
    assert what in problem.what
    assert fix in problem.fix
    assert problem.where == "the.log"
    assert "zlmdb" in problem.what
