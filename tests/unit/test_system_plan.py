"""Layout `system`: what is left to the target, what is refused, and what the packages of the rest are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version
from tests.unit.plans import BUILD, OWN, Case, Dist, el9

from elpack.model import Layout, SdistFacts
from elpack.naming import dist_name, rpm_name
from elpack.plan.make import make_plan
from elpack.plan.model import BuildRequire, Role
from elpack.plan.paths import installed_paths
from elpack.plan.system import settle
from elpack.targets.shipped import Shipped

if TYPE_CHECKING:
    from elpack.plan.facts import Inputs
    from elpack.plan.model import Package, Plan

HEAD = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
layout = "system"
"""
FIRST_PARTY = """\
[first-party]
app = {}
own = {}
[targets.el9]
"""
LIBRARY = HEAD + '[library]\nname = "own"\nlock = "uv.lock"\n' + FIRST_PARTY
APPLICATION = HEAD + '[application]\nname = "app"\nprovides = ["python3-app"]\n' + FIRST_PARTY


def own(*requires: str, extras: tuple[str, ...] = (), scripts: tuple[str, ...] = ()) -> Dist:
    """Return the library."""
    return replace(OWN, requires_dist=requires, extras=extras, scripts=scripts)


def lib(*requires: str, name: str = "lib", version: str = "0.9", extras: tuple[str, ...] = ()) -> Dist:
    """Return a wheel of the closure."""
    return Dist(name, version, requires_dist=requires, extras=extras)


def case(*closure: Dist, table: str = "", release: str = LIBRARY) -> Case:
    """Return a release with this closure."""
    return Case(closure=closure, release=release + table, layout=Layout.SYSTEM)


def settled(of: Case, *shipped: Shipped) -> Inputs:
    return settle(of.inputs(), {one.dist: one for one in shipped})


def planned(inputs: Inputs) -> tuple[Plan, dict[str, Package]]:
    plan = make_plan(inputs)
    return plan, {str(node): package for node, package in plan.by_node().items()}


def ships(name: str, version: str | None = "1.0", *, enabled: bool = True) -> Shipped:
    """Return what the target ships of a dist."""
    repository = "appstream" if enabled else "epel"
    known = Version(version) if version else None
    return Shipped(dist_name(name), rpm_name(f"python3.12-{name}"), repository, known, enabled)


def names(inputs: Inputs) -> list[str]:
    return [str(dist.name) for dist in inputs.selection.dists]


# --- what is left to the target ---


def test_what_the_target_ships_is_left_to_it_and_so_is_what_only_that_needs() -> None:
    closure = (own("lib>=0.5"), lib("deep"), lib(name="deep", version="3.0"))
    assert names(settled(case(*closure))) == ["own", "lib", "deep"]
    inputs = settled(case(*closure), ships("lib", "0.7"))
    assert names(inputs) == ["own"]
    assert inputs.chosen.keys() == {"own"}
    assert inputs.left == {"lib"}
    assert inputs.refused == ()
    assert inputs.notices == ("lib is left to the target, whose appstream ships python3.12-lib",)


def test_what_somebody_else_needs_as_well_is_kept() -> None:
    inputs = settled(case(own("lib", "deep"), lib("deep"), lib(name="deep")), ships("lib"))
    assert names(inputs) == ["own", "deep"]


def test_what_the_target_ships_and_nobody_needs_is_no_matter() -> None:
    inputs = settled(case(own("lib"), lib()), ships("other"))
    assert names(inputs) == ["own", "lib"]
    assert (inputs.left, inputs.refused, inputs.notices) == (frozenset(), (), ())
    # in the closure, but only behind a marker that does not hold
    inputs = settled(case(own("lib; sys_platform == 'win32'"), lib()), ships("lib"))
    assert (names(inputs), inputs.left) == (["own"], frozenset())


