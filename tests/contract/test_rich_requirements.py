"""The real rpm judges whole expressions: one package provides versions, another requires them, rpm installs both."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tests.property.test_requirements import BESIDE_THEM, CORNERS, WHOLE, specifier_sets

from elpack.requirements import provided_version, rpm_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# To shrink a failure takes minutes, for each try starts processes; what is wrong is listed one by one anyway.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
SPEC = """Name: {name}
Version: 1
Release: 1
Summary: {name}
License: MIT
BuildArch: noarch
{lines}

%description
{name}

%files
"""


def _package(folder: Path, name: str, lines: Sequence[str]) -> Path:
    (folder / f"{name}.spec").write_text(SPEC.format(name=name, lines="\n".join(lines)))
    command = ["rpmbuild", "-bb", "--define", f"_topdir {folder}", "--define", f"_rpmdir {folder}", f"{name}.spec"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "noarch" / f"{name}-1-1.noarch.rpm"


def unsatisfied(folder: Path, asked: Sequence[tuple[str, str]]) -> set[int]:
    """Return the numbers of the specifiers that rpm finds unsatisfied by the version beside them."""
    provides, requires = [], []
    for number, (specifiers, version) in enumerate(asked):
        provides.append(f"Provides: python3.12dist(d{number}) = {provided_version(Version(version))}")
        requires += [f"Requires: {text}" for text in rpm_requirements(Requirement(f"d{number}{specifiers}"), "3.12")]
    files = [_package(folder, "provider", provides), _package(folder, "requirer", requires)]
    root, database = folder / "root", "/var/lib/rpm"
    command = ["rpm", "--root", str(root), "--dbpath", database, "-i", "--test", *map(str, files)]
    root.mkdir(exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if "is needed by requirer" in line]
    assert done.returncode == 0 or lines, done.stderr
    return {int(re.findall(r"dist\(d([0-9]+)\)", line)[0]) for line in lines}


def _wrong(folder: Path, asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    refused = unsatisfied(folder, asked)
    return [
        one
        for number, one in enumerate(asked)
        if (number not in refused) != SpecifierSet(one[0]).contains(Version(one[1]), prereleases=True)
    ]


@pytest.mark.root
def test_the_corners(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("rpmbuild")
    sets = [*CORNERS, "~=1.0,!=1.0.*", "!=1.0,!=1.1,<2", "==1.*,!=1.0rc1,>=1.0a1"]
    asked = [(specifiers, version) for specifiers in sets for version in BESIDE_THEM]
    assert 0 < len(unsatisfied(tmp_path, asked)) < len(asked)
    assert _wrong(tmp_path, asked) == []


@pytest.mark.root
@settings(max_examples=4, phases=UNSHRUNK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(specifier_sets(WHOLE), WHOLE), min_size=40, max_size=80))
def test_any_specifiers(needs: Callable[..., None], tmp_path: Path, asked: list[tuple[str, str]]) -> None:
    needs("rpmbuild")
    assert _wrong(tmp_path, asked) == []
