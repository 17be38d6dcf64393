from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from tests.unit.plans import LIB, RELEASE, Case, digest

from elpack.model import Carried, CoreMetadata, Layout, Sha256, Trace, WheelFacts
from elpack.plan.make import make_plan
from elpack.plan.model import NodeId, Plan
from elpack.sbom import BuiltRpm, carrier_sbom, release_sbom
from elpack.sbom.components import cleaned_url

if TYPE_CHECKING:
    from elpack.plan.facts import Inputs

BUNDLED = """\
[[bundled]]
name = "python3dist(vendored)"
version = "3.0"
file = "own/_vendor.py"
text = "3.0"
reason = "a copy of its own"
"""
OPENSSL = Carried("openssl", "3.5.4", "pkg:generic/openssl", "Apache-2.0", Trace.CODE, "lib/_x.so", "OpenSSL 3.5.4")
AGAIN = replace(OPENSSL, trace=Trace.SBOM, file="lib.dist-info/sboms/a.json", text="")
UNREAD = Carried("b.json", "", "", "", Trace.UNREAD, "lib.dist-info/sboms/b.json")
LIBRARY = Carried("libfoo", "", "pkg:generic/libfoo", "", Trace.LIBRARY, "lib.libs/libfoo.so", "", digest("libfoo"))


def case(carried: tuple[Carried, ...] = (OPENSSL, AGAIN, UNREAD, LIBRARY), **more: Any) -> Inputs:
    inputs = Case(overrides={"own": BUNDLED}, **more).inputs()
    facts = dict(inputs.facts)
    wheel = facts[LIB.sha256]
    assert isinstance(wheel, WheelFacts)
    facts[LIB.sha256] = replace(wheel, carried=carried)
    return replace(inputs, facts=facts)


def planned(inputs: Inputs) -> Plan:
    return make_plan(inputs)


def read(text: str) -> dict[str, Any]:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return dict(json.loads(text))


def by_purl(document: dict[str, Any]) -> dict[str, Any]:
    return {one["purl"]: one for one in document["components"]}


def needs(document: dict[str, Any], ref: str) -> list[str]:
    return next((one.get("dependsOn", []) for one in document["dependencies"] if one["ref"] == ref), [])


def properties(component: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in component["properties"]}


def test_a_release_lists_its_dists_with_both_purls_hashes_licence_and_source() -> None:
    inputs = case()
    document = read(release_sbom(planned(inputs), inputs))
    dist = by_purl(document)["pkg:pypi/lib@0.9"]
    qualifiers = "arch=noarch&distro=el9&upstream=shop-python3.12-lib-0.9.0-1.el9.src.rpm"
    purl = f"pkg:rpm/shop/shop-python3.12-lib@0.9.0-1.el9?{qualifiers}"
    assert properties(dist)["elpack:purl:rpm"] == purl
    assert dist["hashes"] == [{"alg": "SHA-256", "content": LIB.sha256}]
    assert dist["licenses"] == [{"expression": "MIT"}]
    assert {one["type"]: one["url"] for one in dist["externalReferences"]}["distribution"].endswith(LIB.filename)
    assert needs(document, "pkg:pypi/app@2.0") == ["pkg:pypi/lib@0.9", "pkg:pypi/own@1.5"]
    assert needs(document, "release") == ["pkg:pypi/app@2.0"]
    assert not [purl for purl in by_purl(document) if purl.startswith("pkg:rpm/")]


def test_parts_are_components_of_their_own_with_what_tells_of_them() -> None:
    inputs = case()
    document = read(release_sbom(planned(inputs), inputs))
    parts = by_purl(document)
    openssl = parts["pkg:generic/openssl@3.5.4"]
    assert openssl["bom-ref"] in needs(document, "pkg:pypi/lib@0.9")
    assert properties(openssl)["elpack:inside"] == "pkg:pypi/lib@0.9"
    assert {one["location"] for one in openssl["evidence"]["occurrences"]} == {OPENSSL.file, AGAIN.file}
    (identity,) = openssl["evidence"]["identity"]
    assert {one["technique"] for one in identity["methods"]} == {"attestation", "binary-analysis"}
    assert parts["pkg:generic/libfoo"]["hashes"] == [{"alg": "SHA-256", "content": digest("libfoo")}]
    assert "hashes" not in openssl, "the digest of the file that it is linked into is not its own"
    assert "pkg:pypi/vendored@3.0" in parts, "what an override proves"
    assert properties(parts["pkg:pypi/lib@0.9"])["elpack:sbom:unread"] == UNREAD.file


