from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.test_archives_wheel import DIGEST, INFO, METADATA, RIGHT, WHEEL, make_wheel

from elpack.archives import read_wheel
from elpack.archives.carried import known_parts
from elpack.archives.sboms import read_sbom
from elpack.model import Carried, RemoteFile, Sha256, Trace
from elpack.steps.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ELF = b"\x7fELF\x02\x01\x01" + b"\x00" * 9
OPENSSL = b"OpenSSL 3.5.4 30 Sep 2025"


def carried(folder: Path, files: Mapping[str, bytes], dist: str = "demo", version: str = "1.0") -> tuple[Carried, ...]:
    """Return what a wheel of these files carries."""
    metadata = METADATA.replace(b"demo", dist.encode()).replace(b"1.0", version.encode())
    info = f"{dist.replace('-', '_')}-{version}.dist-info"
    whole = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": WHEEL}
    name = f"{dist.replace('-', '_')}-{version}-py3-none-any.whl"
    if info != INFO:
        whole[f"{info}/RECORD"] = b""
        return read_wheel(make_wheel(folder, whole, name=name), DIGEST, verify_contents=False).carried
    return read_wheel(make_wheel(folder, whole, name=name), DIGEST).carried


def brief(found: tuple[Carried, ...]) -> list[tuple[str, str, str]]:
    return [(one.purl, one.version, one.trace) for one in found]


def test_a_wheel_of_its_own_code_carries_nothing(tmp_path: Path) -> None:
    assert read_wheel(make_wheel(tmp_path, RIGHT), DIGEST).carried == ()


def test_machine_code_names_what_is_linked_into_it(tmp_path: Path) -> None:
    path = b"/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/"
    code = ELF + OPENSSL + b"\x00rustc version 1.90.0 (x)\x00" + path + b"pyo3-ffi-0.26.0/src/lib.rs" + path
    found = carried(tmp_path, {"demo/_rust.abi3.so": code + b"sha2-0.10.9/src/lib.rs"})
    assert brief(found) == [
        ("pkg:generic/openssl", "3.5.4", "code"),
        ("pkg:cargo/pyo3-ffi", "0.26.0", "code"),
        ("pkg:generic/rust-std", "1.90.0", "code"),
        ("pkg:cargo/sha2", "0.10.9", "code"),
    ]
    assert [one.text for one in found] == [OPENSSL.decode(), "pyo3-ffi-0.26.0", "rustc version 1.90.0", "sha2-0.10.9"]


def test_what_is_no_machine_code_proves_nothing(tmp_path: Path) -> None:
    assert carried(tmp_path, {"demo/_rust.abi3.so": b"#!/bin/sh\n" + OPENSSL, "demo/notes.txt": ELF + OPENSSL}) == ()


def test_libraries_beside_the_code_are_listed_with_their_digest(tmp_path: Path) -> None:
    (one,) = carried(tmp_path, {"demo.libs/libfoo-1-0a1b2c3d.so.2.0": ELF})
    assert (one.name, one.version, one.trace, one.sha256 != "") == ("libfoo-1", "", Trace.LIBRARY, True)


def test_a_dist_inside_of_the_dist_is_told_by_its_metadata(tmp_path: Path) -> None:
    found = carried(tmp_path, {"demo/_vendor/jaraco.text-3.12.1.dist-info/METADATA": b"Name: lies\n"})
    assert brief(found) == [("pkg:pypi/jaraco-text", "3.12.1", "metadata")]


def test_a_reviewed_version_counts_for_the_version_that_was_reviewed(tmp_path: Path) -> None:
    files = {"nacl/_sodium.abi3.so": ELF + b"sodium_misuse\x00"}
    assert brief(carried(tmp_path, files, "pynacl", "1.6.1")) == [("pkg:generic/libsodium", "1.0.20", "reviewed")]
    assert brief(carried(tmp_path, files, "pynacl", "99.0")) == [("pkg:generic/libsodium", "", "reviewed")]
    assert carried(tmp_path, {"nacl/_sodium.abi3.so": ELF}, "pynacl", "1.6.1") == (), "the proof is missing"


def test_each_reviewed_version_has_a_source() -> None:
    assert len(known_parts()) > 10
    assert [one.name for one in known_parts() if one.versions and not one.source] == []
    assert [one.name for one in known_parts() if one.versions and not one.dist] == []


def sbom(components: object, **more: object) -> bytes:
    return json.dumps({"bomFormat": "CycloneDX", "components": components, **more}).encode()


def test_the_wheel_s_own_sbom_is_read_without_what_tells_of_its_maker_s_machine(tmp_path: Path) -> None:
    inner = {"name": "libc", "version": "0.2.1", "purl": "pkg:cargo/libc@0.2.1?download_url=file:///home/me"}
    outer = {
        "name": "openssl",
        "version": "4.0.3",
        "purl": "pkg:generic/openssl@4.0.3?download_url=https://x/y",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "components": [inner],
    }
    itself = {"name": "demo", "version": "1.0", "purl": "pkg:pypi/demo@1.0"}
    found = carried(tmp_path, {f"{INFO}/sboms/any.cdx.json": sbom([outer, itself])})
    assert brief(found) == [("pkg:cargo/libc", "0.2.1", "sbom"), ("pkg:generic/openssl", "4.0.3", "sbom")]
    assert found[1].licence == "Apache-2.0"
    assert "/home" not in repr(found)


HOSTILE = {
    "no JSON": b"<bom/>",
    "not UTF-8": b"\xff\xfe{",
    "another format": b'{"spdxVersion": "SPDX-2.3"}',
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "a huge number": b'{"bomFormat": ' + b"9" * 10_000 + b"}",
    "empty": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_as_an_sbom_is_told_as_such(tmp_path: Path, data: bytes) -> None:
    (one,) = carried(tmp_path, {f"{INFO}/sboms/x.json": data})
    assert (one.trace, one.file) == (Trace.UNREAD, f"{INFO}/sboms/x.json")


@pytest.mark.parametrize(
    "component",
    [
        7,
        None,
        {},
        {"name": 5},
        {"name": "a\nb"},
        {"name": "\x1b[31m"},
        {"name": "x" * 500},
        {"name": "\u202eevil"},
    ],
)
def test_components_without_a_plain_name_are_left_out(component: Any) -> None:
    assert list(read_sbom("x", sbom([component]), Sha256(""), "demo")) == []


@pytest.mark.parametrize("purl", ["nonsense", "pkg:", 7, "pkg:x/" + "y" * 2000, "pkg:pypi/%zz", "javascript:alert(1)"])
def test_a_purl_that_is_none_is_dropped(purl: object) -> None:
    (one,) = read_sbom("x", sbom([{"name": "a", "version": "1\n2", "purl": purl}]), Sha256(""), "demo")
    assert (one.purl.startswith("pkg:") or not one.purl, one.version) == (True, "")


def test_an_sbom_of_too_many_components_is_cut_and_says_so() -> None:
    found = list(read_sbom("x", sbom([{"name": f"a{n}"} for n in range(6000)]), Sha256(""), "demo"))
    assert len(found) == 5001
    assert found[-1].trace is Trace.UNREAD


def test_facts_are_the_same_when_read_again(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, {**RIGHT, "demo/x.so": ELF + OPENSSL})
    file = RemoteFile(path.name, "", DIGEST)
    first, second = (read_facts([file], {DIGEST: path}, tmp_path / "cache") for _ in range(2))
    assert first == second
    assert first[DIGEST].carried[0].version == "3.5.4"  # type: ignore[union-attr]
