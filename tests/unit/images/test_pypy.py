"""Flavour pypy as values: its target and base, what a lock must have for it, and what the release file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests.unit.plans import RELEASE, Case

from elpack.config import parse_release
from elpack.errors import ConfigError, ImageError
from elpack.images.bases import base_for
from elpack.images.model import Pypy
from elpack.images.pypy import cannot_be_had, programs_of, pypy_target
from elpack.images.smoke import on_pypy
from elpack.manifest import effective
from elpack.model import CoreMetadata, RemoteFile, SdistFacts, SelectedDist, Sha256
from elpack.naming import dist_name
from elpack.plan.make import make_plan
from elpack.plan.model import BuildRequire
from elpack.plan.policy import choose_file, target_tags
from elpack.smoke import Smoke, SmokeStep
from elpack.steps.images.keys import settings_of
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from elpack.model import Target

ROOT = Path(__file__).parents[3]
STEPS = """\
[images]
[images.smoke]
steps = ["version"]
[[smoke.step]]
name = "version"
run = ["app", "version"]
"""


def _target(name: str = "el9", python: str = "3.12") -> Target:
    return resolve_target(TargetChoice(name, python, ("x86_64",)), "x86_64")


@pytest.mark.parametrize(
    ("name", "python", "base"), [("el9", "3.12", "pypy-slim"), ("el9-standin", "3.11", "pypy-standin")]
)
def test_each_target_has_a_base_with_pypy(name: str, python: str, base: str) -> None:
    found = pypy_target(_target(name, python), {})
    assert (found.pypy, found.python, found.glibc, found.name) == ("7.3", "3.11", (2, 34), name)
    assert found.interpreter == "/usr/bin/pypy3.11"
    assert base_for(found, {}).name == base


def test_cpythons_base_is_as_before() -> None:
    assert base_for(_target(), {}).name == "ubi9-minimal"
    assert base_for(_target("el9-standin", "3.11"), {}).name == "el9-standin"


@pytest.mark.parametrize(
    ("bases", "said"),
    [
        ({"el9-pypy": "python-slim"}, r"\[images.bases\] el9-pypy: python-slim has CPython 3.12, not PyPy 7.3"),
        ({"el9-pypy": "pypy-standin"}, "pypy-standin is a stand-in, and el9 is none"),
        ({"el9-pypy": "nobody"}, "no base image is called nobody"),
    ],
)
def test_a_base_that_does_not_fit_is_refused(bases: dict[str, str], said: str) -> None:
    with pytest.raises(ImageError, match=said):
        pypy_target(_target(), bases)


def test_a_base_with_pypy_is_none_of_cpythons() -> None:
    with pytest.raises(ImageError, match=r"pypy-slim has PyPy 7\.3, not CPython 3\.12"):
        base_for(_target(), {"el9": "pypy-slim"})


def _needs(*requires: str, wheels: tuple[str, ...] = (), rust: tuple[str, ...] = ()) -> list[str]:
    target = replace(_target(), pypy="7.3", python="3.11")
    files = tuple(RemoteFile(name, f"https://files.invalid/{name}", Sha256("0" * 64)) for name in wheels)
    sdist = RemoteFile("fast-1.0.tar.gz", "https://files.invalid/fast-1.0.tar.gz", Sha256("1" * 64))
    name = dist_name("fast")
    dist = SelectedDist(name, Version("1.0"), frozenset(), (), sdist, files, 7)
    facts = SdistFacts(
        "fast-1.0.tar.gz", sdist.sha256, "fast-1.0", CoreMetadata("fast", "1.0"), requires, "", (), (), "", (), (), (),
        has_uv_lock=False,
    )  # fmt: skip
    choice = choose_file(dist, target, target_tags(target))
    rust_dists = frozenset(map(dist_name, rust))
    return [str(one) for one in cannot_be_had({name: dist}, {name: choice}, {sdist.sha256: facts}, target, rust_dists)]


@pytest.mark.parametrize("requirement", ["maturin>=1,<2", "setuptools-rust", "Setuptools_Rust==1"])
def test_rust_without_a_wheel_is_told_with_the_wheels_that_there_are(requirement: str) -> None:
    newer = "fast-1.0-pp311-pypy311_pp80-manylinux_2_17_x86_64.whl"
    (said,) = _needs("setuptools", requirement, wheels=(newer, "fast-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"))
    assert said.startswith("uv.lock:7: fast 1.0 cannot be had for el9 / PyPy 3.11 / x86_64: ")
    assert "compiles Rust" in said
    assert said.splitlines()[1] == f"  why: wheels for PyPy in the lock: {newer}"


def test_what_compiles_and_what_has_a_wheel_can_be_had() -> None:
    assert _needs("setuptools", "cffi", "maturin-like") == []
    assert _needs("maturin", wheels=("fast-1.0-pp311-pypy311_pp73-manylinux_2_17_x86_64.whl",)) == []


def test_rust_can_be_had_where_the_release_says_that_debians_crates_do() -> None:
    assert _needs("maturin", rust=("fast",)) == []
    assert len(_needs("maturin", rust=("slow",))) == 1


def test_a_build_gets_the_programs_that_it_runs_and_no_others() -> None:
    package = replace(make_plan(Case().inputs()).packages[0], build_requires=(BuildRequire("gcc-c++", "x"),))
    with_cmake = replace(package, build_requires=(BuildRequire("cmake", "x"),))
    assert programs_of(package, rust=False) == ()
    assert programs_of(with_cmake, rust=False) == ("cmake",)
    assert programs_of(with_cmake, rust=True) == ("cmake", "cargo", "rustc")


def test_what_the_release_file_says_of_pypy() -> None:
    text = f"""{RELEASE}{STEPS}
