"""What a manifest.json says: every file that is handed over of one target, its place, size and digests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elpack.model import Layout
from elpack.naming import rpm_name
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 2
REPOSITORIES = ("repo", "debug", "buildroot")
"""Folders with metadata of their own."""
PACKAGES = ("rpm", "debug-rpm", "srpm", "buildroot-rpm", "buildroot-srpm")
IMAGES = "images"
"""The folder of images and of what describes them. They reach customers through a registry, not with a repository."""
ALL = "all"
"""What stands for the architecture where results are of all of them: images, each of which runs on any."""
_BESIDE = {
    "manifest": r"manifest\.json",
    "signature": r"(?:manifest\.json|(?:repo|debug|buildroot)/repodata/repomd\.xml)\.asc",
    "keys": r"RPM-GPG-KEY-*",
    "repo-file": r"*\.repo",
}
"""What is not listed: it speaks of the list or of a place, or proves itself. `*` is a file's name."""
_LISTED = {
    "repodata": r"(?:repo|debug|buildroot)/repodata/*",
    "rpm": r"repo/*\.rpm",
    "debug-rpm": r"debug/*\.rpm",
    "srpm": r"srpms/*\.src\.rpm",
    "buildroot-srpm": r"buildroot/*\.src\.rpm",
    "buildroot-rpm": r"buildroot/*\.rpm",
    "spec": r"specs/*\.spec",
    "sbom": r"(?:sbom/*|images/*\.cdx\.json)",
    "provenance": r"(?:provenance/*|images/*\.(?:intoto|dsse)\.json)",
    "image": r"images/*\.oci\.tar",
    "image-key": r"images/*\.pub",
    "release": r"release\.json",
}
KINDS = tuple(_LISTED)
"""What is listed."""
_FORMS = {kind: re.compile(form.replace("*", "[^/.][^/]*")) for kind, form in (_BESIDE | _LISTED).items()}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")


def kind_of(path: str) -> str:
    """Return the kind of a file by its path below a target's results, "other" for what is none of them."""
    return next((kind for kind, form in _FORMS.items() if form.fullmatch(path)), "other")


def of_images(path: str) -> bool:
    """Tell whether a file below a target's results belongs to its images."""
    return path.startswith(f"{IMAGES}/")


@dataclass(frozen=True, slots=True)
class Content:
    """Size in bytes, and sha256."""

    size: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Return it as the manifest says it."""
        return {"size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Listed:
    """One listed file: its path below the results, and what is in it; of an RPM, what was in it before it was signed.

    node and dist: what made an RPM, and of which dist; empty for other files.
    """

    path: str
    built: Content
    signed: Content | None = None
    node: str = ""
    dist: str = ""

    @property
    def kind(self) -> str:
        """Return what it is, which its place tells."""
        return kind_of(self.path)

    @property
    def name(self) -> str:
        """Return the file's name; of metadata and documents with their folder."""
        whole = self.kind in {"repodata", "sbom", "provenance"}
        return self.path.removeprefix("repo/") if whole else self.path.rpartition("/")[2]

    @property
    def content(self) -> Content:
        """Return what is in it as it lies there."""
        return self.signed or self.built

    def as_json(self) -> dict[str, Any]:
        """Return its entry in the manifest."""
        made = {"node": self.node, "dist": self.dist} if self.node else {}
        signed = {"signed": self.signed.as_json()} if self.signed else {}
        return {"kind": self.kind, "name": self.name, "path": self.path, **self.built.as_json(), **made, **signed}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is handed over of one target in one layout, by which elpack, and who signed it.

    fingerprint: the key's, empty where nothing is signed.
    """

    elpack: str
    release: str
    version: str
    layout: Layout
    target: str
    python: str
    arch: str
    standin: bool
    files: tuple[Listed, ...]
    fingerprint: str = ""
    throwaway: bool = False

    def packages(self) -> dict[str, Listed]:
        """Return the RPMs by name; one that lies in two places is the same in both."""
        return {file.name: file for file in self.files if file.kind in PACKAGES}

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written, in the order of kind and name."""
        signing = {"fingerprint": self.fingerprint, "throwaway": self.throwaway}
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in ("elpack", "release", "version", "layout", "standin")},
            "target": {"name": self.target, "python": self.python, "arch": self.arch},
            **({"signing": signing} if self.fingerprint else {}),
            "artefacts": [file.as_json() for file in sorted(self.files, key=lambda one: (one.kind, one.path))],
        }


def parse_manifest(text: str | bytes) -> Manifest:
    """Return what a manifest says. Raises ValueError with what is wrong for anything that elpack did not write."""
    data = json_value(text)
    try:
        if data["format"] != FORMAT:
            raise ValueError(f"it has format {data['format']!r:.40}, and this elpack reads {FORMAT}")
        signing, target = data.get("signing"), data["target"]
        files = tuple(_listed(entry, signed=signing is not None) for entry in data["artefacts"])
        if len({file.path for file in files}) != len(files):
            raise ValueError("it lists a file twice")
        return Manifest(
            **{key: _text(data, key) for key in ("elpack", "version")},
            release=rpm_name(_text(data, "release")),
            layout=Layout(_text(data, "layout")),
            target=_text(target, "name"),
            **{key: _text(target, key) for key in ("python", "arch")},
            standin=_flag(data, "standin"),
            files=files,
            fingerprint=_hex(signing, "fingerprint", _FINGERPRINT) if signing is not None else "",
            throwaway=_flag(signing, "throwaway") if signing is not None else False,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it has not the form that elpack writes ({error!r:.200})") from error


def _listed(entry: Mapping[str, Any], *, signed: bool) -> Listed:
    node, dist = (_text(entry, key) if key in entry else "" for key in ("node", "dist"))
    copy = _content(entry["signed"]) if "signed" in entry else None
    file = Listed(_text(entry, "path"), _content(entry), copy, node, dist)
    if file.kind not in KINDS:
        raise ValueError(f"no file that is listed lies at {file.path!r:.200}")
    if (entry["kind"], entry["name"]) != (file.kind, file.name):
        raise ValueError(f"it does not call {file.path} a {file.kind} named {file.name}")
    if (file.signed is not None) != (signed and file.kind in PACKAGES):
        raise ValueError(f"it has {'a' if file.signed else 'no'} signed digest of {file.path}")
    return file


def _content(table: Mapping[str, Any]) -> Content:
    size = table["size"]
    if type(size) is not int or size < 0:
        raise ValueError(f"size is no number of bytes: {size!r:.40}")
    return Content(size, _hex(table, "sha256", _SHA256))


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{key} is no text of one line: {value!r:.80}")
    return value


def _hex(table: Mapping[str, Any], key: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(value := _text(table, key)):
        raise ValueError(f"{key} is none: {value!r:.80}")
    return value


def _flag(table: Mapping[str, Any], key: str) -> bool:
    if not isinstance(value := table[key], bool):
        raise TypeError(f"{key} is neither true nor false: {value!r:.40}")
    return value
