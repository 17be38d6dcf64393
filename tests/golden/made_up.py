"""A small release in layout bundle: that of a real one is as long as its lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.unit.plans import LIB, OWN, RELEASE, Case, digest

from elpack.model import Layout
from elpack.plan.make import make_plan
from elpack.plan.model import Source
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from elpack.plan.model import Package, Plan

_RELEASE = (
    RELEASE.replace("[targets.el9]\n", "[targets.el9]\n[targets.el9-standin]\n")
    + """\
[[asset]]
source = "etc/app.json"
destination = "/etc/app/app.json"
mode = "0640"
group = "app"
config = true
[[asset]]
source = "man/app.1"
destination = "/usr/share/man/man1/app.1"
[service]
name = "app"
description = "The shop's application"
user = "app"
exec = ["/opt/shop/bin/app"]
state-directory = "app"
"""
)
_OVERRIDE = """\
[[bundled]]
name = "lmdb"
version = "0.9.33"
file = "lmdb.h"
text = "0.9.33"
reason = "an engine"
"""


def bundle_plan(target: str, python: str) -> Plan:
    """Return the plan of a bundle: two sdists, one compiled, and a wheel with an epoch and libraries of its own."""
    lib = replace(
        LIB,
        version="1!0.9rc1",
        wheel=f"cp{python.replace('.', '')}-cp{python.replace('.', '')}-manylinux_2_28_x86_64",
        licence="MIT AND Zlib",
        files=("lib.libs/libfoo-1234.so.5",),
    )
    own = replace(OWN, native="It compiles.", licence="BSD-3-Clause OR Apache-2.0")
    case = replace(
        Case(release=_RELEASE, overrides={"own": _OVERRIDE}, layout=Layout.BUNDLE).instead(lib, own),
        target=resolve_target(TargetChoice(target, python, ("x86_64",)), "x86_64"),
    )
    sources = {path: Source(path.rpartition("/")[2], digest(path)) for path in ("etc/app.json", "man/app.1")}
    return make_plan(replace(case.inputs(), assets=sources))


def bundle_of(plan: Plan) -> Package:
    """Return the bundle of a plan."""
    (package,) = plan.published()
    return package
