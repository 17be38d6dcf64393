"""SLSA provenance (v1) as an in-toto statement (v1): which artefacts, made of what, by which parameters.

It claims no more than is true: docs/reference/provenance.md says what that is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elpack.errors import Problem, VerifyError
from elpack.plan.keys import RECIPE
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.plan.model import Plan

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:elpack:build:rpm-set:v1"
"""The meaning of the parameters: docs/reference/provenance.md. A name, not a place: it belongs to nobody's server."""
IMAGE_TYPE = "urn:elpack:build:image:v1"
"""The same of an image."""
BUILDER = "urn:elpack:builder:local:v1"
"""Whoever runs elpack, wherever that is: nothing attests the host."""
BUILT = "elpack:built-sha256"
"""The annotation with the digest of a signed RPM before it was signed, which a second build gives again."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file that was made: its path below the folder of results, its digest, and that of its signed copy."""

    path: str
    sha256: str
    signed: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """A file that went in: its name, its purl or other URI, its digest, and where it was fetched from."""

    name: str
    sha256: str
    uri: str = ""
    url: str = ""
    annotations: Mapping[str, Any] = field(default_factory=dict)


def statement(
    plan: Plan,
    artefacts: Iterable[Artefact],
    materials: Iterable[Material],
    release_file: Material,
    *,
    version: str,
    image: Mapping[str, str] | None = None,
) -> str:
    """Return the statement about a carrier's artefacts as JSON; equal builds give equal bytes.

    version: that of elpack. image: the parameters of an image, if it is one. There are no times in it, and nothing of
    the machine.
    """
    target = plan.target
    document = {
        "_type": STATEMENT_TYPE,
        "subject": sorted(map(_subject, artefacts), key=lambda one: str(one["name"])),
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE if image is None else IMAGE_TYPE,
                "externalParameters": {
                    "release": _descriptor(release_file),
                    "version": plan.version,
                    "target": {"name": target.name, "python": target.python, "arch": target.arch},
                    "layout": plan.layout,
                    **(image or {}),
                },
                "internalParameters": {"recipe": RECIPE, "distTag": target.dist_tag, "standin": target.standin},
                "resolvedDependencies": sorted(
                    map(_descriptor, set_of(materials)), key=lambda one: json.dumps(one, sort_keys=True)
                ),
            },
            "runDetails": {"builder": {"id": BUILDER, "version": {"elpack": version}}},
        },
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def set_of(materials: Iterable[Material]) -> list[Material]:
    """Return each material once."""
    return list({(one.name, one.sha256): one for one in materials}.values())


def with_signed(text: str, signed: Mapping[str, str]) -> str:
    """Return a statement whose subjects have the digests of signed copies, which are given by path.

    Raises `VerifyError` when it is none.
    """
    try:
        document = json_value(text)
        document["subject"] = [
            _subject(Artefact(one["name"], _built(one), signed.get(one["name"], ""))) for one in document["subject"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(Problem("it is no in-toto statement", why=str(error)[:200])) from error
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def check_subjects(payload: bytes, found: Mapping[str, str], *, where: str = "") -> dict[str, Any]:
    """Return a statement whose subjects are the files that were found: their digests by path.

    Raises `VerifyError` with every file that is missing, other than stated, or not stated.
    """
    try:
        document = json_value(payload)
        stated = {str(one["name"]): str(one["digest"]["sha256"]) for one in document["subject"]}
        kinds = document["_type"], document["predicateType"]
    except (ValueError, KeyError, TypeError) as error:
        raise VerifyError(Problem("it is no in-toto statement", where, str(error)[:200])) from error
    problems = []
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        problems.append(Problem(f"it is {kinds[1]!a} in {kinds[0]!a}, not SLSA provenance v1", where))
    problems += [Problem("is not there", name) for name in sorted(stated.keys() - found.keys())]
    problems += [Problem("is not in the provenance", name) for name in sorted(found.keys() - stated.keys())]
    both = sorted(stated.keys() & found.keys())
    problems += [Problem("is not what the provenance states", name) for name in both if stated[name] != found[name]]
    if problems:
        raise VerifyError(*problems)
    return dict(document)


def _built(subject: Mapping[str, Any]) -> str:
    return str(subject.get("annotations", {}).get(BUILT) or subject["digest"]["sha256"])


def _subject(artefact: Artefact) -> dict[str, Any]:
    """Return the descriptor of an artefact: by the digest of what is handed over, which customers can compare."""
    signed = artefact.signed and artefact.signed != artefact.sha256
    return {
        "name": artefact.path,
        "digest": {"sha256": artefact.signed or artefact.sha256},
        **({"annotations": {BUILT: artefact.sha256}} if signed else {}),
    }


def _descriptor(material: Material) -> dict[str, Any]:
    return {
        "name": material.name,
        "digest": {"sha256": material.sha256},
        **({"uri": material.uri} if material.uri else {}),
        **({"downloadLocation": material.url} if material.url else {}),
        **({"annotations": dict(material.annotations)} if material.annotations else {}),
    }
