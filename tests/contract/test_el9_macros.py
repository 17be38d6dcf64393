"""Every generated spec against EL9: what EL9 lacks, always; EL9's own macros where a folder with them is given."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.el9macros import (
    HOW_TO,
    PYTHONS,
    VARIABLE,
    IncompleteMacrosError,
    Lack,
    MacroSet,
    all_specs,
    el9_macros,
    generated_sources,
    label,
    lacking,
    lacks,
    python_of,
    standin_macros,
    unexpanded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SPECS = [pytest.param(spec, id=label(spec)) for spec in all_specs()]
# where no spec may move them, whatever it does to the prefix
FIXED = {
    "_unitdir": "/usr/lib/systemd/system",
    "_sysusersdir": "/usr/lib/sysusers.d",
    "_sysconfdir": "/etc",
    "_localstatedir": "/var",
}
USES_SITE_PACKAGES = re.compile(r"%\{?(python3_site|pyproject_(install|save|check)|py3_check_import|pytest)")


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> MacroSet:
    needs("rpmspec")
    return standin_macros(tmp_path_factory.mktemp("interpreters"))


@pytest.fixture(scope="module")
def el9(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> MacroSet:
    if not (folder := os.environ.get(VARIABLE)):
        pytest.skip(f"{VARIABLE} is not set: EL9's own macros were not asked ({HOW_TO})")
    needs("rpmspec")
    return el9_macros(Path(folder), tmp_path_factory.mktemp("interpreters"))


@pytest.fixture(params=["standin", "el9"])
def macros(request: pytest.FixtureRequest) -> MacroSet:
    """Return each set of macros in turn: what is checked with EL9's is checked with the stand-in's on any machine."""
    found: MacroSet = request.getfixturevalue(request.param)
    return found


def test_there_are_specs_for_both_pythons() -> None:
    assert {python_of(spec) for spec in all_specs()} >= set(PYTHONS)


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_uses_nothing_that_el9_lacks(spec: Path) -> None:
    assert lacking(spec.read_text()) == []


@pytest.mark.parametrize("lack", [pytest.param(lack, id=lack.what) for lack in lacks()])
def test_what_el9_lacks_is_found_where_it_is_used(lack: Lack) -> None:
    (found,) = lacking(f"Name: x\n# {lack.example}\n{lack.example}\n")
    assert found.startswith(f"3: {lack.example}: EL9 lacks {lack.what}")


def test_a_macro_that_is_only_named_is_not_used() -> None:
    assert lacking("echo %%autorelease, %%{pyproject_wheeldir}\n") == []


@pytest.mark.parametrize("spec", SPECS)
def test_all_macros_are_expanded(spec: Path, macros: MacroSet, tmp_path: Path) -> None:
    assert unexpanded(macros.expanded(spec, generated_sources(spec, tmp_path)), macros) == []


@pytest.mark.parametrize("text", ["%{python3_sitelib}", "%pyproject_typo", "%elpack_finish", "x %{?y}"])
def test_what_is_left_of_a_macro_is_found(text: str, standin: MacroSet) -> None:
    assert unexpanded(f"%install\n# {text}\n%dir /usr\n100% done\necho 'ERROR: {text}'\n{text}\n", standin) == [text]


@pytest.mark.parametrize("spec", SPECS)
def test_folders_are_where_they_belong(spec: Path, macros: MacroSet, tmp_path: Path) -> None:
    python, text = python_of(spec), spec.read_text()
    prefix = re.search(r"^%global _prefix (\S+)$", text, re.MULTILINE)
    names = ("python3_sitelib", "python3_sitearch", "python3_version", "_bindir", *FIXED)
    found = macros.values(spec, names, generated_sources(spec, tmp_path))
    assert {name: found[name] for name in FIXED} == FIXED
    assert found["_bindir"] == (f"{prefix[1]}/bin" if prefix else "/usr/bin")
    assert found["python3_version"] == (python or "3.9")
    # EL9's do not follow the prefix: a spec that moves it and needs them sets them
    if USES_SITE_PACKAGES.search(text):
        lib, lib64 = (f"{prefix[1]}/lib",) * 2 if prefix else ("/usr/lib", "/usr/lib64")
        assert found["python3_sitelib"] == f"{lib}/python{python}/site-packages"
        assert found["python3_sitearch"] == f"{lib64}/python{python}/site-packages"


@pytest.mark.parametrize("spec", SPECS)
def test_el9_and_the_stand_in_agree_about_the_packages(
    spec: Path, el9: MacroSet, standin: MacroSet, tmp_path: Path
) -> None:
    sources = generated_sources(spec, tmp_path)
    assert el9.facts(spec, sources) == standin.facts(spec, sources)


def test_a_folder_without_the_macros_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        IncompleteMacrosError, match=r"lacks macros \(of rpm\), .*macros\.pyproject \(of pyproject-rpm-mac"
    ):
        el9_macros(tmp_path, tmp_path)
