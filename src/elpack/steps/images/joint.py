"""Images of all architectures of a target in one archive, with the index that a registry has under their tag.

They lie in results of their own, dist/<target>/all/, whose manifest is signed as any other.
"""

from __future__ import annotations

import io
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack import __version__
from elpack.errors import ImageError, Problem
from elpack.images.oci import INDEX, LAYOUT, Descriptor, digest_of, index_text
from elpack.listed import ALL, IMAGES, Manifest
from elpack.manifest import (
    MANIFEST,
    deviations,
    drop_index,
    finished,
    list_files,
    read_manifest,
    write_index,
    write_json,
)
from elpack.pieces import as_file
from elpack.steps.alone import remove
from elpack.steps.exchange import exchanged, link_or_copy
from elpack.steps.images.archive import Archive, index_of
from elpack.steps.images.ready import Wanted, ready_images
from elpack.steps.images.subjects import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from elpack.images.oci import OciDigest
    from elpack.session import Session
    from elpack.steps.images.ready import Ready
    from elpack.steps.sign import Signer

_AGAIN = "elpack image index"


@dataclass(frozen=True, slots=True)
class Joined:
    """An image of several platforms in one archive.

    archive: ``images/<application>-<tag>.oci.tar`` below dist/<target>/all. index: what the tag leads to, in a registry
    too. platforms: the digest of each one's manifest, which is that of its own archive. size: bytes. cached: it had
    been made before.
    """

    target: str
    tag: str
    archive: Path
    index: OciDigest
    platforms: Mapping[str, OciDigest]
    size: int
    cached: bool


def join_images(
    dist: Path, images: Sequence[Ready], signer: Signer, say: Callable[[str], None] = lambda _: None
) -> tuple[Joined, ...]:
    """Write one archive of each image of several architectures, with all its platforms, and return them in order.

    The caller holds the workspace. signer: the one who signed the results. The archive's bytes hang on the images
    alone. Raises `ImageError` for images that do not belong together, or that another key than the signer's belongs to.
    """
    several = [image for image in images if len(image.folders) > 1]
    if not several:
        why = "what lies in dist/<target>/<architecture>/images is the whole image already"
        raise ImageError(Problem("no image is of more than one architecture", str(dist), why))
    by_target: dict[str, list[Ready]] = defaultdict(list)
    for image in several:
        by_target[image.target].append(image)
    problems = [problem for found in by_target.values() for problem in _misfits(found, signer)]
    if problems:
        raise ImageError(*problems)
    made = {target: _joined(dist, target, found, signer, say) for target, found in by_target.items()}
    return tuple(_told(made[one.target][0], one, cached=made[one.target][1]) for one in several)


def join_built(session: Session, say: Callable[[str], None] = lambda _: None) -> tuple[Joined, ...]:
    """Put together what images of the session's target all architectures have; see `join_images`. None without a key.

    A flavour that an earlier run made for one architecture alone is left out.
    """
    if session.signer is None:
        return ()
    dist, wanted = session.workspace.dist, Wanted(session.target.name, whole=True)
    images = ready_images(dist, session.project.release, wanted, snapshot=True)
    return join_images(dist, images, session.signer, say)


def stale(folder: Path) -> Iterator[Problem]:
    """Yield in what images of all architectures are not those that lie beside them, as far as any do.

    folder: dist/<target>/all. Raises `ImageError` for what cannot be read.
    """
    own = read_manifest(folder, ImageError)
    beside = {
        path: read_manifest(path, ImageError) for path in finished(folder.parent.parent) if _is_beside(folder, path)
    }
    paths = sorted(path for path in (folder / IMAGES).glob(f"*{SUFFIX}") if path.is_file())
    archives = {path.name: Archive(path) for path in paths}
    for path, listed in beside.items():
        where = f"{ALL}: {path.name}"
        if (listed.fingerprint, listed.version) != (own.fingerprint, own.version):
            yield Problem("the results beside it are of another version, or signed by another key", where, fix=_AGAIN)
        for name, archive in archives.items():
            single = path / IMAGES / name
            there = {one.descriptor.digest for one in archive.images}
            if not single.is_file() or any(one.descriptor.digest not in there for one in Archive(single).images):
                yield Problem(f"{name} is not made of the image that lies beside it", where, fix=_AGAIN)


def pushed_digest(session: Session, archive: Archive) -> OciDigest:
    """Return what the tag of an image in the session's results leads to in a registry: its index, of all platforms.

    The images of other architectures count as far as they lie in dist/ under the same name.
    """
    folder = session.output.parent
    paths = sorted(folder.glob(f"*/{IMAGES}/{archive.path.name}")) if session.output.name != session.layout else []
    others = [path for path in paths if path.parents[1].name != ALL]
    return digest_of(index_of([Archive(path) for path in others])) if len(others) > 1 else archive.digest


