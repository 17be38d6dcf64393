"""rpmsign and rpmkeys: header signatures on RPM files, and what rpm itself makes of them afterwards."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import CommandError, Problem, SigningError, ToolMissingError
from elpack.openpgp import RSA, read_signature
from elpack.run import CLEAN_ENV, Command, run
from elpack.tools.gpg import explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from elpack.openpgp import Fingerprint, Signature
    from elpack.run import Runner
    from elpack.tools.gpg import Keyring

_SHA256 = 8
_SIGNATURES = ("RSAHEADER", "DSAHEADER", "SIGPGP", "SIGGPG")
_SIGNED = re.compile(r"    Header V4 RSA/SHA256 Signature, key ID ([0-9a-f]+): OK\Z")
_DIGEST = re.compile(r"    (?:(?:Header|Payload) (?:SHA256|SHA1)(?: ALT)? digest|MD5 digest): OK\Z")
_NEEDED = ("Header SHA256 digest: OK", "Payload SHA256 digest: OK")
_WEAK = "it is signed with something that EL9 refuses"


def sign_packages(paths: Sequence[Path], keyring: Keyring, by: Fingerprint) -> None:
    """Sign RPM files in place by a key or subkey, in as many processes as there are cores. Raises `SigningError`.

    None of the files may be a hard link to something else: callers sign copies.
    """
    shares = _shares(paths)
    with ThreadPoolExecutor(len(shares) or 1) as pool:
        for _ in pool.map(lambda share: _sign(share, keyring, by), shares):
            pass


def _sign(paths: Sequence[Path], keyring: Keyring, by: Fingerprint) -> None:
    gpg = shutil.which("gpg", path=CLEAN_ENV["PATH"])
    if gpg is None:
        raise ToolMissingError(Problem("gpg is not installed", fix="elpack doctor lists all that is missing"))
    with keyring.opened() as at:
        macros = {
            "__gpg": gpg,
            "_gpg_name": f"{by}!",
            "_gpg_path": str(at.home).replace("%", "%%"),
            "_gpg_digest_algo": "sha256",
            # so that neither ~/.rpmmacros nor ~/.gnupg/gpg.conf have a say in what is signed, and how
            "_gpg_sign_cmd_extra_args": "--no-options --batch --no-tty --no-permission-warning",
        }
        defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        argv = at.wrap(("rpmsign", *defines, "--addsign", *map(str, paths)))
        try:
            done = keyring.runner(Command(argv, env=at.env, timeout=600 + 10 * len(paths)))
        except CommandError as error:
            raise explained("Timeout", "rpmsign did not end") from error
    if done.returncode != 0:
        raise explained(done.stderr or done.stdout, f"rpmsign ended with {done.returncode}")


def verify_packages(paths: Sequence[Path], public_key: str, by: Fingerprint, runner: Runner = run) -> None:
    """Let rpm judge signed RPM files, with a database that holds this key alone.

    Each must have one header signature, RSA with SHA-256 in OpenPGP version 4, by exactly the key or subkey `by`, and
    digests that are right. Raises `SigningError` with what is wrong with each.
    """
    problems: list[Problem] = []
    with tempfile.TemporaryDirectory(prefix="elpack-rpmdb-") as scratch:
        database, key = Path(scratch, "db"), Path(scratch, "key.asc")
        key.write_text(public_key)
        options = ("--dbpath", str(database), "--define", "_pkgverify_level all")
        env = {**CLEAN_ENV, "HOME": scratch}
        done = runner(Command(("rpmkeys", *options, "--import", str(key)), env=env))
        if done.returncode != 0:
            raise SigningError(Problem(f"rpm does not import the key\n{done.tail()}", where=f"key {by}"))
        shares = _shares(paths)
        with ThreadPoolExecutor(len(shares) or 1) as pool:
            for found in pool.map(lambda share: _verify(share, options, env, by, runner), shares):
                problems += found
    if problems:
        raise SigningError(*sorted(problems, key=lambda problem: problem.where))


def _verify(
    paths: Sequence[Path], options: tuple[str, ...], env: dict[str, str], by: Fingerprint, runner: Runner
) -> list[Problem]:
    files = tuple(map(str, paths))
    done = runner(Command(("rpmkeys", *options, "--checksig", "--verbose", *files), env=env))
    said = read_verdicts(done.stdout)
    form = "".join(f"%{{{tag}:base64}}\\x1f" for tag in _SIGNATURES).replace("\\x1f", "\x1f")
    query = ("rpm", *options, "--nosignature", "--query", "--package", "--queryformat", f"{form}\x1e", *files)
    tags = runner(Command(query, env=env)).stdout.split("\x1e")[:-1]
    if len(tags) != len(files):
        return [Problem("rpm cannot read what rpmsign wrote", where=name) for name in files]
    problems = []
    for path, line in zip(paths, tags, strict=True):
        found = dict(zip(_SIGNATURES, line.split("\x1f"), strict=False))
        wrong = [*_wrong_verdict(said.get(str(path), []), by), *_wrong_tags(found, by)]
        problems += [Problem(what, where=path.name) for what in dict.fromkeys(wrong)]
    if done.returncode != 0 and not problems:
        problems.append(Problem(f"rpmkeys ended with {done.returncode}\n{done.tail()}", where=paths[0].name))
    return problems


def read_verdicts(text: str) -> dict[str, list[str]]:
    """Return the lines that rpmkeys --checksig --verbose says of each file."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("    "):
            lines.append(line)
        elif line.endswith(":"):
            lines = found[line[:-1]] = []
    return found


