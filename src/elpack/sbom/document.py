"""The documents: one for a release, one for each carrier. The same plan gives the same bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion

from elpack import __version__
from elpack.model import Layout
from elpack.sbom.components import (
    dist_component,
    dists_of,
    left_component,
    part_components,
    rpm_component,
    supplier,
    target_component,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from elpack.model import Sha256
    from elpack.plan.facts import Inputs
    from elpack.plan.model import NodeId, Package, Plan

_FORMAT = "1"
"""Raise it when a document says the same in another way."""
_UNKNOWN = uuid.UUID(int=0)
_RPM_REQUIRED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?: [<>=]+ \S+)?\Z")
_DIST_REQUIRED = re.compile(r"python[0-9.]+dist\(([a-z0-9-]+)(?:\[[^]]*\])?\)")


@dataclass(frozen=True, slots=True)
class BuiltRpm:
    """An RPM of a carrier: its file name, the node that made it, and its digest before signing."""

    filename: str
    node: NodeId
    sha256: Sha256

    @property
    def name(self) -> str:
        """The RPM's name."""
        return self.filename.rsplit("-", 2)[0]

    @property
    def arch(self) -> str:
        """The RPM's architecture."""
        return self.filename.removesuffix(".rpm").rpartition(".")[2]


@dataclass(slots=True)
class Draft:
    """A document in the making: components by reference, and which of them needs which."""

    components: dict[str, Component] = field(default_factory=dict)
    needs: dict[str, set[str]] = field(default_factory=dict)

    def add(self, component: Component) -> str:
        """Add a component and return its reference."""
        ref = str(component.bom_ref.value)
        self.components.setdefault(ref, component)
        self.needs.setdefault(ref, set())
        return ref

    def dependencies(self, root: Component) -> list[Dependency]:
        """Return the graph of all components."""
        known = {**self.components, str(root.bom_ref.value): root}
        return [
            Dependency(known[ref].bom_ref, [Dependency(known[other].bom_ref) for other in sorted(others)])
            for ref, others in sorted(self.needs.items())
        ]


def release_sbom(plan: Plan, inputs: Inputs) -> str:
    """Return the document of a release: its dists and what they carry, whatever brings them to hosts. It is JSON."""
    draft = Draft()
    refs = add_dists(draft, plan, inputs)
    subject = inputs.release.application.name
    roots = [refs[package.node] for package in dists_of(plan) if package.dist == subject] or sorted(refs.values())
    return rendered(draft, plan, inputs, roots, "release")


def carrier_sbom(plan: Plan, inputs: Inputs, rpms: Sequence[BuiltRpm] = ()) -> str:
    """Return the document of a carrier: its RPMs, what is in them, and what they need of the target. It is JSON.

    rpms: what was built; without it the RPMs of the plan are listed without their digests.
    """
    draft = Draft()
    roots = add_carrier(draft, plan, inputs, rpms)
    return rendered(draft, plan, inputs, roots, str(plan.layout))


def add_carrier(
    draft: Draft,
    plan: Plan,
    inputs: Inputs,
    rpms: Sequence[BuiltRpm],
    installed: Mapping[str, str] | None = None,
) -> list[str]:
    """Add a carrier: its RPMs, what is in them, and what they need of the target; return what a customer asks for.

    installed: references of the target's packages by name, where it is known which ones there are.
    """
    dists = add_dists(draft, plan, inputs)
    own = add_rpms(draft, plan, inputs, rpms)
    for package in plan.published():
        for name, ref in own[package.node].items():
            extra = next((one for one in package.extras if one.rpm == name), None)
            needed = extra.needs if extra else package.needs
            draft.needs[ref] |= {own[node][str(plan.by_node()[node].rpm)] for node in needed if node in own}
            required = extra.requires if extra else _requires(plan, package)
            draft.needs[ref] |= _add_required(draft, plan, required, installed or {})
            if extra is None:
                draft.needs[ref] |= set(dists.values()) if plan.layout is Layout.BUNDLE else _content(dists, package)
            else:
                draft.needs[ref].add(own[package.node][str(package.rpm)])
    return [own[node][str(plan.by_node()[node].rpm)] for node in plan.roots if node in own]


