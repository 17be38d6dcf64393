"""Looks at results as a customer's machine would: digests, signatures, dnf with its checks, rpm with our keys alone."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import ElpackError, Problem, PublishError
from elpack.listed import IMAGES, REPOSITORIES, of_images
from elpack.manifest import MANIFEST, deviations, read_manifest
from elpack.openpgp import Fingerprint, dearmour, read_signature
from elpack.run import CLEAN_ENV, Command, run
from elpack.steps.describe import check_provenance
from elpack.tools.dnf import program
from elpack.tools.gpg import end_agent, keyring_of
from elpack.tools.rpmsign import verify_packages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from elpack.listed import Manifest
    from elpack.run import Runner
    from elpack.tools.gpg import Keyring

_CONFIGURATION = """\
[main]
reposdir=/dev/null
varsdir=/dev/null
plugins=1
assumeyes=1
module_platform_id=platform:el9
zchunk=0
color=never
gpgcheck=1
repo_gpgcheck=1
retries=1
[verified]
name=verified
baseurl={url}
gpgkey={key}
metadata_expire=0
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was verified: how many RPMs, and how many bytes of all files."""

    packages: int
    size: int


def verify_as_consumer(
    location: Path,
    key_file: Path,
    *,
    arch: str,
    releasever: str = "9",
    trusted: Collection[Fingerprint] | None = None,
    runner: Runner = run,
) -> Seen:
    """Verify one target's results, signed, in a folder: all that a customer's tools check, and what they do not.

    The manifest and the provenance by their signatures, all files by the manifest, repodata by dnf, which downloads
    every RPM by them, and all RPMs, source packages included, by rpm with the keys of the key file alone. Nothing of
    it needs root.

    trusted: the only keys that the file may hold. Raises `PublishError` with every problem of the first of these that
    finds one.
    """
    location = location.absolute()
    with _as_publish_error(), keyring_of(key_file, runner) as keyring:
        manifest, by = _signed_manifest(location, keyring, trusted)
        size = _check_files(location, manifest)
        made = [path for name in REPOSITORIES if (path := location / name).is_dir()]
        for repository in made:
            _check_signature(keyring, repository / "repodata" / "repomd.xml", repository.name)
        check_provenance(location, keyring, [manifest.fingerprint])
        held = keyring.keys()
        public_keys = keyring.export(key.fingerprint for key in held)
    for repository in made:
        _download_all(repository, key_file, arch, releasever, runner)
    packages = sorted(location.glob("*/*.rpm"))
    with _as_publish_error():
        verify_packages(packages, public_keys, by, runner)
    return Seen(len(packages), size)


@contextmanager
def _as_publish_error() -> Iterator[None]:
    try:
        yield
    except ElpackError as error:
        raise PublishError(*error.problems) from error


def _signed_manifest(
    location: Path, keyring: Keyring, trusted: Collection[Fingerprint] | None
) -> tuple[Manifest, Fingerprint]:
    """Return the manifest, which the key that it names must have signed, and which part of that key did."""
    held = keyring.keys()
    strange = [key for key in held if trusted is not None and key.fingerprint not in trusted]
    if strange:
        why = "customers would trust all of them, and [signing] in elpack.toml names others"
        fix = "if it is yours, name it in [signing] also-trusted; else sign again"
        raise PublishError(
            *(
                Problem(f"{one.fingerprint} ({one.user}) is not to be trusted", location.name, why, fix)
                for one in strange
            )
        )
    by = _check_signature(keyring, location / MANIFEST, location.name)
    manifest = read_manifest(location, PublishError)
    if (told := manifest.fingerprint) != by:
        raise PublishError(Problem(f"it names the key {told}; {by} signed it", f"{location.name}/{MANIFEST}"))
    try:
        return manifest, Fingerprint(read_signature(dearmour((location / f"{MANIFEST}.asc").read_text())).issuer)
    except ValueError as error:
        where, why = f"{location.name}/{MANIFEST}.asc", "another program than elpack made it"
        raise PublishError(Problem(f"it cannot be read: {error}", where, why, fix="elpack sign")) from error


def _check_signature(keyring: Keyring, path: Path, name: str) -> Fingerprint:
    signature = path.with_name(f"{path.name}.asc")
    where = f"{name}/{path.name}"
    if not signature.is_file():
        raise PublishError(Problem("it is not signed", where=where, fix="elpack sign, then publish again"))
    by = keyring.verify(path, signature)
    if by is None:
        why = "it was made by another key, is of something else, or the signature or the key has expired"
        raise PublishError(Problem("its signature does not count", where=where, why=why, fix="elpack sign"))
    return by


def _check_files(location: Path, manifest: Manifest) -> int:
    """Hold what lies there against the manifest, and return the bytes that it lists. Raises `PublishError`.

    A publication leaves out images, all of them; where there are some, they are held against it as well.
    """
    if not (location / IMAGES).exists():
        manifest = replace(manifest, files=tuple(file for file in manifest.files if not of_images(file.path)))
    problems = [Problem(one.wrong, where=one.path, why=one.detail) for one in deviations(location, manifest)]
    if problems:
        raise PublishError(*problems)
    return sum(file.content.size for file in manifest.files)


def _download_all(repository: Path, key_file: Path, arch: str, releasever: str, runner: Runner) -> None:
    """Let dnf read a repository with both checks on, and download all that it names. Raises `PublishError`."""
    with tempfile.TemporaryDirectory(prefix="elpack-customer-") as scratch:
        home = Path(scratch)
        (home / "root").mkdir()
        (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
        config = home / "dnf.conf"
        config.write_text(_CONFIGURATION.format(url=repository.as_uri(), key=key_file.absolute().as_uri()))
        argv = (
            *(program(), "--config", str(config), "--installroot", str(home / "root"), "--releasever", releasever),
            *("--forcearch", arch, f"--setopt=cachedir={home}/cache"),
            *("--disableplugin=*", "--enableplugin=reposync"),
            *("reposync", "--repoid", "verified", "--norepopath", "--download-path", str(home / "got")),
        )
        done = runner(Command(argv, cwd=home, env={**CLEAN_ENV, "HOME": scratch}))
        # dnf's gpg leaves its agent behind; the text is what libdnf makes of cachedir
        for keys in (home / "cache").glob("*/pubring"):
            end_agent(str(keys), runner)
        got = {path.name for path in (home / "got").glob("*.rpm")} if (home / "got").is_dir() else set()
    if done.returncode != 0:
        said = "\n".join(text.strip() for text in (done.stdout, done.stderr) if text.strip())
        last = "\n".join(said.splitlines()[-8:])
        raise PublishError(Problem(f"dnf refuses the repository\n{last}", where=repository.name))
    there = {path.name for path in repository.glob("*.rpm")}
    source = {name for name in there if name.endswith(".src.rpm")}
    missing = sorted(there - got - source)
    if missing:
        raise PublishError(*(Problem("dnf does not find it by the metadata", where=name) for name in missing))