def _wrong_verdict(lines: Sequence[str], by: Fingerprint) -> Iterator[str]:
    signed = [match[1].upper() for line in lines if (match := _SIGNED.match(line))]
    if len(signed) != 1 or not by.endswith(signed[0]):
        yield f"rpm does not find a header signature by {by}: {'; '.join(map(str.strip, lines)) or 'no verdict'}"
    for line in lines:
        if not (_SIGNED.match(line) or _DIGEST.match(line)):
            yield f"rpm says: {line.strip()}"
    for needed in _NEEDED:
        if f"    {needed}" not in lines:
            yield f"rpm does not say: {needed}"


def _wrong_tags(tags: dict[str, str], by: Fingerprint) -> Iterator[str]:
    for name, value in tags.items():
        if name != "RSAHEADER" and value not in {"", "(none)"}:
            yield f"it has a signature of another kind as well: {name}"
    try:
        signature = read_signature(_binary(tags.get("RSAHEADER", "")))
    except ValueError as error:
        yield f"its header signature cannot be read: {error}"
        return
    yield from wrong_signature(signature, by)


def wrong_signature(signature: Signature, by: Fingerprint) -> Iterator[str]:
    """Yield what makes a signature on data one that EL9 refuses, or not the one that was wanted."""
    if signature.version != 4:  # noqa: PLR2004
        yield f"{_WEAK}: OpenPGP version {signature.version}"
        return
    if signature.algorithm != RSA:
        yield f"{_WEAK}: {signature.algorithm_name}"
    if signature.hash != _SHA256:
        yield f"{_WEAK}: {signature.hash_name}"
    if signature.kind != 0:
        yield f"{_WEAK}: a signature of kind {signature.kind:#x}"
    if signature.issuer != by:
        yield f"the signature is by {signature.issuer}, not by {by}"


def _binary(text: str) -> bytes:
    import base64

    return base64.b64decode(text) if text != "(none)" else b""


def _shares(paths: Sequence[Path]) -> list[list[Path]]:
    """Return the files in one share for each core, about as large as each other."""
    by_size = sorted(paths, key=lambda path: -path.stat().st_size)
    count = min(os.cpu_count() or 1, len(by_size))
    return [by_size[start::count] for start in range(count)]
