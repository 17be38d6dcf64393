"""Archives that are pushed: read strictly, whoever made them."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.images.layouts import INDEX, digest_of, make_archive

from elpack.errors import ImageError
from elpack.images.oci import read_annotations
from elpack.steps.images.archive import Archive, index_of

if TYPE_CHECKING:
    from pathlib import Path


def with_index(path: Path, **changes: Any) -> Path:
    """Write an archive whose index has other values."""
    make_archive(path)
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    top = json.loads(files["index.json"])["manifests"][0]
    old = files[f"blobs/{top['digest'].replace(':', '/')}"]
    index = json.dumps({**json.loads(old), **changes}).encode()
    entry = {"mediaType": INDEX, "digest": digest_of(index), "size": len(index)}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    files[f"blobs/{digest_of(index).replace(':', '/')}"] = index
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"annotations": []}, "the index: annotations: expected an object; found list"),
        ({"annotations": {"a": 1}}, "expected text at 'a'"),
        ({"manifests": {}}, "expected manifests as a list"),
        ({"manifests": [7]}, r"the index: manifests\[0\]: expected an object; found 7"),
        ({"schemaVersion": 1}, "expected schemaVersion 2; found 1"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ImageError, match=f"it is no OCI archive that can be pushed: .*{said}") as caught:
        Archive(with_index(tmp_path / "a.tar", **changes))
    assert str(tmp_path / "a.tar") in str(caught.value)


def test_the_index_of_all_platforms_says_what_all_of_them_say(tmp_path: Path) -> None:
    one = Archive(with_index(tmp_path / "a.tar", annotations={"version": "1", "created": "now"}))
    make_archive(tmp_path / "b.tar", arch="arm64")
    other = Archive(tmp_path / "b.tar")
    other.annotations = {"version": "1", "created": "then"}
    assert read_annotations(index_of([one, other]), "") == {"version": "1"}
    assert index_of([one, other]) == index_of([other, one])
    with pytest.raises(ImageError, match="holds an image for linux/amd64, which is in"):
        index_of([one, one])
