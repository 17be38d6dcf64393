"""Layout `bundle`: one package that is made of the stack's, and says what is in it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import APP, LIB, OWN, RELEASE, Case, digest

from elpack.checks import RULES
from elpack.model import Layout
from elpack.plan.make import make_plan
from elpack.plan.model import BuildRequire, Role, Source
from elpack.render import render_all, render_spec

if TYPE_CHECKING:
    from elpack.plan.model import Package, Plan

SERVICE = """\
[[asset]]
source = "etc/app.json"
destination = "/etc/app/app.json"
mode = "0640"
config = true
[[asset]]
source = "man/app.1"
destination = "/usr/share/man/man1/app.1"
[service]
name = "app"
description = "Shop"
user = "app"
exec = ["/opt/shop/bin/app"]
"""
ASSETS = {path: Source(path.rpartition("/")[2], digest(path)) for path in ("etc/app.json", "man/app.1")}
BUNDLE = Case(layout=Layout.BUNDLE)


def planned(case: Case = BUNDLE) -> tuple[Plan, Package]:
    """Return a bundle's plan and the bundle."""
    plan = make_plan(replace(case.inputs(), assets=ASSETS))
    return plan, plan.by_node()["bundle"]  # type: ignore[index]


def test_it_is_what_customers_get_and_the_stack_is_what_it_is_made_of() -> None:
    plan, bundle = planned()
    stack = make_plan(Case().inputs())
    assert plan.layout is Layout.BUNDLE
    assert plan.published() == (bundle,)
    assert (plan.roots, plan.install) == (("bundle",), ("python3-app",))
    assert tuple(package for package in plan.packages if package.role is not Role.BUNDLE) == stack.packages
    assert (bundle.role, bundle.rpm, str(bundle.evr)) == (Role.BUNDLE, "app-bundle", "2.0.0-1.el9")
    assert (bundle.dist, bundle.upstream_version, bundle.prefix) == ("app", "2.0", "/opt/shop")


def test_without_another_name_it_is_asked_for_by_its_own() -> None:
    plan, _ = planned(replace(BUNDLE, release=RELEASE.replace('provides = ["python3-app"]\n', 'rpm = "shop-app"\n')))
    assert plan.install == ("shop-app-bundle",)


def test_its_build_root_holds_the_whole_stack_and_nothing_of_the_build_lock() -> None:
    _, bundle = planned()
    assert set(bundle.waits_for) == {"macros", "runtime", "stack/app", "stack/lib", "stack/own"}
    assert bundle.needs == ()
    assert bundle.build_requires == ()


def test_it_names_every_dist_as_provides_spell_versions_and_what_these_bundle() -> None:
    override = '[[bundled]]\nname = "lmdb"\nversion = "0.9.33"\nfile = "l.h"\ntext = "33"\nreason = "an engine"\n'
    case = replace(BUNDLE.instead(replace(LIB, version="1!0.9.0rc1")), overrides={"own": override})
    _, bundle = planned(case)
    assert bundle.bundled == (
        "bundled(lmdb) = 0.9.33",
        "bundled(python3.12dist(app)) = 2",
        "bundled(python3.12dist(lib)) = 1:0.9~rc1",
        "bundled(python3.12dist(own)) = 1.5",
    )
    assert bundle.provides == ("python3-app",)


def test_it_keeps_off_the_stack_whose_files_it_owns() -> None:
    plan, bundle = planned()
    # whatever else is of the stack requires the prefix's package
    assert set(bundle.conflicts) == {"app", "shop-python3.12"}
    application = plan.by_node()["stack/app"]  # type: ignore[index]
    assert (bundle.swaps_with, application.swaps_with) == ("app", "app-bundle")


def test_its_licence_is_that_of_every_part() -> None:
    case = BUNDLE.instead(replace(LIB, licence="Zlib AND MIT"), replace(OWN, licence="BSD-3-Clause OR Apache-2.0"))
    _, bundle = planned(case)
    assert bundle.licence.expression == "(BSD-3-Clause OR Apache-2.0) AND MIT AND Zlib"


@pytest.mark.parametrize(("day", "date"), [(1, dt.date(2026, 11, 1)), (30, dt.date(2026, 11, 30))])
def test_its_date_is_that_of_its_newest_part(day: int, date: dt.date) -> None:
    uploaded = int(dt.datetime(2026, 11, day, tzinfo=dt.UTC).timestamp())
    _, bundle = planned(BUNDLE.instead(replace(LIB, uploaded=uploaded)))
    assert bundle.date == date


def test_it_requires_what_its_parts_require_of_the_target() -> None:
    _, bundle = planned()
    assert bundle.requires == ("python3.12",)
    assert bundle.noarch
    _, native = planned(
        BUNDLE.instead(replace(LIB, wheel="cp312-cp312-manylinux_2_28_x86_64", files=("x.libs/a.so.1",)))
    )
    assert not native.noarch
    assert native.vendored_sonames == ("a.so.1",)


