"""GnuPG: which keys a home holds, detached signatures, exported public keys."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import CommandError, DiskFullError, Problem, SigningError, says_full
from elpack.openpgp import ALGORITHMS, Fingerprint, dearmour, read_packets
from elpack.run import CLEAN_ENV, Command, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from elpack.openpgp import PublicKey, Signature
    from elpack.run import Completed, Runner

THROWAWAY_USER = "THROWAWAY snapshot key, never trust it <throwaway@elpack.invalid>"
"""The user id that tells a throwaway key from one that stands for somebody; `.invalid` is nobody's domain."""

_THROWAWAY = re.compile(r"\bTHROWAWAY\b|@elpack\.invalid>")
_PATIENCE = 300.0
"""Seconds that somebody may take to enter a passphrase."""
_FROM_USER = (
    *("HOME", "TERM", "GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR"),
    *("DBUS_SESSION_BUS_ADDRESS", "PINENTRY_USER_DATA"),
)
"""What an agent needs of the user's environment to ask for a passphrase."""
_REASONS = (
    (
        re.compile(r"Inappropriate ioctl|No pinentry|no tty|ENOTTY|cannot open '/dev/tty'"),
        "gpg-agent cannot ask for the passphrase: there is no terminal and no pinentry",
        'export GPG_TTY="$(tty)", or unlock the key first: gpg --clearsign </dev/null; see docs/how-to/sign.md',
    ),
    (
        re.compile(r"Timeout|[Tt]imed out"),
        "nobody entered the passphrase in time",
        "run it again, and enter it when asked",
    ),
    (re.compile(r"cancelled|canceled"), "the passphrase was asked for and not given", "run it again, and enter it"),
    (re.compile(r"Bad passphrase"), "the passphrase was wrong", "run it again"),
    (
        re.compile(r"No secret key|Unusable secret key|not a secret key"),
        "the secret key is not there, or cannot sign",
        "gpg --list-secret-keys shows what is there; GNUPGHOME names another home",
    ),
    (
        re.compile(r"No agent running|can't connect to the agent|IPC connect call failed|error running '.*gpg-agent'"),
        "gpg-agent cannot be reached",
        "gpgconf --launch gpg-agent, then run it again",
    ),
    (re.compile(r"[Cc]ard error|Card not present|No SmartCard"), "the smart card did not answer", "plug it in again"),
)


