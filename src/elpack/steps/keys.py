"""Which key signs: the throwaway key of snapshots, made when first needed, or a release key that is fit for it."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.config.signing import Signing
from elpack.config.signing import fingerprint as parsed
from elpack.errors import Problem, SigningError
from elpack.openpgp import HASHES, STRONG_HASHES, PublicKey
from elpack.run import CLEAN_ENV, Command
from elpack.steps.project import read_project
from elpack.store.lock import held
from elpack.tools.gpg import THROWAWAY_USER, Keyring, end_agent, explained, with_agent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elpack.openpgp import Fingerprint, Signature
    from elpack.run import Runner
    from elpack.tools.gpg import Key, Subkey
    from elpack.workspace import Workspace

DAYS = 90
"""How long a throwaway key lasts."""
_SPARE = 86400
"""Seconds before its end from which on a throwaway key is replaced: a run may take hours."""
_BITS = 4096
_PARAMETERS = f"""\
Key-Type: RSA
Key-Length: {_BITS}
Key-Usage: sign
Name-Real: {{name}}
Name-Email: {{mail}}
Expire-Date: {{days}}d
%no-protection
%commit
"""
_FIX = "docs/how-to/sign.md tells how to make a key that will do"


def throwaway_key(workspace: Workspace, runner: Runner, *, days: int = DAYS) -> tuple[Keyring, Key, bool]:
    """Return the snapshot's keyring and key, and whether it was made just now: an expired one is replaced."""
    ring = Keyring(workspace.keys, runner, own=True)
    workspace.keys.parent.mkdir(parents=True, exist_ok=True)
    with held(workspace.keys.with_name(f"{workspace.keys.name}.lock"), wait=None):
        if key := _usable(ring):
            return ring, key, False
        _make(workspace.keys, runner, days)
    key = _usable(ring)
    if key is None:
        raise SigningError(Problem("gpg made a key and does not list it", where=str(workspace.keys)))
    return ring, key, True


def _usable(ring: Keyring) -> Key | None:
    now = time.time()
    keys = (key for key in ring.keys(secret=True) if key.throwaway and not key.revoked)
    return next((key for key in keys if key.expires and key.expires > now + _SPARE), None)


def _make(final: Path, runner: Runner, days: int) -> None:
    """Make the key in a folder with a short path, then put that in place of the one of an earlier key."""
    name, _, mail = THROWAWAY_USER.removesuffix(">").partition(" <")
    with tempfile.TemporaryDirectory(prefix="elpack-gpg-", ignore_cleanup_errors=True) as home:
        argv = (
            *with_agent(home),
            *("gpg", "--homedir", home, "--batch", "--no-tty", "--no-options", "--quiet"),
            *("--cert-digest-algo", "SHA256", "--full-generate-key"),
        )
        text = _PARAMETERS.format(name=name, mail=mail, days=days)
        try:
            done = runner(Command(argv, env={**CLEAN_ENV, "HOME": home}, input=text, timeout=600))
        finally:
            end_agent(home, runner)
        if done.returncode != 0:
            raise explained(done.stderr, "the throwaway key cannot be made", str(final))
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))  # mode 0700
        shutil.copy(Path(home, "pubring.kbx"), partial)
        shutil.copytree(Path(home, "private-keys-v1.d"), partial / "private-keys-v1.d")
    if final.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
        final.rename(old / "old")
        shutil.rmtree(old)
    partial.rename(final)


def signing_part(key: Key, now: float) -> Key | Subkey:
    """Return what signs for a key, by gpg's rule: its newest subkey that can, else the key itself."""
    usable = [part for part in key.subkeys if not part.revoked and (part.expires is None or part.expires > now)]
    return max(usable, key=lambda part: part.created, default=key)


