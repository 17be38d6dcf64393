from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement
from tests.unit.plans import Case, digest

from elpack.errors import VerifyError
from elpack.plan.make import make_plan
from elpack.provenance import BUILT, Artefact, Material, check_subjects, statement, with_signed

RPM, SRPM = "repo/a-1-1.noarch.rpm", "srpms/a-1-1.src.rpm"
UNSIGNED = [Artefact(RPM, digest("a")), Artefact(SRPM, digest("s"))]
MATERIALS = [
    Material("b.whl", digest("b"), "pkg:pypi/b@1?file_name=b.whl", "https://files.example/b.whl"),
    Material("b.whl", digest("b"), "pkg:pypi/b@1?file_name=b.whl", "https://files.example/b.whl"),
    Material("repomd.xml", digest("r"), annotations={"repositories": [{"id": "baseos"}]}),
]


def stated(artefacts: list[Artefact], materials: list[Material] = MATERIALS) -> str:
    plan = make_plan(Case().inputs())
    return statement(plan, artefacts, materials, Material("elpack.toml", digest("toml")), version="9.9")


def subjects(text: str) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(text)["subject"]}


def test_it_is_an_in_toto_statement_with_slsa_provenance() -> None:
    document = json.loads(stated(UNSIGNED))
    parsed = json_format.ParseDict(document, Statement())
    assert (parsed.type, parsed.predicate_type) == ("https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1")
    assert {one.name: one.digest["sha256"] for one in parsed.subject} == {RPM: digest("a"), SRPM: digest("s")}
    provenance = json_format.ParseDict(document["predicate"], Provenance())
    definition = provenance.build_definition
    assert {one.uri for one in definition.resolved_dependencies} == {"pkg:pypi/b@1?file_name=b.whl", ""}
    assert len(definition.resolved_dependencies) == 2
    assert definition.external_parameters["layout"] == "stack"
    assert dict(provenance.run_details.builder.version) == {"elpack": "9.9"}


def test_it_claims_no_host_and_no_time() -> None:
    run = json.loads(stated(UNSIGNED))["predicate"]["runDetails"]
    assert run == {"builder": {"id": "urn:elpack:builder:local:v1", "version": {"elpack": "9.9"}}}


def test_the_order_of_what_went_in_and_came_out_changes_nothing() -> None:
    assert stated(UNSIGNED) == stated(UNSIGNED[::-1], MATERIALS[::-1])


def test_subjects_are_what_is_handed_over_and_name_what_was_built() -> None:
    text = stated([Artefact(RPM, digest("a"), digest("signed")), UNSIGNED[1]])
    assert subjects(text)[RPM] == {
        "name": RPM,
        "digest": {"sha256": digest("signed")},
        "annotations": {BUILT: digest("a")},
    }
    assert subjects(text)[SRPM] == {"name": SRPM, "digest": {"sha256": digest("s")}}


def test_signing_later_or_by_another_key_gives_the_statement_that_signing_at_once_would() -> None:
    at_once = stated([Artefact(RPM, digest("a"), digest("one")), Artefact(SRPM, digest("s"), digest("two"))])
    signed = {RPM: digest("one"), SRPM: digest("two")}
    assert with_signed(stated(UNSIGNED), signed) == at_once
    other = with_signed(at_once, {RPM: digest("x"), SRPM: digest("y")})
    assert subjects(other)[RPM]["digest"] == {"sha256": digest("x")}
    assert subjects(other)[RPM]["annotations"] == {BUILT: digest("a")}


def test_files_that_are_as_stated_pass() -> None:
    found = {RPM: digest("a"), SRPM: digest("s")}
    assert check_subjects(stated(UNSIGNED).encode(), found)["predicateType"] == "https://slsa.dev/provenance/v1"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({RPM: digest("a")}, f"{SRPM}: is not there"),
        ({RPM: digest("a"), SRPM: digest("s"), "repo/b.rpm": digest("b")}, "repo/b.rpm: is not in the provenance"),
        ({RPM: digest("evil"), SRPM: digest("s")}, f"{RPM}: is not what the provenance states"),
    ],
)
def test_files_that_are_not_are_named(found: dict[str, str], why: str) -> None:
    with pytest.raises(VerifyError) as caught:
        check_subjects(stated(UNSIGNED).encode(), found)
    assert why in str(caught.value)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"subject": [7]}', b"\xff", b"[" * 100_000])
def test_what_is_no_statement_is_refused(payload: bytes) -> None:
    with pytest.raises(VerifyError, match="no in-toto statement"):
        check_subjects(payload, {})


def test_another_predicate_proves_nothing() -> None:
    document = json.loads(stated(UNSIGNED)) | {"predicateType": "https://slsa.dev/verification_summary/v1"}
    with pytest.raises(VerifyError, match="not SLSA provenance"):
        check_subjects(json.dumps(document).encode(), {RPM: digest("a"), SRPM: digest("s")})
