"""Signs what is handed over: RPMs by rpmsign, judged by rpm afterwards; other files by detached signatures."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.atomic import write_bytes
from elpack.errors import Problem, SigningError
from elpack.manifest import digest_of
from elpack.openpgp import dearmour, read_signature
from elpack.steps.keys import release_problems, signing_part, throwaway_key
from elpack.tools.gpg import Keyring, user_home
from elpack.tools.rpmsign import sign_packages, verify_packages, wrong_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from elpack.config.signing import Signing
    from elpack.openpgp import Fingerprint
    from elpack.run import Runner
    from elpack.store import Store, StoredFile
    from elpack.tools.gpg import Key
    from elpack.workspace import Workspace

THROWAWAY = (
    "signed by a THROWAWAY key: a snapshot for trying it out, which nobody should trust. "
    "For a release set [signing] key; see docs/how-to/sign.md"
)
UNSIGNED = "NOT SIGNED: do not hand this out before `elpack sign` has signed it; see docs/how-to/sign.md"

_FORMAT = 1
"""Raised when a signed copy would be another one for the same key and the same package."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs a release.

    trusted: the keys that customers get, the signing one first. metadata_expires: days after which the signature on a
    repository's metadata counts no more, None for never. made: the key was made just now.
    """

    key: Key
    keyring: Keyring
    trusted: tuple[Fingerprint, ...]
    metadata_expires: int | None = None
    made: bool = False

    @property
    def throwaway(self) -> bool:
        """Whether the key is that of snapshots, so that its signatures mean nothing beyond this machine."""
        return self.key.throwaway

    @property
    def by(self) -> Fingerprint:
        """What signs: the key itself, or its newest subkey that can."""
        return signing_part(self.key, time.time()).fingerprint

    def public_keys(self) -> str:
        """Return the keys that customers are to trust, as one armoured block."""
        return self.keyring.export(self.trusted)

    def rpms(self, paths: Sequence[Path], into: Path) -> tuple[Path, ...]:
        """Put signed copies of RPM files into a folder, and have rpm verify them. Raises `SigningError`."""
        into.mkdir(parents=True, exist_ok=True)
        copies = tuple(into / path.name for path in paths)
        for path, copy in zip(paths, copies, strict=True):
            copy.unlink(missing_ok=True)  # never through a link into the store
            shutil.copyfile(path, copy)
        sign_packages(copies, self.keyring, self.by)
        verify_packages(copies, self.keyring.export((self.key.fingerprint,)), self.by, self.keyring.runner)
        return copies

    def file(self, path: Path) -> Path:
        """Write a detached signature of a file beside it, as <name>.asc, and return that. Raises `SigningError`."""
        return self._sign(path, None)

    def metadata(self, path: Path) -> Path:
        """Do the same for a repository's repomd.xml, with the expiry that the release file asks for."""
        return self._sign(path, self.metadata_expires)

    def _sign(self, path: Path, expires_days: int | None) -> Path:
        by = self.by
        signature = self.keyring.sign(by, path.read_bytes(), expires_days=expires_days)
        wrong = list(wrong_signature(read_signature(dearmour(signature.decode())), by))
        if wrong:
            raise SigningError(*(Problem(what, where=path.name) for what in wrong))
        final = path.with_name(f"{path.name}.asc")
        write_bytes(final, signature)
        return final


@dataclass(frozen=True, slots=True)
class RememberingSigner:
    """A signer that signs nothing twice: what it signed is in the store, which was entered.

    So another run gives the same bytes. Signatures that expire are made anew each time. scratch: a folder for copies,
    on the store's file system.
    """

    signer: Signer
    store: Store
    scratch: Path

    @property
    def throwaway(self) -> bool:
        """Whether the key is that of snapshots."""
        return self.signer.throwaway

    def public_keys(self) -> str:
        """Return the keys that customers are to trust."""
        return self.signer.public_keys()

    def rpms(self, files: Iterable[StoredFile]) -> dict[Path, StoredFile]:
        """Return the signed copy of each RPM, by the path of the unsigned one."""
        wanted = {file.path: file for file in files}
        by = self.signer.by
        keys = {path: _store_key(by, file.sha256) for path, file in wanted.items()}
        found = {path: entry.files[0] for path, key in keys.items() if (entry := self.store.entry(key))}
        if missing := [path for path in wanted if path not in found]:
            self.scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="sign-", dir=self.scratch) as folder:
                for path, copy in _sign_all(self.signer, missing, Path(folder)):
                    info = {"signed": by, "of": wanted[path].sha256}
                    found[path] = self.store.put(keys[path], (copy,), info).files[0]
                    copy.unlink()
        return found

    def file(self, path: Path) -> Path:
        """Write a detached signature of a file beside it, and return that."""
        return self._remembered(path, self.signer.file)

    def metadata(self, path: Path) -> Path:
        """Do the same for a repository's repomd.xml."""
        return self.signer.metadata(path) if self.signer.metadata_expires else self.file(path)

    def _remembered(self, path: Path, sign: Callable[[Path], Path]) -> Path:
        digest = digest_of(path)
        key = _store_key(self.signer.by, f"file {path.name} {digest}")
        final = path.with_name(f"{path.name}.asc")
        if entry := self.store.entry(key):
            shutil.copyfile(entry.files[0].path, final)
        else:
            self.store.put(key, (sign(path),), {"signed": self.signer.by, "of": digest})
        return final


def signer(signing: Signing, workspace: Workspace, runner: Runner) -> Signer:
    """Return who signs by the release file: its key out of the user's GnuPG home, else the throwaway key.

    Raises `SigningError` with every reason why a release key cannot be used.
    """
    if signing.key is None:
        return throwaway_signer(workspace, runner)
    return release_signer(signing, Keyring(user_home(), runner))


def throwaway_signer(workspace: Workspace, runner: Runner) -> Signer:
    """Return the signer of snapshots; its key is made now if there is none that lasts."""
    keyring, key, made = throwaway_key(workspace, runner)
    return Signer(key, keyring, (key.fingerprint,), made=made)


def release_signer(signing: Signing, keyring: Keyring) -> Signer:
    """Return the signer of a release. Raises `SigningError` for a key, or one trusted with it, that is not fit."""
    problems = [problem for found in release_problems(signing, keyring).values() for problem in found]
    if problems or signing.key is None:
        raise SigningError(*problems)
    known = {key.fingerprint: key for key in keyring.keys(secret=False)}
    return Signer(known[signing.key], keyring, (signing.key, *signing.also_trusted), signing.metadata_expires)


def _sign_all(signer: Signer, paths: Sequence[Path], folder: Path) -> Iterable[tuple[Path, Path]]:
    """Sign files whose names may be the same, each in a folder of its own where they are."""
    rest = list(paths)
    while rest:
        batch = {path.name: path for path in reversed(rest)}
        into = Path(tempfile.mkdtemp(dir=folder))
        copies = signer.rpms(tuple(batch.values()), into)
        yield from zip(batch.values(), copies, strict=True)
        rest = [path for path in rest if batch[path.name] != path]


def _store_key(by: Fingerprint, what: str) -> str:
    return hashlib.sha256(f"signed {_FORMAT}\n{by}\n{what}\n".encode()).hexdigest()
