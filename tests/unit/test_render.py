from __future__ import annotations

import datetime as dt
import locale
import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.golden.made_up import bundle_of, bundle_plan
from tests.golden.recorded import GOLDEN, GOLDEN_SYSTEM, PACKAGER, load

from elpack.errors import PlanError
from elpack.model import Layout, Sha256
from elpack.naming import Evr, RpmVersion
from elpack.plan.model import BuildRequire, Extra, InstalledFile, Licence, NodeId, Package, Plan, Role, Source
from elpack.render import changelog_date, own_folders, render_all, render_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDED = Path(__file__).parents[1] / "golden"
PLAN = load(RECORDED, "el9")
SYSTEM = load(RECORDED, "el9", Layout.SYSTEM)
BUNDLES = bundle_plan("el9", "3.12")
NODES = PLAN.by_node()
CROSSBAR, NUMPY, ZLMDB = (NODES[NodeId(f"stack/{name}")] for name in ("crossbar", "numpy", "zlmdb"))
AUTOBAHN, SYSTEM_NUMPY, TXAIO = (SYSTEM.by_node()[NodeId(f"system/{name}")] for name in ("autobahn", "numpy", "txaio"))
BUNDLE = bundle_of(BUNDLES)
SECTION = re.compile(
    r"^%(package|description|prep|build|install|check|clean|pre|post|preun|postun|pretrans|posttrans|trigger\w*"
    r"|filetrigger\w*|verifyscript|files|changelog|sourcelist|patchlist|generate_buildrequires)\b"
)
HOSTILE = (
    "%(touch pwned)",
    "%{lua:io.open('pwned','w')}",
    "%{expand:%files}",
    "%files",
    "%if 0",
    "%include /etc/passwd",
    "%define evil 1",
    "words then %files",
    "w" * 78 + " %post",
    "\n%post\ntouch pwned",
    "x\r%post",
    "x\u2028%post",
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '" | touch pwned; echo "',
    "-rf /",
    "--eval",
    "a b",
    "x\\",
    "\u202egpj.exe",
    "../../etc/passwd",
    "/../../etc/passwd",
    "#",
    "%",
)


def plan_of(package: Package) -> Plan:
    """Return the plan that a package belongs to."""
    return {"system": SYSTEM, "bundle": BUNDLES}.get(package.node.partition("/")[0], PLAN)


def render(package: Package) -> str:
    plan = plan_of(package)
    packages = tuple(package if item.node == package.node else item for item in plan.packages)
    return render_spec(package, replace(plan, packages=packages), PACKAGER, 1)


def lines(package: Package) -> list[str]:
    return render(package).splitlines()


def changed(package: Package, **values: Any) -> Package:
    """Return the package with other values, of whatever type."""
    return replace(package, **values)


def changed_extra(extra: Extra, **values: Any) -> Extra:
    return replace(extra, **values)


def mutations(package: Package, text: str) -> Iterator[tuple[str, Package]]:
    """Yield the package with the text in each place that a value from outside may reach."""
    for name in (
        *("summary", "url", "upstream_version", "folder", "native", "prefix", "service", "rpm", "dist"),
        *("swaps_with", "script_suffix"),
    ):
        if getattr(package, name):
            yield name, changed(package, **{name: text})
    for name in ("requires", "provides", "modules", "licence_files", "vendored_sonames", "drop", "keep_source"):
        yield name, changed(package, **{name: (text,)})
    for name in ("build_env", "notes", "expose", "bundled", "conflicts", "not_hardened", "top_level", "scripts"):
        yield name, changed(package, **{name: (text,)})
    for extra in package.extras[:1]:
        for field in ({"name": text}, {"rpm": text}, {"requires": (text,)}, {"provides": (text,)}):
            yield f"extra {field}", changed(package, extras=(changed_extra(extra, **field), *package.extras[1:]))
    for entry in package.changelog:
        yield "changelog", replace(package, changelog=(replace(entry, text=("first", text)), entry))
    yield "must_have", replace(package, must_have=((text, 1),))
    yield "licence", replace(package, licence=Licence(text, ""))
    yield "build_requires", replace(package, build_requires=(BuildRequire(text, "why"),))
    yield "reason", replace(package, build_requires=(BuildRequire("gcc", text),))
    source = package.sources[0]
    yield "filename", replace(package, sources=(replace(source, filename=text), *package.sources[1:]))
    yield "url of a source", replace(package, sources=(replace(source, url=text), *package.sources[1:]))
    yield "sha256", replace(package, sources=(replace(source, sha256=Sha256(text)), *package.sources[1:]))
    yield "generated", replace(package, generated=((text, ""), *package.generated))
    for name, value in (("destination", text), ("destination", f"/etc/x/a{text}"), ("group", text)):
        values: dict[str, Any] = {"destination": "/etc/x/y", "group": "root", name: value}
        file = InstalledFile(source.filename, mode=0o644, config=False, **values)
        yield name, replace(package, installed=(file,))


