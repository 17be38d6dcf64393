"""Packages of real plans as JSON: what the planner decided, so that specs can be rendered without files or network."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from elpack.changelog import Entry
from elpack.model import Layout, Policy, Sha256
from elpack.naming import Evr, RpmName, RpmVersion
from elpack.plan.model import BuildRequire, Extra, InstalledFile, Licence, NodeId, Package, Plan, Role, Source
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

PACKAGER = "Crossbar.io packagers <packaging@crossbar.io>"
GOLDEN = (
    "macros",
    "runtime",
    *(f"stack/{name}" for name in ("autobahn", "bjdata", "crossbar", "idna", "numpy", "txaio", "zlmdb")),
    "buildroot/hatchling",
)
"""Packages of layout stack."""
# a pure one with an extra, a compiled one with several, a wheel with libraries of its own, an sdist of setuptools
GOLDEN_SYSTEM = tuple(f"system/{name}" for name in ("autobahn", "hkdf", "numpy", "txaio"))
LAYOUTS = {Layout.STACK: GOLDEN, Layout.SYSTEM: GOLDEN_SYSTEM}
PYTHONS = {"el9": "3.12", "el9-standin": "3.11"}
# what a package that is only required shows of itself in another one's spec
_SHOWN = ("node", "role", "dist", "rpm", "evr")


def save(plan: Plan, path: Path) -> None:
    """Write the golden packages of a plan whole, and of the packages that they name what they show of those."""
    nodes = plan.by_node()
    whole = [nodes[NodeId(name)] for name in LAYOUTS[plan.layout]]
    named = {node for package in whole for node in (*package.needs, *package.waits_for)}
    others = [nodes[node] for node in sorted(named - {package.node for package in whole})]
    values = [_without_defaults(asdict(package)) for package in whole]
    values += [{key: value for key, value in asdict(package).items() if key in _SHOWN} for package in others]
    content = {"release": plan.release, "version": plan.version, "packages": values}
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")


def record_of(folder: Path, target: str, layout: Layout) -> Path:
    """Return the file that a plan is recorded in."""
    return folder / (f"{target}.json" if layout is Layout.STACK else f"{target}-{layout}.json")


def load(folder: Path, target: str, layout: Layout = Layout.STACK) -> Plan:
    """Return the plan that `save` wrote, as far as it was written."""
    content = json.loads(record_of(folder, target, layout).read_text())
    return Plan(
        release=content["release"],
        version=content["version"],
        target=resolve_target(TargetChoice(target, PYTHONS[target], ("x86_64",)), "x86_64"),
        layout=layout,
        packages=tuple(map(_package, content["packages"])),
        roots=(),
        install=(),
    )


def golden_packages(plan: Plan) -> list[Package]:
    """Return the packages of a loaded plan whose specs can be rendered."""
    return [package for package in plan.packages if package.node in LAYOUTS[plan.layout]]


def _without_defaults(value: dict[str, Any]) -> dict[str, Any]:
    # a spec names its generated sources; only the users' file is read when it is parsed
    value["generated"] = [(name, text if name.endswith(".conf") else "") for name, text in value["generated"]]
    return {key: item for key, item in value.items() if item not in ((), [], "")}


def _package(value: dict[str, Any]) -> Package:
    stub = Package(
        node=NodeId(value["node"]),
        role=Role(value["role"]),
        dist=canonicalize_name(value["dist"]),
        upstream_version="",
        policy=Policy.WHEEL,
        reason="",
        rpm=RpmName(value["rpm"]),
        evr=Evr(value["evr"]["epoch"], RpmVersion(value["evr"]["version"]), value["evr"]["release"]),
        noarch=True,
        summary="",
        licence=Licence("", ""),
        url="",
        date=dt.date(2026, 11, 20),
        prefix="",
        template="",
    )
    return replace(stub, **{key: _field(key, item) for key, item in value.items() if key not in _SHOWN})


def _field(key: str, value: Any) -> Any:
    makers: dict[str, Callable[[Any], Any]] = {
        "policy": Policy,
        "licence": lambda item: Licence(**item),
        "date": dt.date.fromisoformat,
        "sources": lambda items: _each(Source, items),
        "build_requires": lambda items: _each(BuildRequire, items),
        "installed": lambda items: _each(InstalledFile, items),
        "generated": lambda items: tuple((name, text) for name, text in items),
        "must_have": lambda items: tuple((path, count) for path, count in items),
        "extras": lambda items: tuple(map(_extra, items)),
        "changelog": lambda items: tuple(map(_entry, items)),
    }
    if key in makers:
        return makers[key](value)
    return tuple(value) if isinstance(value, list) else value


def _extra(value: dict[str, Any]) -> Extra:
    needs = tuple(map(NodeId, value["needs"]))
    name, rpm = canonicalize_name(value["name"]), RpmName(value["rpm"])
    return Extra(name, rpm, tuple(value["requires"]), needs, tuple(value["provides"]))


def _entry(value: dict[str, Any]) -> Entry:
    dist, version = canonicalize_name(value["dist"]), Version(value["version"])
    return Entry(dist, version, value["revision"], dt.date.fromisoformat(value["date"]), tuple(value["text"]))


def _each(kind: type[Any], items: Iterable[dict[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**{**item, **({"sha256": Sha256(item["sha256"])} if "sha256" in item else {})}) for item in items)
