"""The export of a lock: what `packaging` reads in it is what was selected, file by file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import Pylock

from elpack.lockfile import parse_uv_lock
from elpack.model import RemoteFile, Sha256
from elpack.naming import dist_name
from elpack.pylock import pylock_text
from elpack.selection import select

if TYPE_CHECKING:
    from elpack.model import SelectedDist, Target

LOCKS = Path(__file__).parents[1] / "data" / "locks"


def dists(target: Target) -> tuple[SelectedDist, ...]:
    path = next((LOCKS / "web").glob("**/uv.lock"))
    found = select(parse_uv_lock(path.read_text(), path.name), dist_name("web-shop"), target).dists
    return tuple(dist for dist in found if dist.name != "web-shop")


def read(text: str) -> Pylock:
    lock = Pylock.from_dict(tomllib.loads(text))
    lock.validate()
    return lock


def test_every_file_with_its_hash_and_every_edge(el9_target: Target) -> None:
    selected = dists(el9_target)
    lock = read(pylock_text("web-shop 1", "ab", el9_target, selected, (), {}))
    assert [package.name for package in lock.packages] == sorted(dist.name for dist in selected)
    for package, dist in zip(lock.packages, selected, strict=True):
        files = [file for file in (package.sdist, *(package.wheels or ())) if file]
        locked = [file for file in (dist.sdist, *dist.wheels) if file]
        assert [(file.url, file.hashes, file.size) for file in files] == [
            (file.url, {"sha256": file.sha256}, file.size) for file in locked
        ]
        assert [edge["name"] for edge in package.dependencies or ()] == list(dist.requires)
        assert package.version == dist.version


def test_it_is_for_its_target_alone(el9_targets: list[Target]) -> None:
    for target in el9_targets:
        lock = read(pylock_text("web-shop 1", "ab", target, dists(target), (), {}))
        (marker,) = lock.environments or ()
        fits = [other for other in el9_targets if marker.evaluate({**other.marker_environment()})]
        assert fits == [target]


def test_first_party_dists_come_from_their_source(el9_target: Target) -> None:
    selected = dists(el9_target)
    both = next(dist.name for dist in selected if dist.sdist and dist.wheels)
    wheel_only = next((dist.name for dist in selected if not dist.sdist), None)
    names = [both, *([wheel_only] if wheel_only else [])]
    lock = read(pylock_text("web-shop 1", "ab", el9_target, selected, names, {}))
    assert [package.name for package in lock.packages if not package.wheels and package.name == both] == [both]
    assert all(package.wheels for package in lock.packages if package.name == wheel_only)


def test_what_comes_from_a_checkout_has_a_path(el9_target: Target) -> None:
    dist = dists(el9_target)[0]
    digest = Sha256("ab" * 32)
    ours = type(dist)(
        dist.name, dist.version, frozenset(), (), RemoteFile(f"{dist.name}-{dist.version}.tar.gz", "", digest, 5), (), 0
    )
    lock = read(pylock_text("web-shop 1", "ab", el9_target, [ours], [dist.name], {digest: "../work/a-1.tar.gz"}))
    (package,) = lock.packages
    assert package.sdist is not None
    assert (package.sdist.path, package.sdist.url) == ("../work/a-1.tar.gz", None)


def test_the_order_of_the_input_does_not_matter(el9_target: Target) -> None:
    selected = dists(el9_target)
    texts = [pylock_text("web-shop 1", "ab", el9_target, one, (), {}) for one in (selected, selected[::-1])]
    assert texts[0] == texts[1]