[images.pypy.expect]
version = ["PyPy"]
[images.pypy.run]
version = ["app", "report"]
[[images.pypy.build-env]]
dist = "PyNaCl"
name = "SODIUM_INSTALL"
value = "bundled"
reason = "the image has no libsodium"
[[images.pypy.rust]]
dist = "Blake3"
versions.pyo3 = "0.28"
reason = "no wheel for PyPy"
"""
    images = parse_release(text).images
    assert images is not None
    assert images.pypy.expect == {"version": ("PyPy",)}
    assert images.pypy.run == {"version": ("app", "report")}
    assert images.pypy.environment(dist_name("pynacl")) == {"SODIUM_INSTALL": "bundled"}
    assert images.pypy.environment(dist_name("cffi")) == {}
    assert images.pypy.rust_dists() == {"blake3"}
    found = images.pypy.rust_dist(dist_name("blake3"))
    assert found is not None
    assert found.versions == {"pyo3": "0.28"}
    assert images.pypy.rust_dist(dist_name("cffi")) is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('[images.pypy.expect]\nversoin = ["PyPy"]', "images.pypy.expect.versoin: images.smoke takes no step"),
        ('[images.pypy.run]\nversoin = ["app"]', "images.pypy.run.versoin: images.smoke takes no step"),
        ("[images.pypy.run]\nversion = []", "images.pypy.run.version: expected a command"),
        ('[[images.pypy.build-env]]\ndist = "a"\nname = "A-B"\nvalue = ""\nreason = "x"', r"build-env\[0\].name"),
        ('[[images.pypy.build-env]]\ndist = "a"\nname = "A"\nvalue = ""\nreason = " "', r"build-env\[0\].reason"),
        ('[[images.pypy.build-env]]\ndist = "-"\nname = "A"\nvalue = ""\nreason = "x"', r"build-env\[0\].dist"),
        ('[[images.pypy.rust]]\ndist = "a"\nreason = ""', r"rust\[0\].reason"),
        ('[[images.pypy.rust]]\ndist = "a"\nreason = "x"\nversions = { b = ">1" }', r"rust\[0\].versions.b"),
        ('[[images.pypy.rust]]\ndist = "a"\nreason = "x"\nversions = { "b.c" = "1" }', r"rust\[0\].versions.b.c"),
        ('[images.bases]\nel8-pypy = "pypy-slim"', "el8-pypy"),
    ],
)
def test_mistakes_are_told_at_their_keys(lines: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_release(f"{RELEASE}{STEPS}{lines}\n")


def test_the_release_sets_the_variables_that_builds_for_pypy_read() -> None:
    images = parse_release((ROOT / "elpack.toml").read_text()).images
    assert images is not None
    found = {(one.dist, one.name): one.value for one in images.pypy.build_env if one.name != "CFLAGS"}
    assert found == {("pynacl", "SODIUM_INSTALL"): "bundled", ("py-ubjson", "PYUBJSON_NO_EXTENSION"): "1"}


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        ('[images.pypy.expect]\nversion = ["PyPy"]\n[images.pypy.run]\nversion = ["app", "report"]', True),
        ('[[images.pypy.build-env]]\ndist = "a"\nname = "A"\nvalue = "1"\nreason = "x"', False),
    ],
)
def test_how_an_image_is_tried_makes_no_other_image(lines: str, *, same: bool) -> None:
    plain, other = (settings_of(effective(parse_release(f"{RELEASE}{STEPS}{text}\n"))) for text in ("", lines))
    assert (plain == other) is same


def test_steps_are_others_on_pypy_and_say_other_words() -> None:
    steps = [SmokeStep(name, run=("app",), expect=("CPython",)) for name in ("version", "client", "legal")]
    version, client, legal = on_pypy(Smoke((*steps,)), Pypy({"version": ("PyPy",)}, run={"client": ("app", "x")})).steps
    assert (version.run, version.expect) == (("app",), ("PyPy",))
    assert (client.run, client.expect) == (("app", "x"), ("CPython",))
    assert legal == steps[2]