def test_nothing_is_compiled_imported_or_dropped_again() -> None:
    override = """\
[[drop]]
path = "bin/x"
reason = "why"
[[build-env]]
set = "A=b"
reason = "why"
[[no-bytecompile]]
path = "app/x.py"
reason = "why"
[[must-have]]
path = "app/*.json"
reason = "why"
[[not-hardened]]
path = "*.so"
reason = "why"
"""
    case = replace(
        BUNDLE.instead(replace(APP, native="it compiles")),
        release=RELEASE + "[promises]\ncffi-only = true\n",
        overrides={"app": override},
    )
    _, bundle = planned(case)
    assert (bundle.native, bundle.modules, bundle.drop, bundle.build_env) == ("", (), (), ())
    assert (bundle.keep_source, bundle.must_have, bundle.notes, bundle.expose) == ((), (), (), ())
    assert (bundle.not_hardened, bundle.cffi_only) == ((), False)
    assert not bundle.noarch
    spec = render_spec(bundle, planned(case)[0], "Shop <shop@example.org>", 1)
    for word in ("%elpack_finish", "%check", "%pyproject", "%set_build_flags", "sha256sum"):
        assert word not in spec


def test_the_service_comes_with_it_and_only_what_the_build_user_may_not_copy_is_a_source() -> None:
    _, bundle = planned(replace(BUNDLE, release=RELEASE + SERVICE))
    assert bundle.service == "app"
    # the man page is compressed already where it is copied from
    assert [source.filename for source in bundle.sources] == ["app.json"]
    assert [name for name, _ in bundle.generated] == ["app.service", "app.conf"]
    assert [(file.destination, file.mode, file.config) for file in bundle.installed] == [
        ("/etc/app/app.json", 0o640, True),
        ("/usr/lib/systemd/system/app.service", 0o644, False),
        ("/usr/lib/sysusers.d/app.conf", 0o644, False),
    ]
    assert bundle.build_requires == (BuildRequire("systemd-rpm-macros", "the service and its user"),)


def test_its_spec_copies_all_packages_but_not_what_comes_from_its_sources() -> None:
    plan, bundle = planned(replace(BUNDLE, release=RELEASE + SERVICE))
    spec = render_spec(bundle, plan, "Shop <shop@example.org>", 1)
    (row,) = (row for row in spec.splitlines() if row.startswith("%elpack_copy_installed"))
    left_out = ["/etc/app/app.json", "%{_unitdir}/app.service", "%{_sysusersdir}/app.conf", "/etc/app"]
    assert row.split()[1:-4] == [word for path in left_out for word in ("-x", path)]
    assert sorted(row.split()[-4:]) == ["app", "shop-python3.12", "shop-python3.12-lib", "shop-python3.12-own"]
    for rpm, version in (("app", "2.0.0"), ("shop-python3.12", "3.12.0"), ("shop-python3.12-lib", "0.9.0")):
        assert f"BuildRequires:  {rpm} = {version}-1%{{?dist}}\n" in spec
    assert "Conflicts:      app\n" in spec
    assert "Obsoletes" not in spec


def test_a_switch_keeps_the_service_enabled_and_starts_it_anew() -> None:
    plan, bundle = planned(replace(BUNDLE, release=RELEASE + SERVICE))
    specs = render_all(plan, "Shop <shop@example.org>", 1)
    for node, other in ((bundle.node, "app"), ("stack/app", "app-bundle")):
        spec = specs[node]  # type: ignore[index]
        preun = spec.partition("\n%preun\n")[2].partition("\n\n")[0].splitlines()
        assert preun[1:] == [f"if ! rpm --quiet -q {other}; then", "%systemd_preun app.service", "fi"]
        postun = spec.partition("\n%postun\n")[2].partition("\n\n")[0]
        assert "[ -e %{_unitdir}/app.service ]; then\n    systemctl try-restart app.service" in postun
        assert "Requires(preun): rpm\n" in spec


def test_a_bundle_breaks_no_rule_that_its_stack_keeps() -> None:
    inputs = BUNDLE.inputs()
    plan = make_plan(inputs)
    assert [problem for rule in RULES for problem in rule(plan, inputs)] == []


def test_a_bundle_of_an_application_without_a_file_is_left_to_the_checks() -> None:
    case = BUNDLE.instead(replace(APP, wheel="py3-none-any"))
    plan = make_plan(case.inputs())
    assert "bundle" not in plan.by_node()
    assert plan.published() == ()
    assert [rule for rule in RULES if list(rule(plan, case.inputs()))]


def test_one_spec_of_a_bundle_serves_all_architectures() -> None:
    plan, bundle = planned(BUNDLE)
    sonames = ("libblas-0352e75f.so.3", "libodd.so.1", "libquad-96973f99-934c22de.so.0")
    package = replace(bundle, vendored_sonames=sonames, noarch=False)
    spec = render_spec(package, plan, "Shop <shop@example.org>", 1)
    (line,) = (line for line in spec.splitlines() if "__requires_exclude" in line)
    assert line.endswith(r" ^[(]*(lib[^/]*-[0-9a-f]{8}[.]so[^/]*|libodd[.]so[.]1|python3[.]12dist|/opt/shop/)")
