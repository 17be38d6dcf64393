"""The planner: what it decides about names, versions, requirements and order, and that it decides it every time."""

from __future__ import annotations

import datetime as dt
from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.plans import APP, BUILD, CLOSURE, HATCHLING, INSTALLER, LIB, OWN, RELEASE, Case, Dist, digest, el9

from elpack.model import Policy
from elpack.naming import parse_version
from elpack.plan.make import make_plan
from elpack.plan.model import BuildRequire, Role, Source
from elpack.plan.paths import wheel_path
from elpack.requirements import provided_version

if TYPE_CHECKING:
    from elpack.plan.model import Package, Plan


def planned(case: Case) -> dict[str, Package]:
    return {str(node): package for node, package in make_plan(case.inputs()).by_node().items()}


def test_nodes_roles_and_names() -> None:
    packages = planned(Case())
    assert {node: (str(package.role), package.rpm) for node, package in packages.items()} == {
        "macros": ("macros", "elpack-rpm-macros"),
        "runtime": ("runtime", "shop-python3.12"),
        "stack/app": ("application", "app"),
        "stack/own": ("first-party", "shop-python3.12-own"),
        "stack/lib": ("third-party", "shop-python3.12-lib"),
        "buildroot/hatchling": ("buildroot", "python3.12-hatchling"),
        "buildroot/installer": ("buildroot", "python3.12-installer"),
        "buildroot/pip": ("buildroot", "python3.12-pip"),
    }


def test_what_is_published() -> None:
    plan = make_plan(Case().inputs())
    assert [package.node for package in plan.published()] == ["runtime", "stack/app", "stack/lib", "stack/own"]
    assert plan.roots == ("stack/app",)
    assert plan.version == "2.0"
    assert {role for role in Role if not role.at_run_time} == {Role.MACROS, Role.BUILDROOT}


def test_versions_and_release() -> None:
    case = Case(release=RELEASE.replace("[application]", "revision = 4\n[application]", 1))
    packages = planned(case.instead(replace(LIB, version="1!0.9rc1")))
    assert str(packages["stack/lib"].evr) == "1:0.9.0~rc1-4.el9"
    assert packages["stack/lib"].upstream_version == "1!0.9rc1"
    assert packages["stack/lib"].nvr == "shop-python3.12-lib-0.9.0~rc1-4.el9"
    assert str(packages["runtime"].evr) == "3.12.0-4.el9"


def test_the_python_version_and_the_dist_tag_are_the_target_s() -> None:
    packages = planned(replace(Case(), target=el9("3.11", "aarch64")))
    assert packages["stack/lib"].nvr == "shop-python3.11-lib-0.9.0-1.el9"
    assert packages["runtime"].generated[0][0] == "pyvenv.cfg"
    assert "version = 3.11\n" in packages["runtime"].generated[0][1]
    assert packages["buildroot/pip"].requires == ("python3.11",)


def test_needs_come_from_the_graph() -> None:
    packages = planned(Case())
    assert packages["stack/app"].needs == ("runtime", "stack/lib", "stack/own")
    assert packages["stack/lib"].needs == ("runtime",)
    assert packages["runtime"].requires == ("python3.12",)
    case = Case().instead(replace(HATCHLING, requires=("pip",)))
    assert planned(case)["buildroot/hatchling"].needs == ("buildroot/pip",)


def test_a_wheel_waits_for_the_macros_only() -> None:
    packages = planned(Case())
    for node in ("stack/lib", "buildroot/hatchling", "buildroot/installer", "runtime"):
        assert packages[node].waits_for == ("macros",), node
    assert packages["macros"].waits_for == ()


def test_an_sdist_waits_for_its_build_requirements_and_for_what_its_import_needs() -> None:
    package = planned(Case())["stack/app"]
    assert package.waits_for == (
        "macros",
        "buildroot/hatchling",
        "buildroot/pip",
        "runtime",
        "stack/lib",
        "stack/own",
    )
    assert package.build_requires == (
        BuildRequire("python3.12-devel", "the interpreter, its headers and its macros"),
        BuildRequire("pyproject-rpm-macros", "they build and install the wheel"),
    )
    assert package.modules == ("app",)


def test_a_build_requirement_that_does_not_hold_on_the_target_is_not_waited_for() -> None:
    own = replace(OWN, build_requires=("hatchling; python_version < '3.12'", "pip; extra == 'x'", "not [valid"))
    assert planned(Case().instead(own))["stack/own"].waits_for == ("macros", "buildroot/pip", "runtime")


