"""The release file as a whole: one frozen `Release`."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from elpack.changelog import DATED
from elpack.config.builds import Builds, read_builds
from elpack.config.images import read_images
from elpack.config.promises import Promises, read_promises
from elpack.config.publish import Publish, read_publish
from elpack.config.service import read_service, read_smoke
from elpack.config.signing import Signing, read_signing
from elpack.config.system import SystemLayout, read_system
from elpack.config.values import (
    asset_place,
    each,
    file_mode,
    index_url,
    matching,
    one_of,
    packager,
    positive,
    relative_path,
    repository,
)
from elpack.config.wheels import read_wheels
from elpack.errors import ConfigError, Problem
from elpack.model import Layout, Policy, Sha256
from elpack.naming import dist_name, parse_version, rpm_name
from elpack.tables import Table, parse_toml
from elpack.targets import TargetChoice, known_targets, read_target_choice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from elpack.images.model import Images
    from elpack.naming import RpmName
    from elpack.service import Service
    from elpack.smoke import Smoke
    from elpack.wheels.model import Wheels

T = TypeVar("T")

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PREFIX = re.compile(r"/opt/[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_TAG = re.compile(r"(?!-)[!-~]+\Z")


@dataclass(frozen=True, slots=True)
class FirstParty:
    """A dist that is compiled from its own source.

    `path` is a checkout relative to the release file, `git` a repository with `tag`; without either, and when
    the checkout is missing, the sdist comes from the index: by the lock's hash, or by `sha256` if that is set.
    """

    name: NormalizedName
    version: Version | None = None
    sha256: Sha256 | None = None
    path: str = ""
    git: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """What the release exists for. `lock` is the path of its uv.lock inside its source.

    A `library` has no commands of its own to expose, and may have no lock: then it is packaged alone, and what it
    requires is left to the target's repositories.
    """

    name: NormalizedName
    lock: str
    extras: frozenset[NormalizedName]
    rpm: RpmName
    provides: tuple[RpmName, ...]
    expose: tuple[str, ...]
    library: bool = False


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file of the release's own that the application's RPM installs."""

    source: str
    destination: str
    mode: int
    config: bool
    group: str


@dataclass(frozen=True, slots=True)
class Release:
    """What one elpack.toml describes."""

    name: RpmName
    date: dt.date
    revision: int
    packager: str
    layout: Layout
    prefix: str
    index: str
    application: Application
    first_party: tuple[FirstParty, ...]
    targets: tuple[TargetChoice, ...]
    policies: tuple[tuple[NormalizedName, Policy], ...]
    assets: tuple[AssetFile, ...]
    service: Service | None
    smoke: Smoke
    system: SystemLayout | None = None
    promises: Promises = field(default_factory=Promises)
    signing: Signing = field(default_factory=Signing)
    publish: Publish = field(default_factory=Publish)
    builds: Builds = field(default_factory=Builds)
    images: Images | None = None
    """None where the release makes none."""
    wheels: Wheels | None = None
    """None where the release makes none."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Return every layout that the release can be made in, its own first."""
        if self.layout is Layout.SYSTEM:
            return (Layout.SYSTEM,)
        other = Layout.BUNDLE if self.layout is Layout.STACK else Layout.STACK
        return (self.layout, other, *((Layout.SYSTEM,) if self.system else ()))

    def smoke_of(self, layout: Layout) -> Smoke:
        """Return the smoke test of a layout: `[smoke]` is that of the release's own, and of its bundle or stack."""
        if (
            layout is Layout.SYSTEM
            and self.system is not None
            and (self.layout is not layout or self.system.smoke.steps)
        ):
            return self.system.smoke
        return self.smoke

    def system_packages(self) -> tuple[NormalizedName, ...]:
        """Return the dists that layout `system` is for."""
        if self.system is not None and self.system.packages:
            return self.system.packages
        own = self.first_party_names()
        return (
            (self.application.name,) if self.layout is Layout.SYSTEM else tuple(sorted(own - {self.application.name}))
        )

    def system_extras(self, name: NormalizedName) -> tuple[NormalizedName, ...]:
        """Return the extras of a dist that get a metapackage."""
        return self.system.extras.get(name, ()) if self.system else ()

    @property
    def index_is_local(self) -> bool:
        """Tell whether the index runs on this very host; then plain http is no risk, and locks may name it as well."""
        return self.index.startswith("http://")

    def first_party_names(self) -> frozenset[NormalizedName]:
        """Return the names of all dists that are compiled from their own source."""
        return frozenset(dist.name for dist in self.first_party)


