"""The [signing] table: full fingerprints only, every mistake at its key."""

from __future__ import annotations

import pytest

from elpack.config.signing import Signing, read_signing
from elpack.tables import parse_toml

A, B = "A" * 40, "0123456789abcdef0123456789abcdef01234567"


def read(text: str) -> tuple[Signing, dict[str, str]]:
    table = parse_toml("elpack.toml", f"[signing]\n{text}").table("signing")
    return read_signing(table), {problem.where.rpartition(".")[2]: problem.what for problem in table.problems}


def test_nothing_said_is_a_snapshot() -> None:
    assert read("") == (Signing(), {})


def test_all_of_it() -> None:
    spaced = " ".join(B[start : start + 4] for start in range(0, 40, 4))
    text = f'key = "{A}"\nalso-trusted = ["{spaced}"]\nmetadata-expires = 30'
    signing, problems = read(text)
    assert problems == {}
    assert signing == Signing(A, (B.upper(),), 30)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('key = "DEADBEEF"', "key", "8 digits"),
        ('key = "0xDEADBEEFDEADBEEF"', "key", "shorter id"),
        ('key = "release@example.org"', "key", "no fingerprint"),
        (f'key = "{A}0"', "key", "41 digits"),
        ("key = 7", "key", "expected a string"),
        (f'key = "{A}"\nalso-trusted = ["{A.lower()}"]', "also-trusted", "the key itself"),
        (f'key = "{A}"\nalso-trusted = ["{B}", "{B.upper()}"]', "also-trusted[1]", "twice"),
        (f'key = "{A}"\nalso-trusted = ["x"]', "also-trusted[0]", "no fingerprint"),
        (f'also-trusted = ["{B}"]', "also-trusted", "snapshot"),
        (f'key = "{A}"\nmetadata-expires = 0', "metadata-expires", "1 to 3650"),
        (f'key = "{A}"\nmetadata-expires = 99999', "metadata-expires", "1 to 3650"),
        ('metadata-expires = "30d"', "metadata-expires", "expected an integer"),
        (f'key = "{A}"\nexpires = 1', "expires", "unknown key"),
    ],
)
def test_mistakes_are_told_at_their_key(text: str, key: str, words: str) -> None:
    _, problems = read(text)
    assert list(problems) == [key]
    assert words in problems[key]
