"""``images``: how large the images are, and how long they take, beside an image of the usual form upon the same base.

The peer is the plain Containerfile: from the base, uv and the application's source, ``uv sync``, the entry point.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uv

from benchmarks.measure import Cost, progress, run
from benchmarks.project import Settings, planned
from benchmarks.table import Table
from elpack.engine import engine
from elpack.images.model import Flavour
from elpack.steps.images.archive import Archive
from elpack.steps.images.base import base_image

if TYPE_CHECKING:
    from elpack.engine import Engine
    from elpack.images.oci import Descriptor
    from elpack.session import Session
    from elpack.steps.images.base import BaseImage

CONTAINERFILE = """\
FROM --platform={platform} {base}
COPY uv /usr/local/bin/uv
COPY source /src
WORKDIR /src
ENV UV_CACHE_DIR=/root/.cache/uv UV_OFFLINE=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never
RUN {cache} uv sync --frozen --no-dev --no-editable --python {python}
ENTRYPOINT ["/src/.venv/bin/{command}"]
"""
# What uv fetched lies in its cache, which such an image keeps: it is copied where the network would have put it.
KEPT = "--mount=type=bind,source=cache,target=/cache mkdir -p /root/.cache && cp -a /cache /root/.cache/uv &&"
# By default uv makes links to its cache, which cost an image nothing; many Containerfiles have it copy.
COPIED = f"{KEPT} UV_LINK_MODE=copy"
LENT = "--mount=type=bind,source=cache,target=/cache cp -a /cache /tmp/uv && UV_CACHE_DIR=/tmp/uv"
DROP = " && rm -rf /tmp/uv"
GOALS = {"seed": 0.6, "tree": 1.05, "rebuild": 5.0}


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of an image: its layers as they travel, and as they lie on disk."""

    compressed: int
    uncompressed: int


def run_images(settings: Settings) -> Table:
    columns = (
        "image",
        "MB",
        "vs seed",
        "MB compressed",
        "vs seed, compressed",
        "vs base and tree",
        "cold s",
        "again s",
    )
    table = Table("images", f"images of the release for {settings.target}", columns)
    work = settings.work / "images"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    session = planned(settings, "base")
    progress("images: elpack's own")
    own = {flavour: _built(settings, flavour, work) for flavour in Flavour}
    progress("images: the plain Containerfile")
    context = work / "context"
    context.mkdir()
    # before the engine: its service is a child, and whoever measures waits for all children to end
    tree, plain_tree = _warmed(session, context)
    with engine(settings.workspace, session.runner) as podman:
        base = base_image(session, podman, lambda _: None)
        seeds = {
            "plain Containerfile": _seed(session, podman, base, context, KEPT),
            "plain Containerfile, UV_LINK_MODE=copy": _seed(session, podman, base, context, COPIED),
            "plain Containerfile, without uv's cache": _seed(session, podman, base, context, LENT),
        }
    seed, _ = seeds["plain Containerfile"]
    whole = base.size + tree
    for name, (size, cold) in seeds.items():
        table.rows.append((name, *_row(size, seed, whole), cold, None))
    for flavour, (size, cold, again) in own.items():
        table.rows.append((f"elpack, flavour {flavour}", *_row(size, seed, whole), cold, again))
    name = "elpack image local, one line of the application changed"
    table.rows.append((name, *(None,) * 6, _changed(settings, work)))
    table.notes += [
        f"base {_mb(base.size):.1f} MB; tree {_mb(tree):.1f} MB with byte code, {_mb(plain_tree):.1f} MB without",
        f"goals: {GOALS['seed']} of the plain Containerfile's size, {GOALS['tree']} of base and tree",
        f"goal after a change of one line: {GOALS['rebuild']:.0f} s",
        "cold: RPMs are built and files fetched, no image is; the plain Containerfile has uv's cache as well",
        "again: nothing changed",
    ]
    return table


def _row(size: Size, seed: Size, whole: int) -> tuple[float, float, float, float, float]:
    return (
        *(_mb(size.uncompressed), size.uncompressed / seed.uncompressed),
        *(_mb(size.compressed), size.compressed / seed.compressed),
        size.uncompressed / whole,
    )


def _mb(size: int) -> float:
    return size / 1e6