@pytest.mark.parametrize(
    ("requirement", "shipped", "reason"),
    [
        ("lib>=2", ships("lib", "1.9"), "python3.12-lib 1.9 in its appstream; own requires lib>=2"),
        ("lib[fast]>=1", ships("lib", "1.9"), "python3.12-lib 1.9 in its appstream; own requires lib[fast]>=1"),
        ("lib<2,>1", ships("lib", "2.0"), "python3.12-lib 2.0 in its appstream; own requires lib<2,>1"),
        (
            "lib>=1",
            ships("lib", None),
            "python3.12-lib in a version that is not known in its appstream; own requires lib>=1",
        ),
        (
            "lib>=1",
            ships("lib", "1.0", enabled=False),
            "python3.12-lib 1.0 in its epel, a repository that is not enabled for this target; it is needed",
        ),
        (
            "lib>=2",
            ships("lib", None, enabled=False),
            (
                "python3.12-lib in a version that is not known in its epel, a repository that is not enabled for this"
                " target; own requires lib>=2"
            ),
        ),
    ],
)
def test_what_would_have_to_be_replaced_is_refused(requirement: str, shipped: Shipped, reason: str) -> None:
    inputs = settled(case(own(requirement), lib()), shipped)
    (problem,) = inputs.refused
    assert problem.what == f"RHEL 9 ships {reason}"
    assert problem.where == "lib (el9 / 3.12 / x86_64)"
    assert '[system.replace] lib = "the reason"' in problem.fix
    assert 'layout = "stack"' in problem.fix


@pytest.mark.parametrize(
    ("requirement", "shipped"),
    [
        ("lib", ships("lib", None)),  # any version serves
        ("lib>=1", ships("lib", "1.0")),
        ("lib>=1.0rc1", ships("lib", "1.0rc2")),
        ("lib!=1.1,<2", ships("lib", "1.2")),
    ],
)
def test_what_serves_is_not_refused(requirement: str, shipped: Shipped) -> None:
    inputs = settled(case(own(requirement), lib()), shipped)
    assert inputs.refused == ()
    assert inputs.left == {"lib"}


def test_everybody_who_asks_for_more_is_named() -> None:
    closure = (own("lib>=2", "mid"), lib("lib<1", "lib>0.1", name="mid"), lib())
    (problem,) = settled(case(*closure), ships("lib", "1.5")).refused
    assert problem.what.endswith("; own requires lib>=2; mid requires lib<1")


def test_the_library_itself_is_refused_where_the_target_has_it() -> None:
    (problem,) = settled(case(own()), ships("own", "1.5")).refused
    assert problem.what == "RHEL 9 ships python3.12-own in its appstream, and the release would replace it"
    inputs = settled(case(own(), table='[system.replace]\nown = "it is ours"\n'), ships("own", "1.5"))
    assert inputs.refused == ()
    assert inputs.notices == ("python3.12-own of the target's appstream is replaced: it is ours",)


def test_what_is_allowed_by_name_is_packaged_and_told() -> None:
    table = '[system.replace]\nlib = "own needs  lib 2\\nor newer"\ndeep = "never asked for"\n'
    inputs = settled(case(own("lib>=2"), lib(version="2.1"), table=table), ships("lib", "1.0"), ships("deep"))
    assert names(inputs) == ["own", "lib"]
    assert (inputs.refused, inputs.left) == ((), frozenset())
    assert inputs.notices == ("python3.12-lib of the target's appstream is replaced: own needs lib 2 or newer",)
    plan, packages = planned(inputs)
    assert packages["system/lib"].rpm == "python3.12-lib"
    assert plan.notices == inputs.notices


def test_extras_are_requirements_too() -> None:
    table = '[system.extras]\nown = ["fast"]\n'
    mid = lib("deep>=1; extra == 'more'", name="mid", extras=("more",))
    closure = (own("lib>=2; extra == 'fast'", "mid[more]"), lib(), mid, lib(name="deep", version="1.0"))
    inputs = settled(case(*closure, table=table), ships("lib", "1.0"), ships("deep", "0.5"))
    assert [problem.where.split()[0] for problem in inputs.refused] == ["deep", "lib"]
    assert names(settled(case(*closure, table=table))) == ["own", "lib", "mid", "deep"]
    # an extra that nobody asked for draws in nothing
    assert names(settled(case(*closure))) == ["own", "mid", "deep"]


# --- what becomes of the rest ---