def test_the_build_lock_knows_more_than_the_sdist() -> None:
    inputs = Case().instead(replace(OWN, build_requires=())).inputs()
    inputs = replace(inputs, build_requires={OWN.filename: ("hatchling>=1",)})
    package = make_plan(inputs).by_node()["stack/own"]  # type: ignore[index]
    assert "buildroot/hatchling" in package.waits_for


def test_machine_code_needs_a_compiler_and_an_architecture() -> None:
    packages = planned(Case().instead(replace(OWN, native="it has ext_modules")))
    own = packages["stack/own"]
    assert BuildRequire("gcc", "it has ext_modules") in own.build_requires
    assert not own.noarch
    assert own.native == "it has ext_modules"
    assert packages["stack/app"].noarch


@pytest.mark.parametrize(("tag", "noarch"), [("py3-none-any", True), ("cp312-cp312-manylinux_2_28_x86_64", False)])
def test_a_wheel_s_tag_tells_its_architecture(tag: str, *, noarch: bool) -> None:
    assert planned(Case().instead(replace(LIB, wheel=tag)))["stack/lib"].noarch is noarch


def test_who_requires_itself_in_a_circle_is_not_imported() -> None:
    case = Case().instead(replace(OWN, requires=("lib",)), replace(LIB, requires=("own",)))
    packages = planned(case)
    assert packages["stack/own"].modules == ()
    assert packages["stack/own"].notes == (
        "not imported in %check: it requires itself in a circle, so its requirements cannot be built before it",
    )
    assert packages["stack/own"].waits_for == ("macros", "buildroot/hatchling", "buildroot/pip")
    # the application is not in the circle: it can be imported, once both of them are built
    assert packages["stack/app"].modules == ("app",)
    assert packages["stack/app"].notes == ()


def test_only_the_application_provides_exposes_and_carries_assets() -> None:
    release = RELEASE + '[[asset]]\nsource = "etc/app.json"\ndestination = "/etc/app/app.json"\nconfig = true\n'
    inputs = replace(Case(release=release).inputs(), assets={"etc/app.json": Source("app.json", digest("app.json"))})
    packages = make_plan(inputs).by_node()
    for package in packages.values():
        mine = package.role is Role.APPLICATION
        assert package.provides == (("python3-app",) if mine else package.provides)
        assert package.expose == (("app",) if mine else ())
        assert [(file.source, file.destination, file.mode, file.config) for file in package.installed] == (
            [("app.json", "/etc/app/app.json", 0o644, True)] if mine else []
        )
        assert (Source("app.json", digest("app.json")) in package.sources) is mine
        assert (f"python3.12dist({package.dist})" in " ".join(package.provides)) is (package.role is Role.BUILDROOT)


def test_the_application_brings_its_service() -> None:
    release = RELEASE + '[service]\nname = "shop"\ndescription = "Shop"\nuser = "shop"\nexec = ["/opt/shop/bin/app"]\n'
    app = planned(Case(release=release))["stack/app"]
    assert app.service == "shop"
    assert [file.destination for file in app.installed] == [
        "/usr/lib/systemd/system/shop.service",
        "/usr/lib/sysusers.d/shop.conf",
    ]
    assert [name for name, _ in app.generated] == ["shop.service", "shop.conf"]
    assert planned(Case())["stack/app"].service == ""


def test_overrides_are_carried_out_and_told_with_their_reasons() -> None:
    own = """
[[drop]]
path = "bin/own"
reason = "lib has a newer one"
[[no-bytecompile]]
path = "own/bad.py"
reason = "it does not compile"
[[build-env]]
set = "OWN_FAST=1"
reason = "half the time"
[[build-requires]]
rpm = "cmake"
reason = "it builds a library"
[[build-with]]
dist = "installer"
reason = "its hook uses it"
[native]
is = "yes"
reason = "its hook compiles"
[licence]
expression = "BSD-3-Clause"
reason = "read its licence"
"""
    package = planned(Case(overrides={"own": own}))["stack/own"]
    assert package.drop == ("bin/own",)
    assert package.keep_source == ("own/bad.py",)
    assert package.build_env == ("OWN_FAST=1",)
    assert BuildRequire("cmake", "it builds a library") in package.build_requires
    assert "buildroot/installer" in package.waits_for
    assert package.native == "its hook compiles"
    assert package.licence.expression == "BSD-3-Clause"
    assert package.notes == (
        "bin/own is left out: lib has a newer one",
        "own/bad.py is not byte-compiled: it does not compile",
        "OWN_FAST=1: half the time",
    )


