"""The image of the real release with PyPy, made whole and tried: CFFI and Rust compiled for it, and WAMP spoken."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.test_images import STEM, STEPS
from tests.integration.wamp import OUTPUT, STANDIN, TOOLS, elpack

from elpack.builders.emulation import MACHINE
from elpack.errors import ImageError
from elpack.run import run
from elpack.steps.images.archive import Archive
from elpack.steps.images.looks import Look, look_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.wheels,
    pytest.mark.root,
    pytest.mark.skipif(MACHINE != "x86_64", reason="the lock has no pydantic-core for PyPy elsewhere"),
]

ARCHIVE = OUTPUT / "images" / f"{STEM}-pypy.oci.tar"


LATER = "PyPyModule_FromDefAndSpec2"


@pytest.fixture(scope="module")
def made(needs: Callable[..., None]) -> dict[str, Any]:
    """Make the image, and return what `--json` says of it."""
    needs("podman", "dpkg-deb", *TOOLS)
    done = elpack("image", "build", *STANDIN, "--flavour", "pypy", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    return dict(json.loads(done.stdout)[ARCHIVE.name])


@pytest.fixture(scope="module")
def tried(made: dict[str, Any]) -> dict[str, Any]:
    """Try the image, and return the report of it."""
    assert made
    done = elpack("image", "smoke", "--target", "el9-standin", "--flavour", "pypy", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    (report,) = json.loads(done.stdout)
    return dict(report)


def heard(step: str) -> str:
    """Return what a step of the smoke test said."""
    (log,) = (OUTPUT / "logs/image-pypy").glob(f"*-{step}.log")
    return log.read_text()


def test_it_is_not_half_a_lock(made: dict[str, Any]) -> None:
    assert made["tag"].endswith("-pypy")
    parts = json.loads(ARCHIVE.with_name(f"{STEM}-pypy.cdx.json").read_text())["components"]
    dists = {part["name"] for part in parts if part.get("purl", "").startswith("pkg:pypi/")}
    assert {"blake3", "brotlicffi", "cbor2", "crossbar", "zlmdb"} <= dists
    assert not {"bjdata", "msgpack", "wsaccel"} & dists


def test_it_does_what_its_user_wants(tried: dict[str, Any]) -> None:
    assert [step["name"] for step in tried["steps"]] == STEPS
    assert {step["status"] for step in tried["steps"]} == {"ok"}
    assert not tried["emulated"]
    assert re.search(r"^   Python +: 3\.11\.\S+/PyPy-7\.3\.", heard("version"), re.MULTILINE)
    assert heard("client") == "ok cbor\nok msgpack\nok json\n"


def test_what_is_compiled_for_it_works(tried: dict[str, Any]) -> None:
    assert tried
    native = heard("native-code").splitlines()
    assert sum(line.startswith("cffi ") for line in native) == 4
    assert {"uses nvx", "bjdata is not for PyPy"} <= set(native)
    assert heard("contracts") == "xbr True True\n"


def test_debians_own_pypy_would_be_refused(made: dict[str, Any], tmp_path: Path) -> None:
    assert made
    archive, seen = Archive(ARCHIVE), tmp_path / "seen.json"
    look = Look(frozenset(), (), 2, "/opt/crossbar", seen, run, "the base")
    look_at(archive, archive.images[0], look)
    assert LATER in seen.read_text()
    layers = json.loads(seen.read_text())
    assert len({path for layer in layers.values() for path in layer["symbols"]["asked"]}) > 30
    for layer in layers.values():  # as if Debian's own program were in the base
        layer["symbols"]["given"] = [name for name in layer["symbols"]["given"] if name != LATER]
    seen.write_text(json.dumps(layers))
    with pytest.raises(ImageError, match=f"cryptography 50.0.2 asks for {LATER}, which PyPy 7.3.19 of base") as refused:
        look_at(archive, archive.images[0], look)
    assert len(refused.value.problems) == 1


def test_what_was_made_is_not_made_again(made: dict[str, Any]) -> None:
    before = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    done = elpack("image", "build", *STANDIN, "--flavour", "pypy", "--json")
    assert done.returncode == 0, done.stderr[-6000:]
    image = json.loads(done.stdout)[ARCHIVE.name]
    assert image["cached"]
    assert (image["index"], hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()) == (made["index"], before)
