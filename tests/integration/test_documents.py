"""Bills of materials and provenance of the real closure, against the RPMs themselves and against the schemas."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement
from packageurl import PackageURL
from tests.integration.wamp import DISTS, OUTPUT, REPOSITORY, STANDIN, Run, ask, elpack, rpms

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.integration]

CARRIED = {
    ("cryptography", "openssl", "code"),
    ("cryptography", "openssl", "sbom"),
    ("numpy", "openblas", "code"),
    ("numpy", "libgfortran", "reviewed"),
    ("pynacl", "libsodium", "reviewed"),
    ("cffi", "libffi", "reviewed"),
    ("pyyaml", "libyaml", "code"),
    ("aiohttp", "llhttp", "reviewed"),
    ("ckzg", "blst", "reviewed"),
    ("blake3", "blake3", "code"),
    ("pydantic-core", "pyo3", "code"),
    ("setuptools", "wheel", "metadata"),
    ("zlmdb", "lmdb", "override"),
    ("zlmdb", "flatbuffers", "override"),
}
"""What the wheels of this very closure are known to carry; the list is not complete."""


def document(name: str) -> dict[str, Any]:
    text = (OUTPUT / "sbom" / f"{name}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return dict(json.loads(text))


def ours(components: list[dict[str, Any]]) -> Iterator[tuple[PackageURL, dict[str, Any]]]:
    for one in components:
        purl = PackageURL.from_string(one["purl"])
        if (purl.type, purl.namespace) == ("rpm", "crossbar"):
            yield purl, one


def test_the_carrier_lists_every_rpm_of_the_repository_by_its_name_and_digest_and_no_other(rpm_all: Run) -> None:
    digests = {entry["name"]: entry["sha256"] for entry in rpm_all.artefacts("rpm")}
    form = "%{NAME} %{EPOCHNUM} %{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM}\\n"
    there = {tuple(line.split()): digests[path.name] for path, line in zip(rpms(), ask(form, rpms()), strict=True)}
    listed = {}
    for purl, one in ours(document("stack")["components"]):
        about = purl.qualifiers
        assert about["distro"] == "el9-standin"
        key = (purl.name, about.get("epoch", "0"), str(purl.version), about["arch"], about["upstream"])
        listed[key] = one["hashes"][0]["content"]
    assert listed == there
    assert len(listed) == DISTS + 1


@pytest.mark.parametrize("name", ["stack", "release"])
def test_every_dist_is_listed_with_both_purls_and_what_it_carries(rpm_all: Run, name: str) -> None:
    components = document(name)["components"]
    inside: dict[str, str] = {
        one["bom-ref"]: value["value"]
        for one in components
        for value in one["properties"]
        if value["name"] == "elpack:inside"
    }
    dists = [one for one in components if one["purl"].startswith("pkg:pypi/") and one["bom-ref"] not in inside]
    assert len(dists) == DISTS
    assert all(any(value["name"] == "elpack:purl:rpm" for value in one["properties"]) for one in dists)
    assert all(one["hashes"] and one["licenses"] for one in dists)
    found = {
        (PackageURL.from_string(inside[one["bom-ref"]]).name, one["name"], value["value"])
        for one in components
        if one["bom-ref"] in inside
        for value in one["properties"]
        if value["name"] == "elpack:trace"
    }
    assert found >= CARRIED
    refs = {one["bom-ref"] for one in components} | {name}
    graph = document(name)["dependencies"]
    assert {ref for one in graph for ref in (one["ref"], *one.get("dependsOn", ()))} == refs


def test_nothing_of_this_machine_is_in_them(rpm_all: Run) -> None:
    for path in (*OUTPUT.glob("sbom/*"), *OUTPUT.glob("provenance/*.intoto.json")):
        assert str(REPOSITORY) not in path.read_text(), path.name


def test_the_provenance_states_every_package_as_it_is_handed_over(rpm_all: Run) -> None:
    stated = json.loads((OUTPUT / "provenance" / "stack.intoto.json").read_text())
    statement = json_format.ParseDict(stated, Statement())
    json_format.ParseDict(stated["predicate"], Provenance())
    there = {str(path.relative_to(OUTPUT)): path for path in OUTPUT.glob("*/*.rpm")}
    assert {one.name: one.digest["sha256"] for one in statement.subject} == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()
    }
    kinds = ("rpm", "srpm", "debug-rpm", "buildroot-rpm", "buildroot-srpm")
    built = {entry["name"]: entry["sha256"] for kind in kinds for entry in rpm_all.artefacts(kind)}
    annotated = {one["name"].partition("/")[2]: one["annotations"]["elpack:built-sha256"] for one in stated["subject"]}
    assert annotated == built
    materials = stated["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert len([one for one in materials if one.get("uri", "").startswith("pkg:pypi/")]) >= DISTS


def test_the_plan_alone_gives_the_release_s_document(rpm_all: Run) -> None:
    done = elpack("sbom", *STANDIN[:2], "--offline", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (OUTPUT / "sbom" / "release.cdx.json").read_text()
