"""What an image says of itself: its name, the annotations of the OCI specification, and how its health is asked for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.errors import ImageError, Problem
from elpack.escape import one_line, safe_url
from elpack.images.root import seconds
from elpack.licences import all_of
from elpack.plan.model import Role

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from elpack.config import Release
    from elpack.images.model import Flavour, Images
    from elpack.plan.model import Package, Plan

HEALTH = "io.elpack.health"
"""The label with the argument vector, as JSON, that ends with 0 while all is well. OCI has no field for it."""
INTERPRETER = "io.elpack.interpreter"
"""The label and annotation that says which Python runs the application, where it is not the target's own."""
_STANDIN = "io.elpack.standin"
_PREFIX = "org.opencontainers.image."
PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
"""What engines call architectures."""
_LONGEST = 4000
_NOT_IN_A_TAG = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_EVR = 120
"""A tag has up to 128 characters, and the flavour follows."""


def platform_of(arch: str) -> str:
    """Return what engines call an architecture: ``linux/amd64`` for x86_64."""
    return PLATFORMS[arch]


def stem_of(application: str, tag: str) -> str:
    """Return how the names of the files of an image begin."""
    return f"{application}-{tag}"


def tag_of(application: str, stem: str) -> str:
    """Return the tag of an image whose files' names begin like that. Raises `ImageError` for another application's."""
    if not stem.startswith(prefix := stem_of(application, "")):
        raise ImageError(Problem(f"its name does not begin with {prefix}", stem, fix="elpack image build"))
    return stem.removeprefix(prefix)


@dataclass(frozen=True, slots=True)
class About:
    """What all images of one release for one target say. name: the application's; evr: version-release of its RPM.

    revision: ``sha256:`` and the digest of the source that the application was made of. interpreter: where it is not
    the target's own.
    """

    name: str
    evr: str
    title: str
    description: str
    source: str
    documentation: str
    licences: str
    vendor: str
    revision: str
    created: dt.date
    standin: bool
    arch: str
    interpreter: str = ""

    def tag(self, flavour: Flavour) -> str:
        """Return the tag of a flavour; what RPM's versions may hold and tags may not becomes ``_``."""
        return f"{_NOT_IN_A_TAG.sub('_', self.evr)}-{flavour}"

    def stem(self, flavour: Flavour) -> str:
        """Return how the names of an image's files begin."""
        return stem_of(self.name, self.tag(flavour))

    @property
    def timestamp(self) -> int:
        """The time of the image and of what is made for it, in seconds since 1970."""
        return seconds(self.created)

    @property
    def platform(self) -> str:
        """What engines call the architecture."""
        return platform_of(self.arch)


def about_images(release: Release, plan: Plan) -> About:
    """Return what the images of a planned release say of themselves. Raises `ImageError` where it makes none."""
    application = _application(release, plan)
    evr = f"{application.evr.version}-{application.evr.release}"
    if len(evr) > _LONGEST_EVR:
        raise ImageError(Problem(f"no tag can hold the version {evr:.200}", str(application.dist)))
    documentation = release.service.documentation if release.service else ()
    return About(
        name=str(application.dist),
        evr=evr,
        title=str(application.dist),
        description=one_line(application.summary, _LONGEST),
        source=safe_url(_source(release, application)),
        documentation=next(filter(None, map(safe_url, documentation)), ""),
        licences=one_line(all_of(sorted({*_licences(plan)})), _LONGEST),
        vendor=one_line(release.packager.partition(" <")[0], _LONGEST),
        revision=f"sha256:{application.sources[0].sha256}",
        created=release.date,
        standin=plan.target.standin,
        arch=plan.target.arch,
        interpreter=plan.target.interpreter_name if plan.target.pypy else "",
    )


def oci_annotations(about: About, *, base: str = "", digest: str = "") -> dict[str, str]:
    """Return the annotations of an image; base: the name of the image that it starts from, digest: of that."""
    said = {
        "title": about.title,
        "description": about.description,
        "version": about.evr,
        "revision": about.revision,
        "source": about.source,
        "documentation": about.documentation,
        "licenses": about.licences,
        "vendor": about.vendor,
        "created": f"{about.created.isoformat()}T00:00:00Z",
        "base.name": base,
        "base.digest": digest,
    }
    found = {f"{_PREFIX}{key}": value for key, value in sorted(said.items()) if value}
    return found | ({INTERPRETER: about.interpreter} if about.interpreter else {})


def labels(about: About, health: tuple[str, ...], *, base: str = "", digest: str = "") -> dict[str, str]:
    """Return the labels of an image: its annotations, the health command, and whether it is made of the stand-in."""
    found = oci_annotations(about, base=base, digest=digest)
    if health:
        found[HEALTH] = json.dumps(health)
    if about.standin:
        found[_STANDIN] = "true: nothing of this is EL9's"
    return found


def health_command(images: Images, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return the health command with ``{python}`` and ``{prefix}`` replaced."""
    found = list(images.health)
    for name in ("python", "prefix"):
        found = [word.replace(f"{{{name}}}", places[name]) for word in found]
    return tuple(found)


def _application(release: Release, plan: Plan) -> Package:
    found = next((one for one in plan.packages if one.role is Role.APPLICATION and one.private), None)
    if release.images is None:
        fix = "add it, see docs/reference/release-file.md"
        raise ImageError(Problem("the release makes no images: it has no table [images]", "elpack.toml", fix=fix))
    if found is None:
        fix = "images are made of layout stack or bundle"
        raise ImageError(Problem(f"layout {plan.layout} has no application with a tree of its own", fix=fix))
    return found


def _source(release: Release, application: Package) -> str:
    own = next((one for one in release.first_party if one.name == application.dist and one.git), None)
    return own.git if own else application.url


def _licences(plan: Plan) -> Iterator[str]:
    """Yield the licences of all that goes into the tree; the base's own are the base's to tell."""
    for package in plan.packages:
        if package.role in (Role.FIRST_PARTY, Role.THIRD_PARTY, Role.APPLICATION) and package.licence.expression:
            yield package.licence.expression