def parse_release(text: str, file: str = "elpack.toml") -> Release:
    """Read a release file. Raises `ConfigError` that holds every mistake, each with file and key."""
    try:
        root = parse_toml(file, text)
    except ValueError as error:
        raise ConfigError(Problem(str(error), where=file)) from error
    release = _release(root)
    root.done()
    if root.problems:
        raise ConfigError(*sorted(root.problems, key=lambda problem: problem.where))
    return release


def _release(root: Table) -> Release:
    head = root.table("release")
    name = head.parsed("name", rpm_name)
    layout = Layout(head.parsed("layout", one_of(tuple(Layout)), Layout.STACK) or Layout.STACK)
    service = read_service(root.table("service"))
    release = Release(
        name=name or rpm_name("unnamed"),
        date=head.get("date", dt.date),
        revision=positive(head, "revision", 1),
        packager=head.parsed("packager", packager) or "",
        layout=layout,
        prefix=head.parsed("prefix", matching(_PREFIX, "/opt/<name>"), f"/opt/{name}") or "",
        index=head.parsed("index", index_url, "https://pypi.org/simple/") or "",
        application=_library(root) if root.has("library") else _application(root.table("application")),
        first_party=_first_party(root.table("first-party")),
        targets=_targets(root.table("targets")),
        policies=_policies(root.table("policy")),
        assets=tuple(_asset(table) for table in root.tables("asset")),
        service=service,
        smoke=read_smoke(root.table("smoke")),
        system=read_system(root.table("system")) if root.has("system") else None,
        promises=read_promises(root.table("promises")),
        signing=read_signing(root.table("signing")),
        publish=read_publish(root.table("publish")),
        builds=read_builds(root.table("builds")),
        images=read_images(root.table("images"), service) if root.has("images") else None,
        wheels=read_wheels(root.table("wheels")) if root.has("wheels") else None,
    )
    head.done()
    _check_subject(root, release)
    if type(head.values.get("date")) is dt.date and release.date.year not in DATED:
        head.problem("date", f"expected a year from {DATED[0]} to {DATED[-1]}, found {release.date}")
    _check_destinations(root, release)
    return release


def _check_subject(root: Table, release: Release) -> None:
    """Note what does not fit together about the application or library and the other packages named."""
    own = release.first_party_names()
    subject = "library" if release.application.library else "application"
    table = root.values.get(subject)
    named = isinstance(table, dict) and isinstance(table.get("name"), str)
    if named and release.application.name not in own:
        root.problem(f"{subject}.name", f"{release.application.name} has no entry under [first-party]")
    if release.application.library and root.has("application"):
        root.problem("library", "a release is for an application or for a library", fix="keep one of the two tables")
    for key in ("asset", "service", "images"):
        if release.application.library and root.has(key):
            root.problem(key, "only an application brings this", fix="leave it out")
    if release.application.library and release.layout is not Layout.SYSTEM:
        root.problem("release.layout", "a library is for everybody's Python", fix='layout = "system"')
    if release.smoke.service and release.service is None and not root.has("service"):
        root.problem("smoke.service", "the release has no [service] to try them with", fix="leave it out")
    if release.images is not None and not root.problems:
        for key, what in release.images.mistakes(release.smoke):
            root.problem(f"images.{key}", what)
        _check_volume(root, release, PurePosixPath(release.images.data))
    _check_known(root, "wheels.packages", release.wheels.packages if release.wheels else (), own)
    if release.system is not None:
        _check_system(root, release, release.system)


def _check_known(root: Table, key: str, names: Iterable[NormalizedName], own: frozenset[NormalizedName]) -> None:
    for name in names:
        if name not in own:
            root.problem(key, f"{name} has no entry under [first-party]")


def _check_volume(root: Table, release: Release, data: PurePosixPath) -> None:
    fix = 'data = "/data"'
    for place in (release.prefix, *(asset.destination for asset in release.assets)):
        if PurePosixPath(place).is_relative_to(data):
            root.problem("images.data", f"'{data}' would hide {place}", fix=fix)
    if data.is_relative_to(release.prefix) and str(data) != release.prefix:
        root.problem("images.data", f"it is below the prefix, {release.prefix}", fix=fix)


