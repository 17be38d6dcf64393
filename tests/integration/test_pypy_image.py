"""The image of the real release with PyPy, made whole and tried: CFFI and Rust compiled for it, and WAMP spoken."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.test_images import STEM, STEPS
from tests.integration.wamp import OUTPUT, STANDIN, TOOLS, elpack

from elpack.builders.emulation import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.wheels,
    pytest.mark.root,
    pytest.mark.skipif(MACHINE != "x86_64", reason="the lock has no pydantic-core for PyPy elsewhere"),
]

ARCHIVE = OUTPUT / "images" / f"{STEM}-pypy.oci.tar"


@pytest.fixture(scope="module")
def made(needs: Callable[..., None]) -> dict[str, Any]:
    """Make the image, and return what `--json` says of it."""
    needs("podman", "dpkg-deb", *TOOLS)
    done = elpack("image", "build", *STANDIN, "--flavour", "pypy", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    return dict(json.loads(done.stdout)[ARCHIVE.name])


def test_it_is_not_half_a_lock(made: dict[str, Any]) -> None:
    assert made["tag"].endswith("-pypy")
    parts = json.loads(ARCHIVE.with_name(f"{STEM}-pypy.cdx.json").read_text())["components"]
    dists = {part["name"] for part in parts if part.get("purl", "").startswith("pkg:pypi/")}
    assert {"blake3", "brotlicffi", "cbor2", "crossbar", "zlmdb"} <= dists
    assert not {"bjdata", "msgpack", "wsaccel"} & dists


@pytest.mark.xfail(strict=True, reason="cryptography's wheel needs what PyPy 7.3.19 lacks (PyO3 6305)")
def test_it_does_what_its_user_wants(made: dict[str, Any]) -> None:
    assert made
    done = elpack("image", "smoke", "--target", "el9-standin", "--flavour", "pypy", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    (report,) = json.loads(done.stdout)
    assert [step["name"] for step in report["steps"]] == STEPS
    assert {step["status"] for step in report["steps"]} == {"ok"}
    logs = OUTPUT / "logs/image-pypy"
    assert "/PyPy" in next(logs.glob("*-version.log")).read_text()
    assert next(logs.glob("*-client.log")).read_text().startswith("ok cbor\n")


def test_what_is_compiled_for_it_works(made: dict[str, Any]) -> None:
    assert made
    elpack("image", "smoke", "--target", "el9-standin", "--flavour", "pypy", "--json")
    logs = OUTPUT / "logs/image-pypy"
    native = next(logs.glob("*-native-code.log")).read_text()
    assert native.count("cffi ") == 4
    assert {"uses nvx", "bjdata is not for PyPy"} <= set(native.splitlines())
    assert next(logs.glob("*-contracts.log")).read_text() == "xbr True True\n"


def test_what_was_made_is_not_made_again(made: dict[str, Any]) -> None:
    before = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    done = elpack("image", "build", *STANDIN, "--flavour", "pypy", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    image = json.loads(done.stdout)[ARCHIVE.name]
    assert image["cached"]
    assert (image["index"], hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()) == (made["index"], before)
