"""The signed provenance, judged by gpg itself: by elpack, and by hand as the documentation says."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.contract.customer import PATH, Hand, tool
from tests.unit.plans import Case, digest

from elpack.errors import VerifyError
from elpack.openpgp import Fingerprint
from elpack.plan.make import make_plan
from elpack.provenance import Artefact, Material, statement
from elpack.steps.describe import check_provenance, renewed_provenance, signed_provenance
from elpack.steps.sign import Signer
from elpack.tools.gpg import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOW_TO = REPOSITORY / "docs" / "how-to" / "check-the-provenance.md"


@pytest.fixture(scope="module")
def hands(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hand, Hand]]:
    needs("gpg", "gpg-agent")
    folder = tmp_path_factory.mktemp("k")
    ours, stranger = Hand.new(folder / "ours"), Hand.new(folder / "else")
    yield ours, stranger
    ours.stop()
    stranger.stop()


def signer(hand: Hand) -> Signer:
    keyring = Keyring(hand.home)
    (key,) = keyring.keys(secret=True)
    return Signer(key, keyring, (key.fingerprint,))


@pytest.fixture
def results(tmp_path: Path, hands: tuple[Hand, Hand]) -> Path:
    """Return a folder of results, which rpm need not understand, with its signed provenance."""
    folder = tmp_path / "results"
    artefacts = []
    for path in ("repo/a-1-1.noarch.rpm", "srpms/a-1-1.src.rpm", "debug/a-debuginfo-1-1.x86_64.rpm"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(path)
        artefacts.append(Artefact(path, "0" * 64, hashlib.sha256(path.encode()).hexdigest()))
    stated = folder / "provenance" / "stack.intoto.json"
    stated.parent.mkdir()
    release = Material("elpack.toml", digest("toml"))
    stated.write_text(statement(make_plan(Case().inputs()), artefacts, [release], release, version="1"))
    signed_provenance(stated, signer(hands[0]), Fingerprint(hands[0].fingerprint))
    return folder


def refused(folder: Path, hand: Hand, trusted: Hand | None = None) -> str:
    with pytest.raises(VerifyError) as caught:
        check_provenance(folder, Keyring(hand.home), [(trusted or hand).fingerprint])
    return str(caught.value)


def by_hand(folder: Path, hand: Hand, scratch: Path, code: int = 0) -> str:
    """Run what the documentation says, block by block in one shell."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    script = "\n".join(["set -eu", *blocks]).replace("/tmp/", f"{scratch}/")
    return tool("env", "-C", folder, f"PATH={PATH}", "bash", "-c", script, home=hand.home, code=code)


def test_elpack_and_the_documented_commands_find_it_right(
    needs: Callable[..., None], results: Path, hands: tuple[Hand, Hand], tmp_path: Path
) -> None:
    needs("jq", "sha256sum")
    assert check_provenance(results, Keyring(hands[0].home), [hands[0].fingerprint]) == 3
    said = by_hand(results, hands[0], tmp_path)
    assert "Good signature" in said
    assert f"{'0' * 64}  repo/a-1-1.noarch.rpm" in said


def test_both_see_a_flipped_byte(
    needs: Callable[..., None], results: Path, hands: tuple[Hand, Hand], tmp_path: Path
) -> None:
    needs("jq", "sha256sum")
    (results / "repo" / "a-1-1.noarch.rpm").write_text("repo/a-1-1.noarch.rpM")
    assert "repo/a-1-1.noarch.rpm: is not what the provenance states" in refused(results, hands[0])
    assert "repo/a-1-1.noarch.rpm: FAILED" in by_hand(results, hands[0], tmp_path, code=1)


def test_both_see_a_changed_statement(
    needs: Callable[..., None], results: Path, hands: tuple[Hand, Hand], tmp_path: Path
) -> None:
    needs("jq")
    path = results / "provenance" / "stack.dsse.json"
    envelope = json.loads(path.read_text())
    path.write_text(json.dumps(envelope | {"payload": envelope["payload"].replace("A", "B", 1)}))
    assert "no signature in it is good" in refused(results, hands[0])
    assert "BAD signature" in by_hand(results, hands[0], tmp_path, code=1)


def test_a_package_that_nobody_stated_is_seen(results: Path, hands: tuple[Hand, Hand]) -> None:
    (results / "repo" / "b-1-1.noarch.rpm").write_text("b")
    assert "repo/b-1-1.noarch.rpm: is not in the provenance" in refused(results, hands[0])


def test_a_key_that_is_there_and_not_trusted_does_not_count(results: Path, hands: tuple[Hand, Hand]) -> None:
    ours, stranger = hands
    assert f"signed by {ours.fingerprint}" in refused(results, ours, trusted=stranger)
    assert "no signature in it is good" in refused(results, stranger)


def test_signing_anew_states_the_new_digests_by_the_new_key(
    results: Path, hands: tuple[Hand, Hand], tmp_path: Path
) -> None:
    stranger, path = hands[1], results / "repo" / "a-1-1.noarch.rpm"
    path.write_text("signed anew")
    files = {str(one.relative_to(results)): one for one in results.glob("*/*.rpm")}
    signed = {name: hashlib.sha256(one.read_bytes()).hexdigest() for name, one in files.items()}
    into = tmp_path / "stage"
    written = renewed_provenance(results, into, signed, signer(stranger), Fingerprint(stranger.fingerprint))
    assert [one.name for one in written] == ["stack.intoto.json", "stack.dsse.json"]
    for one in written:
        one.replace(results / "provenance" / one.name)
    assert check_provenance(results, Keyring(stranger.home), [stranger.fingerprint]) == 3
    (subject,) = (
        one
        for one in json.loads((results / "provenance" / "stack.intoto.json").read_text())["subject"]
        if one["name"] == "repo/a-1-1.noarch.rpm"
    )
    assert subject["annotations"] == {"elpack:built-sha256": "0" * 64}