def test_names_places_and_roles() -> None:
    plan, packages = planned(settled(case(own("lib"), lib(version="1!2.0"))))
    assert {node: (str(package.role), package.rpm, package.prefix) for node, package in packages.items()} == {
        "macros": ("macros", "elpack-rpm-macros", "/opt/shop"),
        "system/own": ("first-party", "python3.12-own", "/usr"),
        "system/lib": ("third-party", "python3.12-lib", "/usr"),
        **{f"buildroot/{dist.name}": ("buildroot", f"python3.12-{dist.name}", "/usr") for dist in BUILD},
    }
    assert str(packages["system/lib"].evr) == "1:2.0.0-1.el9"
    assert [package.node for package in plan.published()] == ["system/lib", "system/own"]
    assert (plan.roots, plan.install, plan.layout) == (("system/own",), ("python3.12-own",), Layout.SYSTEM)
    assert not any(packages[node].pinned for node in ("system/own", "system/lib"))


def test_requirements_are_the_metadata_s_and_name_what_is_left_to_the_target_as_well() -> None:
    closure = (own("lib>=1,<2", "left>=3", "gone; python_version < '3'"), lib(), lib(name="left"))
    _, packages = planned(settled(case(*closure), ships("left", "3.1")))
    package = packages["system/own"]
    assert package.requires == (
        "(python3.12dist(lib) >= 1 with python3.12dist(lib) < 2~~)",
        "python3.12dist(left) >= 3",
    )
    assert package.needs == ("system/lib",)


def test_an_import_check_has_what_the_package_requires() -> None:
    _, packages = planned(settled(case(own("lib>=1"), lib())))
    package = packages["system/own"]
    assert package.waits_for == ("macros", "buildroot/hatchling", "buildroot/pip", "system/lib")
    imports = [one.requirement for one in package.build_requires if "import check" in one.reason]
    assert imports == ["python3.12dist(lib) >= 1"]
    # what cannot be imported before itself is not asked for either
    _, packages = planned(settled(case(own("lib"), lib("own"))))
    assert packages["system/own"].modules == ()
    assert not [one for one in packages["system/own"].build_requires if "import check" in one.reason]


def test_a_wheel_waits_for_the_macros_and_the_target_s_generators_only() -> None:
    _, packages = planned(settled(case(own("lib"), lib("own"))))
    assert packages["system/lib"].waits_for == ("macros",)
    assert packages["system/lib"].build_requires == (
        BuildRequire("python3.12-devel", "its generators say what the package provides"),
    )
    assert packages["system/lib"].template == "wheel.spec.j2"
    assert packages["system/own"].template == "system.spec.j2"


def test_build_requirements_are_the_closure_s_where_it_has_them() -> None:
    closure = (own("lib"), lib(), lib(name="hatchling", version="1.20"))
    inputs = case(*closure).inputs()
    plan, packages = planned(inputs)
    assert "system/hatchling" in packages["system/own"].waits_for
    assert len(plan.packages) == len(packages)
    assert packages["system/hatchling"].upstream_version == "1.20"
    assert "buildroot/hatchling" not in packages
    # left to the target it is no package of the closure, so build roots have the build lock's
    _, packages = planned(settled(case(own("hatchling"), *closure[1:]), ships("hatchling", "1.20")))
    assert "buildroot/hatchling" in packages["system/own"].waits_for
    assert packages["buildroot/hatchling"].upstream_version == "1.30"


def test_extras_that_are_named_or_asked_for_get_metapackages() -> None:
    table = '[system.extras]\nown = ["fast", "deep"]\n'
    mid = lib("deep>=1; extra == 'more'", name="mid", extras=("more", "empty"))
    closure = (own("lib>=2; extra == 'fast'", "mid[more,empty]>=1; extra == 'deep'"), lib(), mid, lib(name="deep"))
    plan, packages = planned(settled(case(*closure, table=table)))
    deep, fast = packages["system/own"].extras
    assert (fast.name, fast.rpm) == ("fast", "python3.12-own+fast")
    assert (fast.requires, fast.needs) == (("python3.12dist(lib) >= 2",), ("system/lib",))
    # through the extra that it asks for; `empty` asks for nothing, so it has no package that could be required
    assert deep.requires == ("python3.12dist(mid) >= 1", "python3.12dist(mid[more]) >= 1")
    assert deep.needs == ("system/deep", "system/mid")
    (more,) = packages["system/mid"].extras
    assert (more.rpm, more.requires) == ("python3.12-mid+more", ("python3.12dist(deep) >= 1",))
    assert packages["system/lib"].extras == ()
    assert plan.install == ("python3.12-own", "python3.12-own+deep", "python3.12-own+fast")