def _requires(plan: Plan, package: Package) -> tuple[str, ...]:
    """Return what the target has to bring. In layout `system` the target's own generator adds the interpreter."""
    return package.requires if package.private else (*package.requires, plan.target.python_rpm)


def _content(dists: Mapping[NodeId, str], package: Package) -> set[str]:
    return {dists[package.node]} if package.node in dists else set()


def add_rpms(draft: Draft, plan: Plan, inputs: Inputs, rpms: Sequence[BuiltRpm]) -> dict[NodeId, dict[str, str]]:
    """Add the carrier's RPMs; return their references by node and name."""
    refs: dict[NodeId, dict[str, str]] = {}
    for package in plan.published():
        built = [rpm for rpm in rpms if rpm.node == package.node]
        names = [(str(name), "", "") for name in (package.rpm, *(extra.rpm for extra in package.extras))]
        found = [(rpm.name, rpm.arch, str(rpm.sha256)) for rpm in built] or names
        refs[package.node] = {
            name: draft.add(rpm_component(plan, inputs, package, name=name, arch=arch, sha256=sha256))
            for name, arch, sha256 in found
        }
    return refs


def add_dists(draft: Draft, plan: Plan, inputs: Inputs) -> dict[NodeId, str]:
    """Add the dists, what they require of each other and what they carry; return their references by node."""
    dists = dists_of(plan)
    bundle = next((one for one in plan.published() if plan.layout is Layout.BUNDLE), None)
    refs = {package.node: draft.add(dist_component(plan, inputs, package, bundle or package)) for package in dists}
    by_name = {package.dist: refs[package.node] for package in dists}
    selected = inputs.selection.by_name()
    for package in dists:
        needs = draft.needs[refs[package.node]]
        if package.dist in selected:
            needs |= {by_name[name] for name in selected[package.dist].requires if name in by_name}
        needs |= {draft.add(component) for component in part_components(inputs, package)}
    return refs


def _add_required(draft: Draft, plan: Plan, requires: Iterable[str], installed: Mapping[str, str]) -> set[str]:
    """Add what the target's own repositories have to bring; return the references."""
    own = {str(package.dist) for package in dists_of(plan)}
    refs = set()
    for requirement in requires:
        names = [name for name in _DIST_REQUIRED.findall(requirement) if name not in own]
        refs |= {draft.add(left_component(name)) for name in names}
        if not names and _RPM_REQUIRED.match(requirement):
            name = requirement.partition(" ")[0]
            refs.add(installed.get(name) or draft.add(target_component(plan, name)))
    return refs


def rendered(draft: Draft, plan: Plan, inputs: Inputs, roots: Iterable[str], kind: str) -> str:
    """Return a document as JSON. roots: what its subject needs directly; kind: what it is a document of."""
    who = supplier(inputs.release.packager)
    name = str(plan.release)
    root = Component(name=name, version=plan.version, type=ComponentType.APPLICATION, bom_ref=kind, supplier=who)
    draft.needs[kind] = set(roots)
    release = inputs.release
    bom = Bom(
        serial_number=_UNKNOWN,
        components=draft.components.values(),
        dependencies=draft.dependencies(root),
        metadata=BomMetaData(
            timestamp=dt.datetime.combine(release.date, dt.time(), dt.UTC),
            tools=ToolRepository(components=[Component(name="elpack", version=__version__)]),
            component=root,
            supplier=who,
            lifecycles=[PredefinedLifecycle(LifecyclePhase.BUILD)],
            properties=[Property(name=f"elpack:{key}", value=value) for key, value in _about(plan, kind).items()],
        ),
    )
    document = _ordered(json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()))
    digest = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, f"elpack:sbom:{_FORMAT}:{digest}").urn
    return json.dumps(document, indent=2) + "\n"


def _ordered(value: Any) -> Any:
    """Return JSON with everything in order: no list of a document has a first and a second."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted(map(_ordered, value), key=json.dumps)
    return value


def _about(plan: Plan, kind: str) -> dict[str, str]:
    target = plan.target
    about = {"target": target.name, "python": target.python, "arch": target.arch, "content": kind}
    about |= {"interpreter": target.interpreter_name} if target.pypy else {}
    return about | ({"standin": "true: nothing of this is EL9's"} if target.standin else {})
