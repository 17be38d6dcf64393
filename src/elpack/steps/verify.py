"""Says whether what lies in a folder of results is what its manifest says, and who signed it."""

from __future__ import annotations

import configparser
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.errors import ElpackError, Problem, SigningError, VerifyError
from elpack.listed import ALL, PACKAGES, REPOSITORIES, kind_of
from elpack.manifest import MANIFEST, Wrong, deviations, misplaced, read_manifest
from elpack.openpgp import Fingerprint, dearmour, read_signature
from elpack.steps.describe import check_provenance
from elpack.steps.images.joint import stale
from elpack.steps.metadata import wrong_metadata
from elpack.tools.gpg import keyring_of
from elpack.tools.rpmsign import verify_packages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from elpack.listed import Manifest
    from elpack.run import Runner
    from elpack.tools.gpg import Keyring

_REPO_KEYS = 6
"""name, baseurl, enabled, gpgcheck, repo_gpgcheck, gpgkey"""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found to be right: how many files of each kind, and who signed them."""

    kinds: Mapping[str, int]
    fingerprint: str
    throwaway: bool


def verify(output: Path, trusted: Collection[str], *, unsigned: bool, runner: Runner, url: str = "") -> Verified:
    """Return what is right, if all is. Raises `VerifyError` with everything that is not.

    trusted: fingerprints of the release's own keys; without any, whatever key lies beside the results counts, and
    the caller says so. unsigned: no signatures are expected. url: where the .repo file leads to, else to a folder.
    """
    if not (output / MANIFEST).exists():
        raise VerifyError(Problem("nothing was handed over here", str(output), fix="elpack rpm-all"))
    manifest = read_manifest(output, VerifyError)
    found = list(deviations(output, manifest))
    problems = [*misplaced(output, manifest, MANIFEST), *_of_other_images(output, manifest)]
    problems += [
        Problem(one.wrong, one.path, one.detail, "elpack rpm puts it there again" if one.wrong is Wrong.MISSING else "")
        for one in found
    ]
    if any(one.wrong is Wrong.NO_FILE and _is_read(one.path) for one in found):
        # who reads a pipe waits without end
        raise VerifyError(*problems)
    for name in REPOSITORIES:
        if (output / name).is_dir():
            problems += wrong_metadata(output / name, runner)
    problems += _wrong_signatures(output, manifest, trusted, runner, unsigned=unsigned, url=url or "file://")
    if problems:
        raise VerifyError(*dict.fromkeys(problems))
    kinds = Counter(listed.kind for listed in manifest.files)
    return Verified(dict(sorted(kinds.items())), manifest.fingerprint, manifest.throwaway)


def _of_other_images(output: Path, manifest: Manifest) -> Iterator[Problem]:
    """Yield in what images of all architectures are not those of the results beside them."""
    if manifest.arch == ALL:
        try:
            yield from stale(output)
        except ElpackError as error:
            yield from error.problems


def _is_read(path: str) -> bool:
    return kind_of(path) != "other" or path.endswith((".rpm", ".json", ".repo"))


def _wrong_signatures(
    output: Path, manifest: Manifest, trusted: Collection[str], runner: Runner, *, unsigned: bool, url: str
) -> Iterator[Problem]:
    if not manifest.fingerprint:
        if not unsigned:
            yield Problem("it is not signed", where=MANIFEST, fix="elpack sign; or --unsigned, if that is meant")
        return
    if unsigned:
        yield Problem(f"it is signed by {manifest.fingerprint}", where=MANIFEST, fix="run it without --unsigned")
        return
    if trusted and manifest.fingerprint not in trusted:
        what = f"it is signed by {manifest.fingerprint}, which is no key of the release"
        yield Problem(what, where=MANIFEST, fix="[signing] in elpack.toml names the keys of the release")
    key_file = output / f"RPM-GPG-KEY-{manifest.release}"
    try:
        with keyring_of(key_file, runner) as keyring:
            yield from _strangers(keyring, {*trusted, manifest.fingerprint}, key_file.name)
            yield from _unchecked(output, manifest, key_file.name, url)
            yield from _unsigned_files(output, manifest, keyring)
            yield from _unsigned_packages(output, manifest, keyring, runner)
            check_provenance(output, keyring, (manifest.fingerprint,))
    except ElpackError as error:
        yield from error.problems
    except (OSError, ValueError) as error:
        yield Problem(f"signatures cannot be verified: {error}", where=str(key_file))


def _strangers(keyring: Keyring, known: Collection[str], where: str) -> Iterator[Problem]:
    """Yield the keys that customers would trust as well, and nobody asked for."""
    held = keyring.keys()
    for key in held:
        if key.fingerprint not in known:
            yield Problem(f"it holds {key.fingerprint}, which is no key of the release: {key.user}", where=where)


def _unchecked(output: Path, manifest: Manifest, key_file: str, url: str) -> Iterator[Problem]:
    """Yield the sections of the .repo file in which dnf would not check everything with the keys beside it."""
    for path in sorted(output.glob(f"{manifest.release}*.repo")):
        text = configparser.ConfigParser(interpolation=None)
        try:
            text.read_string(path.read_text())
        except (configparser.Error, UnicodeError) as error:
            yield Problem(f"it cannot be read: {error}", where=path.name)
            continue
        for name in text.sections():
            section = text[name]
            checks = section.get("gpgcheck") == section.get("repo_gpgcheck") == "1"
            place = section.get("baseurl", "").rpartition("/")[0]
            if not checks or section.get("gpgkey") != f"{place}/{key_file}" or len(section) != _REPO_KEYS:
                yield Problem(f"[{name}] is not as elpack writes it: all is to be checked, by {key_file}", path.name)
            if not place.startswith(url):
                why = "[publish] url in elpack.toml says where customers find it"
                yield Problem(f"[{name}] leads to {place}, not to {url}", path.name, why)


def _unsigned_files(output: Path, manifest: Manifest, keyring: Keyring) -> Iterator[Problem]:
    repomds = [output / name / "repodata" / "repomd.xml" for name in REPOSITORIES if (output / name).is_dir()]
    for path in (output / MANIFEST, *repomds):
        signature = path.with_name(f"{path.name}.asc")
        name = str(signature.relative_to(output))
        if not signature.is_file():
            yield Problem("the signature is missing", where=name)
        elif (by := keyring.verify(path, signature)) != manifest.fingerprint:
            what = f"it was made by {by}" if by else "it is no signature of the file, or it or its key has expired"
            yield Problem(f"{what}; the manifest names {manifest.fingerprint}", where=name)


def _unsigned_packages(output: Path, manifest: Manifest, keyring: Keyring, runner: Runner) -> Iterator[Problem]:
    packages = [output / file.path for file in manifest.files if file.kind in PACKAGES]
    there = [path for path in packages if path.is_file()]
    # what signed may be a subkey; the signature of the manifest says which, and gpg has judged it
    by = read_signature(dearmour((output / f"{MANIFEST}.asc").read_text())).issuer
    try:
        key = keyring.export((Fingerprint(manifest.fingerprint),))
        verify_packages(there, key, Fingerprint(by), runner)
    except SigningError as error:
        names = {path.name: str(path.relative_to(output)) for path in there}
        for problem in error.problems:
            yield Problem(problem.what, where=names.get(problem.where, problem.where))