# between them they show every line of all templates
COMPILED = replace(CROSSBAR, noarch=False, native="it compiles", drop=("bin/x",), build_env=("A=b",))
REPACKAGED = replace(NUMPY, service="x", build_requires=CROSSBAR.build_requires, provides=("a = 1", "b"))
PLAIN = replace(
    TXAIO,
    drop=("bin/x",),
    scripts=("txaio",),
    licence_in_metadata=False,
    licence_files=("LICENSE",),
    installed=(InstalledFile(TXAIO.sources[0].filename, "/etc/txaio/x", 0o644, config=True),),
)
NOT_PLAIN = replace(AUTOBAHN, plain=False, service="x", build_env=("A=b",), bundled=("bundled(a) = 1",))
SYSTEM_WHEEL = replace(SYSTEM_NUMPY, extras=TXAIO.extras, keep_source=("a.py",))
EVERY_TEMPLATE = {
    "sdist": COMPILED,
    "wheel": REPACKAGED,
    "bundle": BUNDLE,
    "plain": PLAIN,
    "system": NOT_PLAIN,
    "system wheel": SYSTEM_WHEEL,
}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("package", EVERY_TEMPLATE.values(), ids=EVERY_TEMPLATE)
def test_nothing_can_be_injected(
    package: Package, text: str, tmp_path: Path, needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile value is refused, or it stands in the spec as text: no section, no command, no macro of its own."""
    needs("rpmspec")
    monkeypatch.chdir(tmp_path)
    clean = sections(render(package))
    written: list[Path] = []
    for place, mutant in mutations(package, text):
        try:
            spec = render(mutant)
        except ValueError:
            continue
        assert sections(spec) == clean, place
        # as the rest of a path's name a dash means nothing
        commands = [line.replace("/etc/x/a--eval", "") for line in shell(spec)]
        assert len(text) == 1 or not [line for line in commands if text in line], place
        written.append(tmp_path / f"{len(written)}.spec")
        written[-1].write_text(spec)
    if written:
        # rpm refuses some of them, such as spaces in a version; what counts is what it does when it parses them
        done = subprocess.run(["rpmspec", "-P", *map(str, written)], capture_output=True, text=True, check=False)
        assert "root:x:0" not in done.stdout
    assert sorted(tmp_path.iterdir()) == sorted(written)


def sections(spec: str) -> list[str]:
    """Return the lines that begin sections; of a metapackage's the names are left out."""
    found = (line for line in spec.replace("%%", "%").splitlines() if SECTION.match(line.lstrip()))
    return [re.sub(r"(?<= -n) .*", "", line) for line in found]


def shell(spec: str) -> list[str]:
    """Return the lines that a shell reads."""
    found, inside = [], False
    for line in spec.splitlines():
        if SECTION.match(line):
            inside = line.startswith(("%prep", "%build", "%install", "%check", "%pre", "%post"))
        elif inside and not line.startswith("#"):
            found.append(line)
    return found


def test_a_value_that_looks_like_a_macro_is_literal() -> None:
    spec = render(replace(CROSSBAR, summary="Costs 100%, %{name} and %(date)"))
    assert "Summary:        Costs 100%%, %%{name} and %%(date)\n" in spec


LAID_OUT = {
    **{name: NODES[NodeId(name)] for name in GOLDEN},
    **{name: SYSTEM.by_node()[NodeId(name)] for name in GOLDEN_SYSTEM},
    **EVERY_TEMPLATE,
}


@pytest.mark.parametrize("package", LAID_OUT.values(), ids=LAID_OUT)
def test_a_spec_is_laid_out_with_care(package: Package) -> None:
    text = render(package)
    rows = text.splitlines()
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    assert "\t" not in text
    assert not [row for row in rows if row != row.rstrip()]
    assert not [row for row in rows if row.startswith("# ") and len(row) > 120]
    for before, row in pairwise(rows):
        if SECTION.match(row):
            assert before == "", row
    tags = [row for row in rows if re.match(r"[A-Z]\w+: ", row)]
    assert {re.match(r"\S+ +", tag).end() for tag in tags} == {16}  # type: ignore[union-attr]
    comments = [row for row in rows if row.startswith("# ")]
    assert len(comments) == len(set(comments))


@pytest.mark.parametrize("package", LAID_OUT.values(), ids=LAID_OUT)
def test_no_line_of_a_description_is_too_long(package: Package) -> None:
    found = re.finditer(r"^%description[^\n]*\n(.+?)\n\n%(?:package|prep)", render(package), re.MULTILINE | re.DOTALL)
    descriptions = [match[1] for match in found]
    assert len(descriptions) == 1 + len(package.extras)
    assert max(map(len, "\n".join(descriptions).splitlines())) <= 79


def test_long_notes_are_wrapped_and_stay_comments() -> None:
    notes = ("a first reason " * 20, "a second one")
    rows = lines(replace(NUMPY, notes=notes))
    before = rows[: rows.index("%global python3_pkgversion 3.12")]
    assert all(row == "" or row.startswith("# ") for row in before)
    assert max(map(len, before[1:])) <= 100
    assert before[-2] == "# a second one"


def test_a_megabyte_in_a_note_is_no_problem() -> None:
    assert max(map(len, lines(replace(NUMPY, notes=("why " * (1 << 18),))))) < 400


def test_the_application_brings_its_service() -> None:
    rows = lines(CROSSBAR)
    for row in (
        "BuildRequires:  systemd-rpm-macros",
        "%{?systemd_requires}",
        "%{?sysusers_requires_compat}",
        "%sysusers_create_compat %{SOURCE4}",
        "%systemd_post crossbar.service",
        "%systemd_preun crossbar.service",
        "%systemd_postun_with_restart crossbar.service",
        "install -D -p -m 0644 %{SOURCE3} %{buildroot}%{_unitdir}/crossbar.service",
        "%{_unitdir}/crossbar.service",
        "%{_sysusersdir}/crossbar.conf",
    ):
        assert row in rows
    assert rows[rows.index("%pre") + 1] == "%sysusers_create_compat %{SOURCE4}"


def test_without_a_service_there_are_no_scriptlets() -> None:
    text = render(replace(CROSSBAR, service="", installed=(), generated=(), build_requires=()))
    assert "systemd" not in text
    assert "sysusers" not in text
    assert "%pre\n" not in text


def test_configuration_belongs_to_its_group_and_its_folder_to_the_package() -> None:
    rows = lines(CROSSBAR)
    assert "%dir /etc/crossbar" in rows
    assert "%config(noreplace) %attr(0640, root, crossbar) /etc/crossbar/config.json" in rows
    assert "%doc /usr/share/man/man1/crossbar.1*" in rows
    assert "/usr/bin/crossbar" in rows
    # systemd makes it, and it holds data
    assert not [row for row in rows if "/var/lib" in row]


def test_a_service_in_a_wheel_is_installed_as_well() -> None:
    application = changed(NUMPY, **{name: getattr(CROSSBAR, name) for name in ("expose", "installed", "service")})
    files = tuple(replace(file, source=NUMPY.sources[0].filename) for file in application.installed)
    application = replace(application, installed=files, build_requires=CROSSBAR.build_requires)
    rows = lines(application)
    assert "BuildRequires:  systemd-rpm-macros" in rows
    assert "%systemd_post crossbar.service" in rows
    assert "/usr/bin/crossbar" in rows


def test_configuration_beside_machine_code_is_offered_as_rpm_requires_it() -> None:
    # looking for requirements, rpm finds config(x) for x itself; looking for Provides, which would offer it, is off
    files = tuple(replace(file, source=NUMPY.sources[0].filename) for file in CROSSBAR.installed if file.config)
    offer = f"Provides:       config({NUMPY.rpm}) = %{{?epoch:%{{epoch}}:}}%{{version}}-%{{release}}"
    assert offer in lines(changed(NUMPY, installed=files))
    assert "AutoProv:       no" in lines(NUMPY)
    for silent in (NUMPY, CROSSBAR):  # no configuration; nothing is looked for
        assert "config(crossbar" not in render(silent)


def test_only_folders_that_nobody_else_owns_belong_to_the_package() -> None:
    destinations = (
        "/etc/app/conf.d/a.conf",
        "/etc/logrotate.d/app",
        "/etc/sysconfig/app",
        "/etc/pki/tls/certs/app.pem",
        "/usr/lib/systemd/system/app.service",
        "/usr/lib/sysusers.d/app.conf",
        "/usr/share/man/man1/app.1",
        "/usr/share/app/data/x",
        "/usr/bin/app",
        "/opt/other/x",
    )
    files = tuple(InstalledFile("x", path, 0o644, config=False) for path in destinations)
    expected = ["/etc/app", "/etc/app/conf.d", "/opt/other", "/usr/share/app", "/usr/share/app/data"]
    assert own_folders(files) == expected


def test_a_source_has_the_name_that_the_builder_gives_it() -> None:
    url = "https://files.example/a%2Bb/app-1.0%2Blocal.tar.gz"
    source = Source("app-1.0+local.tar.gz", Sha256("0" * 64), url)
    spec = render(replace(CROSSBAR, sources=(source, *CROSSBAR.sources[1:])))
    assert f"Source0:        {url.replace('%', '%%')}#/app-1.0+local.tar.gz\n" in spec


def test_an_epoch_is_part_of_requirements() -> None:
    idna = NODES[NodeId("stack/idna")]
    newer = replace(idna, evr=Evr(2, RpmVersion("1.0.0"), "1.el9"))
    assert "Epoch:          2\n" in render(newer)
    plan = replace(PLAN, packages=tuple(newer if item is idna else item for item in PLAN.packages))
    assert "Requires:       crossbar-python3.12-idna = 2:1.0.0-1%{?dist}\n" in render_spec(CROSSBAR, plan, PACKAGER, 1)


def test_a_requirement_with_two_bounds_is_filtered_as_well() -> None:
    (row,) = (row for row in lines(NUMPY) if "__requires_exclude" in row)
    pattern = re.compile(row.split(maxsplit=2)[2])
    for name in (
        "python3.12dist(bar) >= 1",
        "(python3.12dist(bar) >= 1 with python3.12dist(bar) < 2)",
        "((python3.12dist(baz) < 1.5 or python3.12dist(baz) > 1.5) with python3.12dist(baz) >= 1)",
        "/opt/crossbar/bin/python",
        *NUMPY.vendored_sonames,
    ):
        assert pattern.match(name), name
    for name in ("libc.so.6()(64bit)", "python(abi)", "python3x12dist(bar)", "/opt/crossbar2/x"):
        assert not pattern.match(name), name


def test_compiled_packages_insist_on_machine_code_and_pure_ones_on_none() -> None:
    assert "%elpack_finish -l LICENSE -l NOTICE -n" in lines(ZLMDB)
    assert [row for row in lines(CROSSBAR) if row.startswith("%elpack_finish ") and row.endswith(" -p")]


def test_every_value_that_does_not_fit_is_told_at_once() -> None:
    bad = tuple(
        replace(item, url="a\nb") if item.node in ("stack/idna", "stack/numpy") else item
        for item in PLAN.packages
        if item.node in GOLDEN
    )
    rest = tuple(item for item in PLAN.packages if item.node not in GOLDEN)
    with pytest.raises(PlanError) as caught:
        render_all(_Only(replace(PLAN, packages=(*bad, *rest))), PACKAGER, 1)  # type: ignore[arg-type]
    assert [problem.where for problem in caught.value.problems] == ["idna 2.5", "numpy 2.3.5"]


class _Only:
    """A recorded plan, of which only the golden packages can be rendered."""

    def __init__(self, plan: Plan) -> None:
        self.packages = tuple(package for package in plan.packages if package.node in GOLDEN)
        self.by_node, self.target, self.release = plan.by_node, plan.target, plan.release


def test_a_changelog_is_in_english_everywhere() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert changelog_date(dt.date(2026, 10, 2)) == "Fri Oct 02 2026"
    finally:
        locale.setlocale(locale.LC_TIME, before)


def test_rendering_is_deterministic() -> None:
    assert render(CROSSBAR) == render(CROSSBAR)


def test_what_is_bundled_and_what_is_checked_of_machine_code() -> None:
    package = replace(
        ZLMDB,
        bundled=("bundled(lmdb) = 0.9.36", "bundled(npm(@a/b)) = 1.0"),
        must_have=(("zlmdb/*.py", 3),),
        not_hardened=("*/_jit.*.so",),
        cffi_only=True,
    )
    spec = render_spec(package, PLAN, PACKAGER, 1)
    assert re.findall(r"^Provides: +(bundled.*)$", spec, re.MULTILINE) == list(package.bundled)
    assert re.search(r"^%elpack_finish( .*)? -m 'zlmdb/\*\.py=3'( |$)", spec, re.MULTILINE)
    checks = spec.partition("\n%check\n")[2].split("\n\n")[0].splitlines()
    assert checks[1:] == ["%elpack_check_hardening -x '*/_jit.*.so'", "%elpack_check_cffi"]


def test_machine_code_is_checked_of_customers_packages_only() -> None:
    assert "\n%elpack_check_hardening\n" in render_spec(replace(ZLMDB, modules=()), PLAN, PACKAGER, 1)
    assert "\n%elpack_check_cffi\n" not in render_spec(replace(ZLMDB, cffi_only=False), PLAN, PACKAGER, 1)
    for package in (replace(ZLMDB, native=""), replace(ZLMDB, role=Role.BUILDROOT)):
        assert "elpack_check_hardening" not in render_spec(package, PLAN, PACKAGER, 1)


@pytest.mark.parametrize("text", ["'", "a b", "$(id)", "%{x}", "a\n%post", "-x", "a/../b", ""])
def test_a_pattern_that_quotes_cannot_hold_is_refused(text: str) -> None:
    for field in ({"not_hardened": (text,)}, {"must_have": ((text, 1),)}):
        if text or "not_hardened" in field:
            with pytest.raises(ValueError, match="not a plain pattern"):
                render_spec(replace(ZLMDB, **field), PLAN, PACKAGER, 1)
