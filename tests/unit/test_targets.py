"""Targets: what their data files say, and what a release may ask of them."""

from __future__ import annotations

import pytest

from elpack.errors import ConfigError
from elpack.targets import TargetChoice, known_targets, resolve_target


def test_targets_are_the_data_files() -> None:
    assert known_targets() == ("el9", "el9-standin")


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_rhel_9(arch: str) -> None:
    target = resolve_target(TargetChoice("el9", "3.12", ("x86_64", "aarch64")), arch)
    assert (target.el, target.python, target.arch) == (9, "3.12", arch)
    assert (target.dist_tag, target.glibc, target.standin) == (".el9", (2, 34), False)
    assert (target.python_rpm, target.devel_rpm) == ("python3.12", "python3.12-devel")
    assert target.interpreter == "/usr/bin/python3.12"
    assert {repository.id for repository in target.repositories} == {"baseos", "appstream", "crb"}
    for repository in target.repositories:
        assert f"/{arch}/" in repository.url
        assert repository.url.endswith("/")
        assert repository.gpgkey.startswith("https://")


def test_the_stand_in_says_that_it_is_one() -> None:
    target = resolve_target(TargetChoice("el9-standin", "3.11", ("x86_64",)), "x86_64")
    assert target.standin
    assert target.dist_tag == ".el9s"
    assert target.repositories == ()
    assert "not EL9" in target.title


def test_an_architecture_that_the_release_is_not_made_for() -> None:
    with pytest.raises(ConfigError) as refusal:
        resolve_target(TargetChoice("el9", "3.12", ("x86_64",)), "s390x")
    assert str(refusal.value) == ("[targets.el9] arches: the release is not made for s390x\n  fix: one of: x86_64")


def test_markers_are_those_of_cpython_on_linux() -> None:
    target = resolve_target(TargetChoice("el9", "3.12", ("x86_64",)), "x86_64")
    environment = target.marker_environment()
    assert environment["python_full_version"] == "3.12.99"
    assert environment["platform_machine"] == "x86_64"
    assert environment["sys_platform"] == "linux"
    assert target.python_nodot == "312"