def test_a_carrier_lists_exactly_its_rpms_with_their_digests_what_they_hold_and_what_they_need() -> None:
    inputs = case()
    plan = planned(inputs)
    names = {
        package.node: f"{package.nvr}.{'noarch' if package.noarch else 'x86_64'}.rpm" for package in plan.published()
    }
    rpms = [BuiltRpm(name, node, digest(name)) for node, name in names.items()]
    document = read(carrier_sbom(plan, inputs, rpms))
    own = {one["hashes"][0]["content"] for purl, one in by_purl(document).items() if purl.startswith("pkg:rpm/shop/")}
    assert own == {rpm.sha256 for rpm in rpms}
    lib = next(one for one in document["components"] if one["name"] == "shop-python3.12-lib")
    assert properties(lib)["elpack:purl:pypi"] == "pkg:pypi/lib@0.9"
    assert "pkg:pypi/lib@0.9" in needs(document, lib["bom-ref"])
    (runtime,) = (
        one for one in document["components"] if {"name": "elpack:node", "value": "runtime"} in one["properties"]
    )
    assert runtime["bom-ref"] in needs(document, lib["bom-ref"])
    python = "pkg:rpm/el9/python3.12?arch=x86_64&distro=el9"
    assert python in needs(document, runtime["bom-ref"])
    assert by_purl(document)[python]["scope"] == "required"
    assert "version" not in by_purl(document)[python]


def test_without_a_build_the_rpms_have_no_digests() -> None:
    inputs = case()
    document = read(carrier_sbom(planned(inputs), inputs))
    rpms = [one for one in document["components"] if one["purl"].startswith("pkg:rpm/shop/")]
    assert len(rpms) == 4
    assert not [one for one in rpms if "hashes" in one]


def test_a_bundle_holds_all_dists() -> None:
    inputs = case(layout=Layout.BUNDLE)
    document = read(carrier_sbom(planned(inputs), inputs))
    (bundle,) = (one for one in document["components"] if one["purl"].startswith("pkg:rpm/shop/"))
    held = needs(document, bundle["bom-ref"])
    assert {"pkg:pypi/app@2.0", "pkg:pypi/lib@0.9", "pkg:pypi/own@1.5"} <= set(held)


def test_in_layout_system_the_interpreter_is_needed_though_the_target_s_generator_adds_it() -> None:
    inputs = case(layout=Layout.SYSTEM, release=f"{RELEASE}[system]\npackages = ['own']\n")
    document = read(carrier_sbom(planned(inputs), inputs))
    own = next(one for one in document["components"] if one["name"] == "python3.12-own")
    assert "pkg:rpm/el9/python3.12?arch=x86_64&distro=el9" in needs(document, own["bom-ref"])


def test_an_epoch_is_a_qualifier() -> None:
    inputs = case()
    plan = planned(inputs)
    packages = tuple(replace(package, evr=replace(package.evr, epoch=2)) for package in plan.packages)
    document = read(carrier_sbom(replace(plan, packages=packages), inputs))
    found = [PackageURL.from_string(one["purl"]) for one in document["components"]]
    own = [purl for purl in found if purl.namespace == "shop"]
    assert {purl.qualifiers["epoch"] for purl in own} == {"2"}
    assert not [purl for purl in own if str(purl.version).startswith("2:")]


def test_all_purls_survive_a_round_trip_and_references_are_unique() -> None:
    inputs = case()
    document = read(carrier_sbom(planned(inputs), inputs))
    purls = [one["purl"] for one in document["components"]]
    assert [PackageURL.from_string(purl).to_string() for purl in purls] == purls
    refs = [one["bom-ref"] for one in document["components"]]
    assert len(set(refs)) == len(refs)


def test_the_serial_number_and_the_time_come_from_the_content() -> None:
    inputs = case()
    first, again = (release_sbom(planned(inputs), inputs) for _ in range(2))
    other = case(carried=())
    assert first == again
    one, two = read(first), read(release_sbom(planned(other), other))
    assert one["serialNumber"] != two["serialNumber"]
    assert one["metadata"]["timestamp"] == "2026-11-01T00:00:00+00:00"


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_bytes_do_not_hang_on_the_order_of_a_process_s_sets(seed: str) -> None:
    code = (
        "import tests.unit.test_sbom as t; from elpack.sbom import carrier_sbom as c; i = t.case();"
        "import sys; sys.stdout.write(c(t.planned(i), i))"
    )
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    inputs = case()
    assert done.stdout == carrier_sbom(planned(inputs), inputs)


def test_text_from_outside_is_data() -> None:
    evil = CoreMetadata("lib", "0.9", licence_expression="MIT", author='</x>"\u202e\x1b[31m\nEvil %(id)' + "y" * 900)
    wheel = replace(LIB, metadata=evil)
    inputs = Case().instead(wheel).inputs()
    dist = by_purl(read(release_sbom(planned(inputs), inputs)))["pkg:pypi/lib@0.9"]
    assert dist["publisher"].isprintable()
    assert len(dist["publisher"]) <= 200


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@files.example/a.whl?token=1#x", "https://files.example/a.whl"),
        ("http://[::1]:8080/a.whl", ""),
        ("http://127.0.0.1:8080/a.whl", "http://127.0.0.1:8080/a.whl"),
        ("file:///etc/passwd", ""),
        ("https:///a", ""),
        ("https://h:99999999/a", ""),
        ("", ""),
    ],
)
def test_addresses_are_published_without_credentials(url: str, clean: str) -> None:
    assert cleaned_url(url) == clean


def test_a_built_rpm_is_known_by_its_file_name() -> None:
    rpm = BuiltRpm("shop-python3.12-lib+extra-0.9.0-1.el9.noarch.rpm", NodeId("stack/lib"), Sha256(""))
    assert (rpm.name, rpm.arch) == ("shop-python3.12-lib+extra", "noarch")