def test_what_an_extra_draws_in_is_needed_by_who_asks_for_the_extra() -> None:
    mid = lib("deep; extra == 'more'", "mid[more]; extra == 'all'", name="mid", extras=("more", "all"))
    _, packages = planned(settled(case(own("mid[all]"), mid, lib(name="deep"))))
    assert packages["system/own"].needs == ("system/deep", "system/mid")


def test_commands_leave_the_plain_names_to_the_default_python() -> None:
    _, packages = planned(settled(case(own(scripts=("wamp",)))))
    package = packages["system/own"]
    assert (package.script_suffix, package.scripts) == ("-3.12", ("wamp",))
    facts = case(own(scripts=("wamp",))).closure[0].facts()
    assert list(installed_paths(package, facts, "3.12")) == ["/usr/bin/wamp-3.12"]


def test_an_application_s_commands_keep_their_names() -> None:
    app = Dist("app", "2.0", wheel="", scripts=("app",), requires_dist=("own",), build_requires=("hatchling",))
    plan, packages = planned(settled(case(app, own(), release=APPLICATION)))
    package = packages["system/app"]
    assert (package.role, package.rpm, package.provides) == (Role.APPLICATION, "app", ("python3-app",))
    assert (package.script_suffix, package.scripts) == ("", ("app",))
    assert plan.install == ("python3-app",)
    assert packages["system/own"].rpm == "python3.12-own"


@pytest.mark.parametrize("plain", [True, False])
def test_a_spec_names_all_files_where_it_can_know_them(*, plain: bool) -> None:
    inputs = case(own(scripts=("wamp",))).inputs()
    facts = inputs.facts[OWN.sha256]
    assert isinstance(facts, SdistFacts)
    _, packages = planned(replace(inputs, facts={**inputs.facts, OWN.sha256: replace(facts, plain=plain)}))
    package = packages["system/own"]
    assert package.plain is plain
    assert package.scripts == (("wamp",) if plain else ())
    assert package.top_level == ("own",)


def test_what_has_to_be_treated_file_by_file_is_not_plain() -> None:
    override = '[[no-bytecompile]]\npath = "own/bad.py"\nreason = "it is wrong on purpose"\n'
    _, packages = planned(replace(case(own(scripts=("wamp",))), overrides={"own": override}).inputs())
    assert (packages["system/own"].plain, packages["system/own"].scripts) == (False, ())
    _, packages = planned(case(replace(own(), native="it compiles")).inputs())
    assert not packages["system/own"].plain


def test_a_command_that_is_dropped_is_not_listed() -> None:
    override = '[[drop]]\npath = "bin/wamp"\nreason = "it is dead"\n'
    _, packages = planned(replace(case(own(scripts=("wamp", "other"))), overrides={"own": override}).inputs())
    assert (packages["system/own"].scripts, packages["system/own"].drop) == (("other",), ("bin/wamp",))


def test_the_other_python_of_a_target() -> None:
    _, packages = planned(replace(case(own("lib"), lib()), target=el9("3.11")).inputs())
    assert packages["system/own"].requires == ("python3.11dist(lib)",)
    assert (packages["system/own"].rpm, packages["system/own"].script_suffix) == ("python3.11-own", "-3.11")


def test_what_takes_the_place_of_a_package_has_its_name() -> None:
    table = '[system.replace]\nlib = "too old"\n'
    theirs = replace(ships("lib"), rpm=rpm_name("python3.12-PyLib"))
    inputs = settled(case(own("lib>=0.5"), lib(), table=table), theirs)
    _, packages = planned(inputs)
    assert packages["system/lib"].rpm == "python3.12-PyLib"
    assert packages["system/own"].rpm == "python3.12-own"