def drop_stale(dist: Path) -> None:
    """Remove images of all architectures that are not made of what lies beside them by now; the index is the caller's.

    `elpack image index` makes them anew.
    """
    for path in sorted(dist.glob(f"*/{ALL}/{MANIFEST}")):
        try:
            wrong = any(stale(path.parent))
        except ImageError:
            wrong = True
        if wrong:
            remove(path.parent)


def write_joint(archives: Sequence[Archive], into: Path) -> None:
    """Write one OCI archive with the images of several. Raises `ImageError` when a blob is not what its name says."""
    index = index_of(archives)
    small = {digest_of(index): index}
    large = {}
    for archive in archives:
        for image in archive.images:
            small[image.descriptor.digest] = image.manifest
            large.update({blob.digest: (blob, archive) for blob in image.blobs})
    top = index_text([Descriptor(INDEX, digest_of(index), len(index))])
    with tarfile.open(into, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("oci-layout", LAYOUT.encode()), ("index.json", top)):
            tar.addfile(_info(name, len(content)), io.BytesIO(content))
        for name in ("blobs", "blobs/sha256"):
            tar.addfile(_info(name, kind=tarfile.DIRTYPE))
        for digest in sorted({*small, *large}):
            name = f"blobs/{digest.replace(':', '/')}"
            if digest in small:
                tar.addfile(_info(name, len(small[digest])), io.BytesIO(small[digest]))
            else:
                blob, archive = large[digest]
                with as_file(archive.pieces(blob)) as pieces:
                    tar.addfile(_info(name, blob.size), pieces)
                    pieces.read()  # to the end, where the digest is judged


def _info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = size, kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
    return info


def _misfits(images: Sequence[Ready], signer: Signer) -> Iterator[Problem]:
    """Yield what keeps the images of one target from being handed over together."""
    results = dict(found for image in images for found in image.folders.values())
    if len({(one.version, one.layout, one.python) for one in results.values()}) > 1:
        lines = ", ".join(f"{path}: {one.version} {one.layout} {one.python}" for path, one in results.items())
        yield Problem(f"the results do not belong together: {lines}", fix="elpack image build, for each architecture")
    for path, one in results.items():
        if one.fingerprint != signer.key.fingerprint:
            what = f"{one.fingerprint} signed these results, and {signer.key.fingerprint} would sign them together"
            yield Problem(what, str(path), fix="elpack sign; or name that key in [signing] of elpack.toml")


def _joined(
    dist: Path, target: str, images: Sequence[Ready], signer: Signer, say: Callable[[str], None]
) -> tuple[Path, bool]:
    """Return the folder with images of all architectures, and whether they were there."""
    folder = dist / target / ALL
    if _is_there(folder, images):
        return folder, True
    _, (path, listed) = min(images[0].folders.items())
    with exchanged(folder) as stage:
        (stage / IMAGES).mkdir()
        for image in images:
            say(image.tag)
            write_joint([Archive(one) for one in image.archives], stage / IMAGES / f"{image.stem}{SUFFIX}")
        for key in sorted((path / IMAGES).glob("*.pub")):
            link_or_copy(key, stage / IMAGES / key.name)
        (stage / f"RPM-GPG-KEY-{listed.release}").write_text(signer.public_keys())
        whole = Manifest(
            *(__version__, listed.release, listed.version, listed.layout, target, listed.python, ALL),
            standin=listed.standin,
            files=tuple(list_files(stage, {}, signed=True)),
            fingerprint=signer.key.fingerprint,
            throwaway=signer.throwaway,
        )
        write_json(stage / MANIFEST, whole.as_json())
        signer.file(stage / MANIFEST)
        drop_index(dist)
    write_index(dist)
    return folder, False


def _is_there(folder: Path, images: Sequence[Ready]) -> bool:
    """Tell whether just these images are there, as they were made."""
    try:
        listed = read_manifest(folder, ImageError)
        names = {file.path for file in listed.files if file.kind == "image"}
        wanted = {f"{IMAGES}/{image.stem}{SUFFIX}" for image in images}
        if names != wanted or any(deviations(folder, listed)) or any(stale(folder)):
            return False
        made = [Archive(folder / IMAGES / f"{image.stem}{SUFFIX}").index for image in images]
        return made == [index_of([Archive(path) for path in image.archives]) for image in images]
    except ImageError:
        return False


def _told(folder: Path, image: Ready, *, cached: bool) -> Joined:
    path = folder / IMAGES / f"{image.stem}{SUFFIX}"
    archive = Archive(path)
    platforms = {str(one.descriptor.platform): one.descriptor.digest for one in archive.images}
    return Joined(image.target, image.tag, path, archive.digest, platforms, path.stat().st_size, cached)


def _is_beside(folder: Path, other: Path) -> bool:
    """Tell whether a folder holds the results of one architecture of the same target."""
    return other.parent == folder.parent and other != folder