def _elpack(settings: Settings, verb: str, file: Path, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Run `elpack image`; return its wall seconds, and what it tells of the images by their file names."""
    options = ("--json", "--target", settings.target, "--work", str(settings.workspace.work))
    cost, text = _run("image", verb, "--file", str(file), *options, *arguments)
    return cost.wall, json.loads(text[text.index("{\n") :])


def _run(*arguments: str) -> tuple[Cost, str]:
    cost, code, text = run((sys.executable, "-m", "elpack", *arguments))
    if code != 0:
        raise SystemExit(f"elpack {' '.join(arguments[:2])} ended with {code}\n{text[-2000:]}")
    progress(
        f"images: elpack {' '.join(arguments[:2])} took {cost.cpu:.1f} s of CPU and {cost.wall:.1f} s of wall time"
    )
    return cost, text


def _built(settings: Settings, flavour: Flavour, work: Path) -> tuple[Size, float, float]:
    """Make an image cold, then once more; return its size and both times."""
    dist = work / "dist"
    options = ("--flavour", flavour, "--dist", str(dist))
    # what was made before, and layers; the base stays, as do downloads
    for folder in ("images/made", "images/uv", "containers/layers", "rpm-root"):
        shutil.rmtree(settings.workspace.work / folder, ignore_errors=True)
    cold, told = _elpack(settings, "build", settings.file, *options)
    again, _ = _elpack(settings, "build", settings.file, *options)
    (one,) = (one for one in told.values() if one["flavour"] == flavour)
    (archive,) = dist.rglob(Path(one["path"]).name)
    return size_of(archive), cold, again


def size_of(path: Path) -> Size:
    """Return the size of the one image in an OCI archive."""
    archive = Archive(path)
    (image,) = archive.images
    layers = image.blobs[1:]
    return Size(sum(layer.size for layer in layers), sum(_unpacked(archive, layer) for layer in layers))


def _unpacked(archive: Archive, layer: Descriptor) -> int:
    if not layer.media_type.endswith("gzip"):
        return layer.size
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    return sum(len(unpacker.decompress(piece)) for piece in archive.pieces(layer))


def _source(session: Session, into: Path) -> Path:
    """Unpack the application's sdist."""
    name = session.project.release.application.name
    package = next(one for one in session.plan.packages if one.dist == name and one.role.at_run_time)
    sdist = session.gathered.paths[package.sources[0].sha256]
    (into / "unpacked").mkdir(parents=True)
    subprocess.run(("tar", "--extract", "--file", sdist, "--directory", into / "unpacked"), check=True)
    (tree,) = (into / "unpacked").iterdir()
    return tree.rename(into / "source")


def _warmed(session: Session, context: Path) -> tuple[int, int]:
    """Fill uv's cache, which the image is made from; return the tree's bytes with and without byte code."""
    source = _source(session, context)
    shutil.copy(uv.find_uv_bin(), context / "uv")
    env = {**os.environ, "UV_CACHE_DIR": str(context / "cache"), "UV_LINK_MODE": "copy"}
    command = [str(context / "uv"), "sync", "--frozen", "--no-dev", "--no-editable", "--project", str(source)]
    command += ["--python", session.target.python, "--compile-bytecode"]
    _, code, text = run(command, env=env, timeout=900)
    if code != 0:
        raise SystemExit(f"uv sync ended with {code}\n{text[-2000:]}")
    files = [path for path in (source / ".venv").rglob("*") if path.is_file() and not path.is_symlink()]
    whole = sum(path.stat().st_size for path in files)
    without = sum(path.stat().st_size for path in files if path.suffix != ".pyc")
    shutil.rmtree(source / ".venv")
    return whole, without


def _seed(session: Session, podman: Engine, base: BaseImage, context: Path, cache: str) -> tuple[Size, float]:
    text = CONTAINERFILE.format(
        platform="linux/amd64",
        base=base.reference,
        cache=cache,
        python=base.python,
        command=session.project.release.application.expose[0],
    )
    if cache == LENT:
        text = text.replace(f"--python {base.python}\n", f"--python {base.python}{DROP}\n")
    work = context.parent
    file, archive, log = work / "Containerfile", work / "seed.oci.tar", work / "seed.log"
    file.write_text(text)
    start = time.monotonic()
    image = podman.build(context, file, platform="linux/amd64", timestamp=0, progress=lambda _: None, log=log)
    seconds = time.monotonic() - start
    podman.save(image, archive)
    size = size_of(archive)
    archive.unlink()
    podman.remove(image)
    return size, seconds


def _changed(settings: Settings, work: Path) -> float:
    """Change one line of the application in a checkout, and return how long its image takes then."""
    project = work / "project"
    project.mkdir()
    for name in ("elpack.toml", "pylock.build.toml"):
        shutil.copy(settings.file.parent / name, project)
    for name in ("specs", "containers"):
        if (settings.file.parent / name).is_dir():
            shutil.copytree(settings.file.parent / name, project / name)
    checkout = shutil.copytree(work / "context" / "source", work / "crossbar", symlinks=True)
    parents = (checkout, checkout / "src")
    module = next(path for parent in parents for path in sorted(parent.glob("*/__init__.py")))
    file = project / "elpack.toml"
    # the build lock names what says how the checkout is built, which is not the sdist's digest
    _run("lock", "--file", str(file))
    seconds = []
    for number in range(3):
        # the first time fetches what its backend needs, which does not count
        module.write_text(f"{module.read_text()}\n# changed {number}\n")
        seconds.append(_elpack(settings, "local", file)[0])
    return min(seconds[1:])
