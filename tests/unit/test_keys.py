"""A package's key changes exactly when what its build gives may change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.plans import APP, CLOSURE, OWN, Case, Dist, digest, el9

from elpack.naming import RpmName
from elpack.plan.keys import package_key, root_nodes, urgency
from elpack.plan.make import make_plan
from elpack.plan.model import Licence, NodeId, Package, Source

PLAN = make_plan(Case().inputs())
OWN_NODE = NodeId("stack/own")
PACKAGE = PLAN.by_node()[OWN_NODE]
ROOT = [digest("hatchling.rpm"), digest("pip.rpm")]
KEY = package_key(PACKAGE, "spec", PLAN.target, "base", ROOT)


def test_the_key_is_the_same_whenever_it_is_computed() -> None:
    again = make_plan(Case(closure=CLOSURE[::-1]).inputs()).by_node()[OWN_NODE]
    assert package_key(again, "spec", el9(), "base", ROOT[::-1]) == KEY
    assert len(KEY) == 64


@pytest.mark.parametrize(
    "package",
    [
        replace(PACKAGE, reason="another reason"),
        replace(PACKAGE, rpm=RpmName("another")),
        replace(PACKAGE, licence=Licence("MIT", "because")),
        replace(PACKAGE, sources=tuple(replace(source, url="https://mirror.example/x") for source in PACKAGE.sources)),
    ],
    ids=["reason", "rpm name", "licence", "url"],
)
def test_what_is_in_the_spec_or_is_no_input_does_not_count_twice(package: Package) -> None:
    assert package_key(package, "spec", PLAN.target, "base", ROOT) == KEY


@pytest.mark.parametrize(
    "package",
    [
        replace(PACKAGE, sources=(*PACKAGE.sources, Source("x", digest("x")))),
        replace(PACKAGE, sources=(replace(PACKAGE.sources[0], sha256=digest("other")),)),
        replace(PACKAGE, sources=(replace(PACKAGE.sources[0], filename="other.tar.gz"),)),
        replace(PACKAGE, generated=(("x.conf", "1"),)),
    ],
    ids=["source more", "source's digest", "source's name", "generated source"],
)
def test_sources_count(package: Package) -> None:
    assert package_key(package, "spec", PLAN.target, "base", ROOT) != KEY


def test_a_generated_source_s_text_counts() -> None:
    one, other = (replace(PACKAGE, generated=(("x.conf", text),)) for text in "12")
    assert package_key(one, "spec", PLAN.target, "base", ROOT) != package_key(other, "spec", PLAN.target, "base", ROOT)


def test_spec_base_root_and_target_count() -> None:
    others = [
        package_key(PACKAGE, "spec 2", PLAN.target, "base", ROOT),
        package_key(PACKAGE, "spec", PLAN.target, "base 2", ROOT),
        package_key(PACKAGE, "spec", PLAN.target, "base", ROOT[:1]),
        package_key(PACKAGE, "spec", PLAN.target, "base", [*ROOT, digest("more.rpm")]),
        package_key(PACKAGE, "spec", el9("3.11"), "base", ROOT),
        package_key(PACKAGE, "spec", el9(arch="aarch64"), "base", ROOT),
        package_key(PACKAGE, "spec", replace(PLAN.target, name="el9-standin"), "base", ROOT),
        package_key(PACKAGE, "spec", replace(PLAN.target, dist_tag=".el9_8"), "base", ROOT),
    ]
    assert len({KEY, *others}) == len(others) + 1


def test_a_root_holds_what_is_waited_for_and_what_that_needs() -> None:
    case = Case().instead(replace(OWN, requires=("deep",)), Dist("deep", requires=("deeper",)), Dist("deeper"))
    roots = root_nodes(make_plan(case.inputs()))
    assert roots[NodeId("stack/app")] == (
        "buildroot/hatchling",
        "buildroot/pip",
        "macros",
        "runtime",
        "stack/deep",
        "stack/deeper",
        "stack/lib",
        "stack/own",
    )
    assert roots[NodeId("macros")] == ()
    assert roots[NodeId("stack/lib")] == ("macros",)


def test_a_circle_of_wheels_ends() -> None:
    case = Case().instead(
        Dist("one", requires=("two",)), Dist("two", requires=("one",)), replace(APP, requires=("one",))
    )
    assert {"stack/one", "stack/two"} <= set(root_nodes(make_plan(case.inputs()))[NodeId("stack/app")])


def test_what_leads_to_long_work_is_urgent() -> None:
    cmake = '[[build-requires]]\nrpm = "cmake"\nreason = "it builds a library"\n'
    case = Case(overrides={"own": cmake}).instead(replace(OWN, native="it compiles"))
    plan = make_plan(case.inputs())
    order = urgency(plan.packages, root_nodes(plan))
    assert order[NodeId("macros")] > order[NodeId("buildroot/hatchling")] > order[OWN_NODE] > order[NodeId("stack/app")]
    assert order[NodeId("buildroot/hatchling")] > 300
    assert order[NodeId("stack/lib")] < 300