@dataclass(frozen=True, slots=True)
class Subkey:
    """A subkey that can sign. Times are seconds since 1970; `expires` is None where it never does."""

    fingerprint: Fingerprint
    algorithm: str
    bits: int
    created: int
    expires: int | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a home. Times are seconds since 1970; `expires` is None where it never does.

    user: its first user id. signs: whether the primary key itself may sign data. subkeys: those that may.
    """

    fingerprint: Fingerprint
    user: str
    algorithm: str
    bits: int
    created: int
    expires: int | None
    revoked: bool
    throwaway: bool
    signs: bool = True
    subkeys: tuple[Subkey, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A home in use: what gpg is told about it. `wrap` lets an agent of elpack's own live as long as one command."""

    home: Path
    env: Mapping[str, str]
    own: bool

    def wrap(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command, started by an agent that ends with it if the home is elpack's own."""
        return (*with_agent(str(self.home)), *argv) if self.own else argv


@dataclass(frozen=True, slots=True)
class Keyring:
    """One GnuPG home.

    own: it is elpack's, which alone uses it. Then no agent outlives a command, and the folder's path may be longer
    than a socket's name can be. Else it is the user's, whose agent asks for passphrases and stays.
    """

    home: Path
    runner: Runner = run
    own: bool = False

    def keys(self, *, secret: bool = False) -> tuple[Key, ...]:
        """Return the keys, with `secret` those whose secret part is there or on a card."""
        if not self.home.is_dir():
            return ()
        with self.opened() as at:
            done = self._gpg(at, ("--with-colons", "--list-secret-keys" if secret else "--list-keys"))
        return read_listing(_checked(done, "the keys cannot be listed").stdout)

    def sign(self, key: Fingerprint, data: bytes, *, armor: bool = True, expires_days: int | None = None) -> bytes:
        """Return a detached signature of the data, by exactly this key or subkey, with SHA-256.

        expires_days: after so many days the signature counts no more. Raises `SigningError`.
        """
        with self.opened() as at, tempfile.TemporaryDirectory(prefix="elpack-sign-") as scratch:
            content, signature = Path(scratch, "data"), Path(scratch, "data.sig")
            content.write_bytes(data)
            expiry = f"{expires_days}d" if expires_days else "0"
            arguments = (
                *("--digest-algo", "SHA256", "--local-user", f"{key}!", "--default-sig-expire", expiry),
                *(("--armor",) if armor else ("--no-armor",)),
                *("--output", str(signature), "--detach-sign", str(content)),
            )
            _checked(self._gpg(at, arguments), f"{key} did not sign")
            return signature.read_bytes()

    def export(self, keys: Iterable[Fingerprint]) -> str:
        """Return public keys as one armoured block, with nobody else's signatures on them."""
        with self.opened() as at:
            options = ("--armor", "--export-options", "export-minimal,no-export-attributes")
            return _checked(self._gpg(at, (*options, "--export", *keys)), "the public keys cannot be exported").stdout

    def packets(self, key: Fingerprint) -> tuple[PublicKey | Signature, ...]:
        """Return what one public key consists of: keys, and the newest of its own signatures on each part."""
        return read_packets(dearmour(self.export((key,))))

    def verify(self, data: Path, signature: Path) -> Fingerprint | None:
        """Return which key of this home made the signature; None if none did, or if it or the key has expired."""
        with self.opened() as at:
            done = self._gpg(at, ("--status-fd", "1", "--verify", str(signature), str(data)))
        found = re.search(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]{40}) .* ([0-9A-F]{40})$", done.stdout, re.MULTILINE)
        good = re.search(r"^\[GNUPG:\] GOODSIG ", done.stdout, re.MULTILINE)
        return Fingerprint(found[2]) if done.returncode == 0 and found and good else None

    @contextlib.contextmanager
    def opened(self) -> Iterator[Opened]:
        """Provide the home for commands of other programs that start gpg, such as rpmsign."""
        if not self.own:
            yield Opened(self.home, _user_environment(self.home), own=False)
            return
        # A folder of its own for each use: a short path for the agent's socket, and no other run's agent in it.
        with tempfile.TemporaryDirectory(prefix="elpack-gpg-", ignore_cleanup_errors=True) as name:
            short = Path(name)
            for part in ("pubring.kbx", "private-keys-v1.d"):
                (short / part).symlink_to(self.home.absolute() / part)
            try:
                yield Opened(short, {**CLEAN_ENV, "HOME": name, "GNUPGHOME": name}, own=True)
            finally:
                end_agent(name, self.runner)

    def _gpg(self, at: Opened, arguments: tuple[str, ...]) -> Completed:
        argv = (
            *("gpg", "--homedir", str(at.home), "--batch", "--no-tty", "--no-options", "--quiet"),
            *("--no-permission-warning", "--no-auto-check-trustdb", "--trust-model", "always", "--no-auto-key-locate"),
            *("--fixed-list-mode", *arguments),
        )
        try:
            return self.runner(Command(at.wrap(argv), env=at.env, timeout=_PATIENCE))
        except CommandError as error:
            raise explained("Timeout", f"gpg did not end within {_PATIENCE:.0f} s") from error


@contextlib.contextmanager
def keyring_of(key_file: Path, runner: Runner = run) -> Iterator[Keyring]:
    """Provide a home that holds the public keys of a file and nothing else. Raises `SigningError` if it has none."""
    with tempfile.TemporaryDirectory(prefix="elpack-keys-", ignore_cleanup_errors=True) as home:
        argv = ("gpg", "--homedir", home, "--batch", "--no-tty", "--no-options", "--quiet", "--no-autostart")
        command = Command((*argv, "--import", str(key_file)), env={**CLEAN_ENV, "GNUPGHOME": home}, timeout=60)
        done = runner(command)
        if done.returncode != 0:
            raise SigningError(Problem(f"gpg does not import the keys\n{done.tail(5)}", where=str(key_file)))
        yield Keyring(Path(home), runner)


