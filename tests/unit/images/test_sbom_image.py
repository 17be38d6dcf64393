"""The bill of materials of an image: dists, RPMs and what lies below, each once, in the same bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.unit.plans import Case

from elpack.images.model import Flavour
from elpack.plan.make import make_plan
from elpack.sbom import Below, BuiltRpm, OsPackage, image_sbom

PACKAGES = (OsPackage("glibc", "2.34-100.el9", "x86_64"), OsPackage("python3.12", "1:3.12.1-1.el9", "x86_64"))
BELOW = Below("registry.example.org/base:1", "sha256:" + "1" * 64)


def document(flavour: Flavour, packages: tuple[OsPackage, ...] = PACKAGES) -> dict[str, Any]:
    inputs = Case().inputs()
    plan = make_plan(inputs)
    own = [BuiltRpm(f"{one.rpm}-1-1.noarch.rpm", one.node, "0" * 64) for one in plan.published()]  # type: ignore[arg-type]
    below = BELOW if flavour is Flavour.UV else None
    rpms = own if flavour is Flavour.RPM else ()
    text = image_sbom(plan, inputs, flavour, rpms=rpms, packages=packages, below=below)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return dict(json.loads(text))


def needs(found: dict[str, Any], ref: str) -> list[str]:
    return next(one.get("dependsOn", []) for one in found["dependencies"] if one["ref"] == ref)


@pytest.mark.parametrize("flavour", Flavour)
def test_the_order_of_packages_does_not_matter(flavour: Flavour) -> None:
    assert document(flavour) == document(flavour, PACKAGES[::-1])


def test_a_base_brings_the_systems_packages() -> None:
    found = document(Flavour.UV)
    base = next(one for one in found["components"] if one["type"] == "container")
    assert base["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    assert len(needs(found, base["bom-ref"])) == len(PACKAGES)
    assert not [one for one in found["components"] if one.get("purl", "").startswith("pkg:rpm/shop/")]


def test_what_an_rpm_requires_is_the_package_that_is_there() -> None:
    found = document(Flavour.RPM)
    (python,) = [one for one in found["components"] if one["name"] == "python3.12"]
    assert python["purl"].startswith("pkg:rpm/el9/python3.12@3.12.1-1.el9?")
    assert "epoch=1" in python["purl"]
    assert [one for one in found["dependencies"] if python["bom-ref"] in one.get("dependsOn", ())]


def test_our_own_rpms_are_there_once() -> None:
    own = Case().inputs()
    name = str(make_plan(own).published()[0].rpm)
    found = document(Flavour.RPM, (*PACKAGES, OsPackage(name, "1-1", "noarch")))
    assert len([one for one in found["components"] if one["name"] == name]) == 1