def _check_system(root: Table, release: Release, system: SystemLayout) -> None:
    own, subject = release.first_party_names(), release.application.name
    for key, names in (("packages", system.packages), ("extras", tuple(system.extras))):
        if release.layout is not Layout.SYSTEM and subject in names:
            what = f"{subject} is the application of this release, whose layout is {release.layout}"
            root.problem(f"system.{key}", what, fix='give it a release of its own, with layout = "system"')
        _check_known(root, f"system.{key}", names, own)


def _library(root: Table) -> Application:
    table = root.table("library")
    name = table.parsed("name", dist_name) or dist_name("unnamed")
    lock = table.parsed("lock", relative_path) or "" if table.has("lock") else ""
    table.done()
    return Application(name, lock, frozenset(), rpm_name(str(name)), (), (), library=True)


def _check_destinations(root: Table, release: Release) -> None:
    taken = {f"/usr/bin/{name}": "application.expose" for name in release.application.expose}
    for position, asset in enumerate(release.assets):
        key = f"asset[{position}].destination"
        if asset.destination in taken:
            root.problem(key, f"{asset.destination} is also that of {taken[asset.destination]}")
        elif asset.destination:
            taken[asset.destination] = key


def _application(table: Table) -> Application:
    name = table.parsed("name", dist_name) or dist_name("unnamed")
    application = Application(
        name=name,
        lock=table.parsed("lock", relative_path, "uv.lock") or "",
        extras=frozenset(each(table, "extras", dist_name)),
        rpm=table.parsed("rpm", _application_rpm, str(name)) or rpm_name("unnamed"),
        provides=tuple(each(table, "provides", rpm_name)),
        expose=tuple(each(table, "expose", matching(_COMMAND, "a command's name"))),
    )
    table.done()
    return application


def _first_party(table: Table) -> tuple[FirstParty, ...]:
    found: dict[NormalizedName, FirstParty] = {}
    for key, entry in table.named_tables():
        dist = _one_first_party(key, entry)
        if dist.name in found:
            entry.problem("", f"{dist.name} is there twice, in two spellings")
        found[dist.name] = dist
    return tuple(found[name] for name in sorted(found))


def _one_first_party(name: str, table: Table) -> FirstParty:
    try:
        normalised = dist_name(name)
    except ValueError as error:
        table.problem("", str(error))
        normalised = dist_name("unnamed")
    dist = FirstParty(
        name=normalised,
        version=table.parsed("version", parse_version) if table.has("version") else None,
        sha256=Sha256(table.parsed("sha256", matching(_SHA256, "64 hexadecimal digits")) or "")
        if table.has("sha256")
        else None,
        path=table.get("path", str, ""),
        git=table.parsed("git", repository, "") or "" if table.has("git") else "",
        tag=table.parsed("tag", matching(_TAG, "a tag's name"), "") or "" if table.has("tag") else "",
    )
    if bool(dist.git) != bool(dist.tag):
        table.problem("git", "git and tag belong together")
    if dist.git and dist.path:
        table.problem("path", "a source is either a path or a git tag, not both")
    table.done()
    return dist


def _targets(table: Table) -> tuple[TargetChoice, ...]:
    choices = []
    for name, entry in table.named_tables():
        if name not in known_targets():
            entry.problem("", "unknown target", fix=f"known targets: {', '.join(known_targets())}")
            continue
        choices.append(read_target_choice(name, entry))
        entry.done()
    if not table.values:
        table.problem("", "no target is named", fix="add [targets.el9]")
    return tuple(choices)


def _policies(table: Table) -> tuple[tuple[NormalizedName, Policy], ...]:
    policies = {}
    for key in table.values:
        policy = table.parsed(key, _policy)
        try:
            name = dist_name(key)
        except ValueError as error:
            table.problem(key, str(error))
            continue
        if policy is not None:
            policies[name] = policy
    return tuple(sorted(policies.items()))


def _asset(table: Table) -> AssetFile:
    asset = AssetFile(
        source=table.parsed("source", relative_path) or "",
        destination=table.parsed("destination", asset_place) or "",
        mode=int(table.parsed("mode", file_mode, "0644") or 0),
        config=table.get("config", bool, False),
        group=table.parsed("group", matching(_GROUP, "a group's name"), "root") or "root",
    )
    table.done()
    return asset


def _policy(text: str) -> Policy:
    return Policy(one_of((Policy.SDIST,))(text))


def _application_rpm(text: str) -> RpmName:
    if text.startswith("python3-"):
        raise ValueError(f"{text!r} has a meaning to EL9's macros; make it one of application.provides instead")
    return rpm_name(text)
