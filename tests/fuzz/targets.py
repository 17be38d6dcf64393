"""What is fuzzed: functions that take bytes, and what each may raise beside `ElpackError`. All else is a finding."""

from __future__ import annotations

import io
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.licenses import InvalidLicenseExpression
from tests.fuzz import seeds
from tests.hostile.corpus import harmless

from elpack import escape, licences, requirements, strict
from elpack.archives import Limits, extract_sdist, read_sdist, read_wheel
from elpack.archives.members import Refusals
from elpack.archives.metadata import parse_entry_points, parse_metadata
from elpack.buildlock import build_requirements, read_build_lock
from elpack.changelog import parse_changelog
from elpack.config import parse_release
from elpack.errors import ElpackError
from elpack.fetch.index import _remote_file
from elpack.freshness import check_fresh
from elpack.licence_texts import recognise
from elpack.listed import parse_manifest
from elpack.lockfile import parse_uv_lock
from elpack.model import Sha256
from elpack.naming import dist_name, parse_version, rpm_name, rpm_version
from elpack.overrides import parse_overrides
from elpack.plain import plain
from elpack.plan.policy import best_wheel, target_tags
from elpack.selection import select
from elpack.targets import TargetChoice, resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = Sha256("0" * 64)
SMALL = Limits(total=1 << 22, members=500, ratio_from=1 << 20, text=1 << 18)
TARGET = resolve_target(TargetChoice("el9", "3.12", ("x86_64",)), "x86_64")
RANKS = target_tags(TARGET)


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """One target: a function of bytes, inputs to begin with, and the errors that are its answer to nonsense."""

    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    allowed: tuple[type[Exception], ...] = ()

    def __call__(self, data: bytes) -> None:
        """Run it; what it may not raise gets out."""
        with suppress(ElpackError, *self.allowed):
            self.run(data)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _uv_lock(data: bytes) -> None:
    lock = parse_uv_lock(_text(data), "uv.lock")
    for dist in lock.dists:
        best_wheel(dist.wheels, RANKS)
    for dist in lock.dists[:3]:
        with suppress(ElpackError):
            check_fresh(lock, dist.name, ("lib>=1",), {"x": ("lib[y]",)})
        select(lock, dist.name, TARGET, dist.extras)


def _build_lock(data: bytes) -> None:
    build_requirements(_text(data), "pylock")
    read_build_lock(_text(data), "pylock", TARGET)


def _archive(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        if name.endswith(".whl"):
            read_wheel(path, DIGEST, limits=SMALL)
            return
        read_sdist(path, DIGEST, limits=SMALL)
        into = Path(folder, "into")
        into.mkdir()
        extract_sdist(path, into, limits=SMALL)
        assert {entry.name for entry in Path(folder).iterdir()} == {name, "into"}, "something was written outside"


def _member(name: str, data: bytes) -> None:
    """Put a file into a wheel that is sound beside it."""
    files = seeds.WHEEL_FILES | {"lib-1.0.dist-info/RECORD": seeds.RECORDS[0], f"lib-1.0.dist-info/{name}": data}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    _archive("lib-1.0-py3-none-any.whl", out.getvalue())


def _metadata(data: bytes) -> None:
    refusals = Refusals("x")
    found = parse_metadata(data, "METADATA", refusals)
    refusals.check()
    licences.licence_of(found, None)
    escape.summary_line(found.summary, found.name, 79)
    escape.safe_url(found.home_page)
    for extra in ("", "x"):
        for requirement in requirements.applicable(found.requires_dist, TARGET.marker_environment(), extra):
            with suppress(ValueError):
                requirements.rpm_requirements(requirement, "3.12")


def _requirement(data: bytes) -> None:
    requirement = strict.requirement(_text(data))
    requirements.holds(requirement, TARGET.marker_environment(), "x")
    for text in requirements.rpm_requirements(requirement, "3.12"):
        assert "\n" not in escape.for_spec(text)


def _names(data: bytes) -> None:
    text = _text(data)
    for parse in (dist_name, rpm_name):
        with suppress(ValueError):
            escape.word(parse(text))
    version = rpm_version(parse_version(text))
    assert set(version) <= set("0123456789abcdefghijklmnopqrstuvwxyz.~^"), version


def _escape(data: bytes) -> None:
    text = _text(data)
    for limit in (1, 79, 300):
        assert len(escape.one_line(text, limit)) <= limit
    assert all(map(harmless, plain(text)))
    assert "\n" not in escape.summary_line(text, "a-lib", 79)
    for function in (escape.for_spec, escape.word, escape.absolute, escape.quoted_pattern, escape.pattern):
        with suppress(ValueError):
            assert "\n" not in function(text)
    escape.comment(escape.one_line(text, 500))
    assert not [line for line in escape.paragraph(escape.one_line(text, 500)).split("\n") if line.startswith("%")]


def _index(data: bytes) -> None:
    for entry in strict.json_value(data)["files"]:
        _remote_file("https://pypi.org/simple/lib/", entry)


TARGETS: dict[str, Fuzzed] = {
    "uv-lock": Fuzzed(_uv_lock, seeds.UV_LOCKS),
    "build-lock": Fuzzed(_build_lock, seeds.BUILD_LOCKS),
    "release": Fuzzed(lambda data: parse_release(_text(data)), seeds.RELEASES),
    "override": Fuzzed(lambda data: parse_overrides({"specs/overrides/lib.toml": _text(data)}), seeds.OVERRIDES),
    "changelog": Fuzzed(lambda data: parse_changelog(_text(data), "changelog.toml"), seeds.CHANGELOGS),
    "wheel": Fuzzed(lambda data: _archive("lib-1.0-py3-none-any.whl", data), seeds.WHEELS),
    "wheel-record": Fuzzed(lambda data: _member("RECORD", data), seeds.RECORDS),
    "wheel-tags": Fuzzed(lambda data: _member("WHEEL", data), (seeds.WHEEL_FILES["lib-1.0.dist-info/WHEEL"],)),
    "sdist": Fuzzed(lambda data: _archive("app-1.0.tar.gz", data), seeds.SDISTS),
    "tar": Fuzzed(lambda data: _archive("app-1.0.tar.gz", seeds.packed(data)), seeds.TARS),
    "pyproject": Fuzzed(lambda data: _archive("app-1.0.tar.gz", seeds.sdist_with(data)), seeds.PYPROJECTS),
    "metadata": Fuzzed(_metadata, seeds.METADATA),
    "entry-points": Fuzzed(lambda data: parse_entry_points(_text(data), "e", Refusals("x")), seeds.ENTRY_POINTS),
    "names": Fuzzed(_names, seeds.NAMES, (ValueError,)),
    "requirement": Fuzzed(_requirement, seeds.REQUIREMENTS, (ValueError,)),
    "licence": Fuzzed(lambda data: licences.spdx(_text(data)), seeds.LICENCES, (ValueError, InvalidLicenseExpression)),
    "licence-text": Fuzzed(lambda data: recognise(_text(data)), seeds.LICENCE_TEXTS),
    "escape": Fuzzed(_escape, seeds.TEXTS, (ValueError,)),
    "manifest": Fuzzed(parse_manifest, seeds.MANIFESTS, (ValueError,)),
    "index": Fuzzed(_index, seeds.INDEXES, (ValueError, KeyError, TypeError, AttributeError, OverflowError)),
}
"""By name. The last one's errors are what `fetch_simple` turns into one of its own."""