def test_modules_can_be_left_out_of_the_import_check() -> None:
    text = '[[no-import]]\nmodule = "own"\nreason = "it opens a window"\n'
    package = planned(Case(overrides={"own": text}))["stack/own"]
    assert package.modules == ()
    assert package.waits_for == ("macros", "buildroot/hatchling", "buildroot/pip")
    assert package.notes == ("own is not imported in %check: it opens a window",)


def test_policies_and_reasons_are_in_the_plan() -> None:
    packages = planned(Case())
    assert (packages["stack/lib"].policy, packages["stack/lib"].reason) == (Policy.WHEEL, "the lock pins a pure wheel")
    assert packages["stack/own"].reason == "first-party: compiled from its own source"
    assert packages["stack/lib"].sources == (Source(LIB.filename, LIB.sha256, f"https://files.example/{LIB.filename}"),)


def test_dates_are_the_release_s_or_the_upload_s() -> None:
    uploaded = int(dt.datetime(2024, 5, 6, 23, 59, tzinfo=dt.UTC).timestamp())
    packages = planned(Case().instead(replace(LIB, uploaded=uploaded), replace(OWN, uploaded=uploaded)))
    assert packages["stack/lib"].date == dt.date(2024, 5, 6)
    assert packages["stack/own"].date == dt.date(2026, 11, 1)
    assert packages["buildroot/pip"].date == dt.date(2026, 11, 1)


def test_build_root_packages_live_in_the_interpreter_s_own_folder() -> None:
    packages = planned(Case().instead(replace(HATCHLING, version="1.30.0")))
    assert packages["buildroot/hatchling"].prefix == "/usr"
    assert packages["buildroot/hatchling"].provides == ("python3.12dist(hatchling) = 1.30",)
    assert packages["stack/lib"].prefix == "/opt/shop"


@pytest.mark.parametrize(("version", "text"), [("1.30.0", "1.30"), ("2.0", "2"), ("1.0.5", "1.0.5"), ("3.0a1", "3~a1")])
def test_versions_in_dist_provides(version: str, text: str) -> None:
    assert provided_version(parse_version(version)) == text


def test_the_macros_carry_the_installer() -> None:
    macros = planned(Case())["macros"]
    assert [source.filename for source in macros.sources] == [INSTALLER.filename]
    assert {name for name, _ in macros.generated} == {"macros.elpack", "elpack_buildroot.py", "elpack_elf.py"}


def test_a_dist_without_a_file_is_left_to_the_checks() -> None:
    inputs = Case().instead(replace(LIB, wheel="cp312-cp312-win_amd64")).inputs()
    plan = make_plan(inputs)
    assert "stack/lib" not in plan.by_node()


def test_vendored_libraries_are_known() -> None:
    lib = replace(LIB, files=("lib.libs/libfoo-1234.so.5", "lib/x.so"))
    assert planned(Case().instead(lib))["stack/lib"].vendored_sonames == ("libfoo-1234.so.5",)


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ("lib/x.py", "lib/python3.12/site-packages/lib/x.py"),
        ("lib-1.0.data/purelib/x.py", "lib/python3.12/site-packages/x.py"),
        ("lib-1.0.data/platlib/x.so", "lib/python3.12/site-packages/x.so"),
        ("lib-1.0.data/scripts/run", "bin/run"),
        ("lib-1.0.data/headers/x.h", "include/python3.12/x.h"),
        ("lib-1.0.data/data/share/man/x.1", "share/man/x.1"),
    ],
)
def test_where_a_wheel_s_members_go(member: str, path: str) -> None:
    assert wheel_path(member, "3.12") == path


def _plan(closure: tuple[Dist, ...], build: tuple[Dist, ...]) -> Plan:
    return make_plan(Case(closure=closure, build=build).inputs())


def test_the_same_inputs_in_another_order_give_an_equal_plan() -> None:
    plan = _plan(CLOSURE, BUILD)
    assert _plan(CLOSURE[::-1], BUILD[::-1]) == plan
    assert [package.node for package in plan.packages] == sorted(package.node for package in plan.packages)


def test_another_input_gives_another_plan() -> None:
    other = make_plan(Case().instead(replace(APP, version="2.0.1")).inputs())
    assert other != _plan(CLOSURE, BUILD)


def test_a_plan_cannot_be_changed() -> None:
    plan = _plan(CLOSURE, BUILD)
    with pytest.raises(FrozenInstanceError):
        plan.version = "3"  # type: ignore[misc]
