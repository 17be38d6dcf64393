"""Packages of real plans as JSON: what the planner decided, so that specs can be rendered without files or network."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from elpack.model import Layout, Policy, Sha256
from elpack.naming import Evr, RpmName, RpmVersion
from elpack.plan.model import BuildRequire, InstalledFile, Licence, NodeId, Package, Plan, Role, Source
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
PYTHONS = {"el9": "3.12", "el9-standin": "3.11"}
# what a package that is only required shows of itself in another one's spec
_SHOWN = ("node", "role", "dist", "rpm", "evr")


def save(plan: Plan, path: Path) -> None:
    """Write the golden packages of a plan whole, and of the packages that they name what they show of those."""
    nodes = plan.by_node()
    whole = [nodes[NodeId(name)] for name in GOLDEN]
    named = {node for package in whole for node in (*package.needs, *package.waits_for)}
    others = [nodes[node] for node in sorted(named - {package.node for package in whole})]
    values = [_without_defaults(asdict(package)) for package in whole]
    values += [{key: value for key, value in asdict(package).items() if key in _SHOWN} for package in others]
    content = {"release": plan.release, "version": plan.version, "packages": values}
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")


def load(target: str, path: Path) -> Plan:
    """Return the plan that `save` wrote, as far as it was written."""
    content = json.loads(path.read_text())
    return Plan(
        release=content["release"],
        version=content["version"],
        target=resolve_target(TargetChoice(target, PYTHONS[target], ("x86_64",)), "x86_64"),
        layout=Layout.STACK,
        packages=tuple(map(_package, content["packages"])),
        roots=(),
        install=(),
    )


def golden_packages(plan: Plan) -> list[Package]:
    """Return the packages of a loaded plan whose specs can be rendered."""
    return [package for package in plan.packages if package.node in GOLDEN]


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
    }
    if key in makers:
        return makers[key](value)
    return tuple(value) if isinstance(value, list) else value


def _each(kind: type[Any], items: Iterable[dict[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**{**item, **({"sha256": Sha256(item["sha256"])} if "sha256" in item else {})}) for item in items)