def explained(text: str, what: str, where: str = "") -> SigningError | DiskFullError:
    """Return the error for what gpg said: the likely cause, and what to do."""
    if says_full(text):
        return DiskFullError(Problem(f"{what}\n{text.rstrip()}", where, fix="free some, then run again"))
    why, fix = next(((why, fix) for pattern, why, fix in _REASONS if pattern.search(text)), ("", ""))
    said = "\n".join(text.rstrip().splitlines()[-5:])
    return SigningError(Problem(f"{what}\n{said}" if said else what, where, why, fix))


def with_agent(home: str) -> tuple[str, ...]:
    """Return what a command begins with whose agent ends with it.

    The agent's log is a file. It would keep stderr open else, and wait for its parent to be gone, whose end nobody
    notices who waits for that stderr to end.
    """
    return ("gpg-agent", "--quiet", "--homedir", home, "--log-file", f"{home}/agent.log", "--daemon", "--")


def end_agent(home: str, runner: Runner = run) -> None:
    """End the agent of a home if one runs, and remove the folder of its socket if that lies elsewhere."""
    for order in (("--kill", "gpg-agent"), ("--remove-socketdir",)):
        runner(Command(("gpgconf", "--homedir", home, *order), timeout=60))


def user_home() -> Path:
    """Return the user's GnuPG home: GNUPGHOME, else ~/.gnupg."""
    return Path(os.environ.get("GNUPGHOME") or Path.home() / ".gnupg").absolute()


def read_listing(text: str) -> tuple[Key, ...]:
    """Return the keys of a listing by gpg --with-colons, with their subkeys that can sign."""
    keys: list[Key] = []
    part: list[str] = []
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] in {"pub", "sec", "sub", "ssb"}:
            part = fields
        elif fields[0] == "fpr":
            fingerprint = Fingerprint(fields[9])
            if part[0] in {"pub", "sec"}:
                keys.append(_key(part, fingerprint))
            elif "s" in part[11]:
                keys[-1] = replace(keys[-1], subkeys=(*keys[-1].subkeys, _subkey(part, fingerprint)))
        elif fields[0] == "uid" and fields[1] != "r":
            user = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), fields[9])
            throwaway = keys[-1].throwaway or bool(_THROWAWAY.search(user))
            keys[-1] = replace(keys[-1], user=keys[-1].user or user, throwaway=throwaway)
    return tuple(keys)


def _key(fields: list[str], fingerprint: Fingerprint) -> Key:
    return Key(
        fingerprint=fingerprint,
        user="",
        algorithm=_algorithm(fields[3]),
        bits=int(fields[2] or 0),
        created=int(fields[5] or 0),
        expires=int(fields[6]) if fields[6] else None,
        revoked=fields[1] == "r",
        throwaway=False,
        signs="s" in fields[11],
    )


def _subkey(fields: list[str], fingerprint: Fingerprint) -> Subkey:
    return Subkey(
        fingerprint=fingerprint,
        algorithm=_algorithm(fields[3]),
        bits=int(fields[2] or 0),
        created=int(fields[5] or 0),
        expires=int(fields[6]) if fields[6] else None,
        revoked=fields[1] == "r",
    )


def _algorithm(number: str) -> str:
    return ALGORITHMS.get(int(number or 0), f"algorithm {number}")


def _checked(done: Completed, what: str) -> Completed:
    if done.returncode != 0:
        raise explained(done.stderr or done.stdout, what)
    return done


def _user_environment(home: Path) -> dict[str, str]:
    found = {name: os.environ[name] for name in _FROM_USER if name in os.environ}
    if "GPG_TTY" not in found and sys.stdin is not None and sys.stdin.isatty():
        found["GPG_TTY"] = os.ttyname(sys.stdin.fileno())
    return {**CLEAN_ENV, **found, "GNUPGHOME": str(home)}