def judge(key: Key, packets: Sequence[PublicKey | Signature], now: float) -> Iterator[Problem]:
    """Yield why a key cannot stand for a release. packets: what its export consists of; now: seconds since 1970."""
    where = f"key {key.fingerprint}"
    part = signing_part(key, now)
    if key.throwaway:
        why = f"its user id is {key.user!r}"
        yield Problem("a throwaway key signs snapshots, never a release", where, why, _FIX)
    if key.revoked:
        yield Problem("it was revoked", where, fix=_FIX)
    if key.expires is not None and key.expires <= now:
        day = time.strftime("%Y-%m-%d", time.gmtime(key.expires))
        yield Problem(f"it expired on {day}", where, fix=f"gpg --quick-set-expire {key.fingerprint} 2y")
    if part is key and not key.signs:
        yield Problem("it has no part that can sign and is neither expired nor revoked", where, fix=_FIX)
    for one in dict.fromkeys((key, part)):
        name = where if one is key else f"{where}, subkey {one.fingerprint}"
        if one.algorithm != "RSA":
            yield Problem(f"it is {one.algorithm}, not RSA, which every rpm verifies", name, fix=_FIX)
        elif one.bits < _BITS:
            yield Problem(f"it has {one.bits} bits, fewer than {_BITS}", name, fix=_FIX)
    yield from _judge_packets(packets, where)


def _judge_packets(packets: Sequence[PublicKey | Signature], where: str) -> Iterator[Problem]:
    part = where
    for packet in packets:
        if isinstance(packet, PublicKey):
            part = where if packet.primary else f"{where}, subkey {packet.fingerprint}"
            if packet.version != 4:  # noqa: PLR2004
                yield Problem(f"it is an OpenPGP key of version {packet.version}, not 4", part, fix=_FIX)
            continue
        for signature in (packet, *packet.embedded):
            if signature.version != 4:  # noqa: PLR2004
                yield Problem(f"its own signature is of version {signature.version}, not 4", part, fix=_FIX)
            elif signature.hash not in STRONG_HASHES:
                what = f"its own signature is made with {HASHES.get(signature.hash, signature.hash)}"
                fix = "let gpg make it anew: gpg --cert-digest-algo SHA256 --quick-set-expire FINGERPRINT 2y"
                yield Problem(what, part, "EL9 refuses such a key", fix)


def release_key(wanted: Fingerprint, ring: Keyring, *, secret: bool = True) -> Key:
    """Return a key that may stand for a release. Raises `SigningError` with all that speaks against it."""
    known = {key.fingerprint: key for key in ring.keys(secret=False)}
    if wanted not in known:
        fix = "gpg --import FILE, or GNUPGHOME for another home; the fingerprint is that of the primary key"
        raise SigningError(Problem("there is no such key", f"key {wanted} in {ring.home}", fix=fix))
    problems = list(judge(known[wanted], ring.packets(wanted), time.time()))
    if secret and wanted not in {key.fingerprint for key in ring.keys(secret=True)}:
        why = "only its public part is here"
        problems.append(
            Problem("its secret key is not there", f"key {wanted} in {ring.home}", why, "gpg --import FILE")
        )
    if problems:
        raise SigningError(*problems)
    return known[wanted]


def release_problems(signing: Signing, ring: Keyring) -> dict[Fingerprint, tuple[Problem, ...]]:
    """Return what speaks against each key that the release names, nothing for those that are fit."""
    found: dict[Fingerprint, tuple[Problem, ...]] = {}
    for fingerprint in (*((signing.key,) if signing.key else ()), *signing.also_trusted):
        try:
            release_key(fingerprint, ring, secret=fingerprint == signing.key)
            found[fingerprint] = ()
        except SigningError as error:
            found[fingerprint] = error.problems
    return found


def chosen(workspace: Workspace, key: str) -> Signing:
    """Return who signs: the named key, else the release file's, which may be absent if one is named.

    A key that takes the place of the release file's is trusted with the others that the file names, the replaced one
    not among them. Raises `SigningError` when no key is named.
    """
    signing = read_project(workspace).release.signing if workspace.file.exists() else Signing()
    if key:
        try:
            named = parsed(key)
        except ValueError as error:
            raise SigningError(Problem(str(error), where="--key")) from error
        others = tuple(other for other in signing.also_trusted if other != named)
        return replace(signing, key=named, also_trusted=others)
    if signing.key is None:
        fix = "set [signing] key in elpack.toml, or name one by --key"
        raise SigningError(Problem("no key is named", where=str(workspace.file), fix=fix))
    return signing
