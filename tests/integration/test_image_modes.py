"""Where uv works makes no difference: mode `container`, which takes minutes, gives the tree of mode `host`."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.wamp import OUTPUT, STANDIN, elpack

from elpack.steps.images.archive import Archive

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.rebuild, pytest.mark.root]

NAME = "crossbar-26.10.1-1.el9s-uv.oci.tar"
PREFIX = "opt/crossbar/"


def tree(archive: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, owner and content of all below the prefix, and of what belongs to it elsewhere."""
    found = {}
    opened = Archive(archive)
    for blob in opened.images[0].blobs[1:]:
        plain = gzip.decompress(b"".join(opened.pieces(blob)))
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
                found[member.name.strip("/")] = (member.mode & 0o7777, member.uid, content)
    return {path: one for path, one in found.items() if path.startswith((PREFIX, "etc/crossbar", "data", "etc/passwd"))}


def test_mode_container_gives_the_same_tree(images: dict[str, Any], elsewhere: Path) -> None:
    done = elpack("image", "build", *STANDIN, "--flavour", "uv", "--mode", "container", "--json", project=elsewhere)
    assert done.returncode == 0, done.stderr[-6000:]
    made = json.loads(done.stdout)[NAME]
    inside = tree(elsewhere / "dist" / "el9-standin" / "x86_64" / made["path"])
    beside = tree(OUTPUT / images[NAME]["path"])
    assert inside.keys() == beside.keys()
    assert {path for path in inside if inside[path] != beside[path]} == set()
