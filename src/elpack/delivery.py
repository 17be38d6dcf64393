"""What an air-gap delivery says of itself: its names, and the texts in it and beside it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from elpack.openpgp import Fingerprint

_NAME = re.compile(r"[A-Za-z0-9._+~^:@=-]+(?:/[A-Za-z0-9._+~^:@=-]+)*\Z")
"""What a file of a delivery may be called; the verifier, which is a shell script, refuses all else."""

_README = """\
{title}
{underline}

Everything here is listed in SHA256SUMS, which the release key has signed (SHA256SUMS.asc). Nothing here can vouch for
itself: the key's fingerprint must come to you by another way, such as on paper or by telephone. It is in the file
{fingerprints}, which is not part of this delivery.

Copy the delivery to a disk, or use it where it lies: nothing is written here.

1. Trust nothing yet. Check the list and the two scripts by the host's own tools:

    cd {name}
    gpg --show-keys --with-fingerprint {keys}
    mkdir -m 700 /var/tmp/airgap
    gpg --homedir /var/tmp/airgap --import {keys}
    gpg --homedir /var/tmp/airgap --verify SHA256SUMS.asc SHA256SUMS
    grep -E '  (verify|install)$' SHA256SUMS | sha256sum --check --strict
    rm -r /var/tmp/airgap

   Compare the fingerprint that gpg shows, all 40 digits of it, with yours. gpg must say "Good signature" and name that
   key; that it is "not certified" is as it should be. sha256sum must say that both scripts are OK. Or compare
   `sha256sum verify install` with the digests that came with the fingerprint.

2. Verify the rest:

    sh ./verify 'FINGERPRINT'{image_argument}

   It tells everything that is wrong, and ends with 0 only if nothing is. Needed are gnupg2, rpm and tar{image_tools}.

3. Install, as root; it verifies once more:

    sh ./install --expect {version} 'FINGERPRINT'{image_argument}

   dnf takes the packages from here alone. What the host has to bring is listed in HOST-NEEDS{base}. Where that is not
   installed yet, --with-host-repos lets dnf use the host's own repositories too, such as those of a mounted DVD.
{images}
An earlier delivery is as well signed as a newer one, whatever its archive is called. `verify` tells which version this
is, and `install --expect VERSION` refuses every other.

In here: repo/ is the repository, sbom/ the bills of materials, provenance/ what was built from what, manifest.json,
which release.json belongs to, the digests of all that was built. DELIVERY holds what the scripts read.
"""

_IMAGES = """
   Images are in images/, as OCI archives, with images/key.pub, by which their signatures in images/signatures/ are
   verified. `install --with-images` copies them into the storage of podman, under a policy that asks for the signature.
"""

_FINGERPRINTS = """\
# {name}
# Carry this by another way than the archive: on paper, by telephone, on another medium.

release key
    {fingerprint}
{image_key}
sha256 of {archive}
    {digest}
sha256 of verify
    {verify}
sha256 of install
    {install}
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one archive delivers.

    label: the release, with its layout where that is not the release's own. version: with RPM's release. install: what
    dnf is asked for. image_key: fingerprint of the key of the images, empty where there are none. base: the target's
    own packages are in it.
    """

    release: str
    label: str
    version: str
    target: str
    arch: str
    layout: str
    fingerprint: Fingerprint
    install: tuple[str, ...]
    throwaway: bool = False
    standin: bool = False
    image_key: str = ""
    base: bool = False

    @property
    def name(self) -> str:
        """The folder in the archive, after which the archive is named."""
        return f"{self.label}-{self.version}.{self.target}.{self.arch}"

    @property
    def archive(self) -> str:
        """The name of the archive."""
        return f"{self.name}.airgap.tar"

    @property
    def fingerprints(self) -> str:
        """The name of the file that is carried by another way."""
        return f"{self.name}.FINGERPRINTS"

    @property
    def keys(self) -> str:
        """The name of the file of public keys."""
        return f"RPM-GPG-KEY-{self.release}"


def delivery_text(delivery: Delivery) -> str:
    """Return the file DELIVERY, which the scripts read: a name and a value on each line."""
    plain = ("name", "release", "version", "target", "arch", "layout")
    values = {name: getattr(delivery, name) for name in plain}
    values |= {"install": " ".join(delivery.install), "key": delivery.fingerprint, "image-key": delivery.image_key}
    values |= {name: "yes" if getattr(delivery, name) else "no" for name in ("throwaway", "standin", "base")}
    return "format=1\n" + "".join(f"{name}={value}\n" for name, value in values.items())


def readme_text(delivery: Delivery) -> str:
    """Return the README for whoever gets the archive."""
    title = f"{delivery.release} {delivery.version} for {delivery.target} {delivery.arch}"
    images = bool(delivery.image_key)
    return _README.format(
        title=title,
        underline="=" * len(title),
        name=delivery.name,
        keys=delivery.keys,
        version=delivery.version,
        fingerprints=delivery.fingerprints,
        image_argument=" IMAGE-KEY-FINGERPRINT" if images else "",
        image_tools=", and openssl for the images" if images else "",
        base=", and base/ holds what a minimal host lacks of it" if delivery.base else "",
        images=_IMAGES if images else "",
    )


def fingerprints_text(delivery: Delivery, digest: str, verify: str, install: str) -> str:
    """Return what is to be compared; digest, verify and install: sha256 of the archive and of both scripts."""
    spaced = " ".join(delivery.fingerprint[at : at + 4] for at in range(0, len(delivery.fingerprint), 4))
    key = f"key of images\n    {delivery.image_key}\n" if delivery.image_key else ""
    return _FINGERPRINTS.format(
        name=delivery.name,
        fingerprint=spaced,
        image_key=key,
        archive=delivery.archive,
        digest=digest,
        verify=verify,
        install=install,
    )


def sums_text(digests: Mapping[str, str]) -> str:
    """Return SHA256SUMS for files by their path. Raises ValueError for a path that the verifier would refuse."""
    for path in digests:
        if not _NAME.match(path) or {".", ".."} & set(path.split("/")):
            raise ValueError(f"{path!r} is no name of a file that can be delivered")
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items()))


def host_needs(requires: Iterable[str], provides: Iterable[str], files: Collection[str]) -> tuple[str, ...]:
    """Return what packages require and do not bring: capabilities as rpm spells them, sorted.

    provides and requires: as rpm spells them, maybe with a version.
    """
    own = {capability.split(" ")[0] for capability in provides}
    return tuple(sorted({one for one in requires if one.split(" ")[0] not in own and one not in files}))
