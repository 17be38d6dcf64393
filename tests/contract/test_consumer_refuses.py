"""What a customer's own dnf and rpm say to what was tampered with: each test fails if it is accepted, and asserts why.

Over http, as from a mirror, and, where packages are concerned, from a folder, for which dnf goes another way. dnf says
of every bad signature on metadata the same "Bad GPG signature"; where that could have another cause, a control beside
it changes nothing but the cause.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.contract.customer import Customer, Hand, Said, flip, index, overwrite, served, toy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEW = "toy-2-1.noarch.rpm"
OLD = "toy-1-1.noarch.rpm"
CHECKSUM = "checksum"
METADATA = "repomd.xml GPG signature verification error: Bad GPG signature"
UNSIGNED_METADATA = "GPG verification is enabled, but GPG signature is not available"


class People(NamedTuple):
    """ours signs the releases; attacker has a key of their own; expired is a key of ours whose year is over."""

    ours: Hand
    attacker: Hand
    expired: Hand


@pytest.fixture(scope="module")
def people(needs: Callable[..., None]) -> Iterator[People]:
    needs("gpg", "rpmsign", "rpmbuild", "createrepo_c", "dnf", "rpmkeys")
    with tempfile.TemporaryDirectory(prefix="keys") as folder:  # short: the agent's socket lies in it
        home, past = Path(folder), "20240101T000000"
        ours = replace(Hand.new(home / "ours", moment=past), moment="")
        attacker = Hand.new(home / "attacker", bits=2048)
        everybody = People(ours, attacker, Hand.new(home / "expired", moment=past, expires="1y", bits=2048))
        yield everybody
        for hand in everybody:
            hand.stop()


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory, people: People) -> Path:
    """Return a folder with two versions, unsigned."""
    folder = tmp_path_factory.mktemp("toys")
    for version in ("1", "2"):
        shutil.copy(toy(folder / "built", version), folder)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, toys: Path, people: People) -> Path:
    """Return a repository as it should be."""
    return stock(tmp_path_factory.mktemp("good") / "repo", toys, people.ours)


def stock(repository: Path, toys: Path, hand: Hand, *names: str) -> Path:
    repository.mkdir()
    for name in names or (OLD, NEW):
        shutil.copy(toys / name, repository)
        hand.sign_rpm(repository / name)
    index(repository, hand)
    return repository


@dataclass
class Shop:
    """A repository that may be tampered with, and customers who come to it."""

    work: Path
    repo: Path
    url: str
    people: People

    def customer(self, name: str = "customer", key: Hand | None = None, **options: str) -> Customer:
        work = self.work / name
        work.mkdir()
        return Customer(work, self.url, (key or self.people.ours).public(work / "key"), options)

    def refuses(self, why: str, key: Hand | None = None, **options: str) -> None:
        customer = self.customer(key=key, **options)
        said = customer.dnf("install", "toy")
        assert said.code == 1, said.text
        assert why in said.text
        assert customer.installed() == ""

    def accepts(self, key: Hand | None = None, **options: str) -> None:
        customer = self.customer("control", key, **options)
        said = customer.dnf("install", "toy")
        assert said.code == 0, said.text
        assert customer.installed() == "2"


@pytest.fixture(params=["http", "folder"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, good: Path, people: People) -> Iterator[Shop]:
    repo = tmp_path / "repo"
    shutil.copytree(good, repo)
    with ExitStack() as stack:
        url = stack.enter_context(served(repo)) if request.param == "http" else repo.as_uri()
        yield Shop(tmp_path, repo, url, people)


pytestmark = pytest.mark.root
ONLY_HTTP = pytest.mark.parametrize("shop", ["http"], indirect=True)


def header_end(path: Path) -> int:
    """Return where an RPM's header ends and its payload begins."""
    data = path.read_bytes()

    def end(start: int) -> int:
        entries, size = struct.unpack(">II", data[start + 8 : start + 16])
        return int(start + 16 + 16 * entries + size)

    signature = end(96)
    return end(signature + -signature % 8)


def in_payload(path: Path) -> None:
    flip(path, (header_end(path) + path.stat().st_size) // 2)


def in_header(path: Path) -> None:
    flip(path, header_end(path) - 300)


FLIPS = pytest.mark.parametrize("damage", [in_payload, in_header])


def test_the_good_repository_installs_with_both_checks_on(shop: Shop) -> None:
    shop.accepts()


@FLIPS
def test_a_flipped_bit_in_an_rpm(shop: Shop, damage: Callable[[Path], None]) -> None:
    damage(shop.repo / NEW)
    shop.refuses(CHECKSUM)


@ONLY_HTTP
@FLIPS
def test_a_flipped_bit_with_metadata_of_the_attacker(shop: Shop, damage: Callable[[Path], None]) -> None:
    damage(shop.repo / NEW)
    index(shop.repo, shop.people.attacker)
    shop.refuses(METADATA)


@ONLY_HTTP
@FLIPS
def test_a_flipped_bit_with_new_metadata_and_the_old_signature(shop: Shop, damage: Callable[[Path], None]) -> None:
    signature = (shop.repo / "repodata" / "repomd.xml.asc").read_bytes()
    damage(shop.repo / NEW)
    index(shop.repo, None)
    (shop.repo / "repodata" / "repomd.xml.asc").write_bytes(signature)
    shop.refuses(METADATA)


@FLIPS
def test_a_flipped_bit_that_even_our_metadata_vouch_for(shop: Shop, damage: Callable[[Path], None]) -> None:
    damage(shop.repo / NEW)
    index(shop.repo, shop.people.ours)
    shop.refuses(f"Problem opening package {NEW}")


def replaced(shop: Shop, data: bytes, hand: Hand | None = None) -> None:
    overwrite(shop.repo / NEW, data)
    if hand:
        hand.sign_rpm(shop.repo / NEW)


def test_an_unsigned_rpm_of_the_same_name(shop: Shop, toys: Path) -> None:
    replaced(shop, (toys / NEW).read_bytes())
    shop.refuses(CHECKSUM)
    index(shop.repo, shop.people.ours)
    shutil.rmtree(shop.work / "customer")
    shop.refuses(f"Package {NEW} is not signed")


def test_an_rpm_of_the_same_name_signed_by_another(shop: Shop, toys: Path) -> None:
    replaced(shop, (toys / NEW).read_bytes(), shop.people.attacker)
    shop.refuses(CHECKSUM)
    index(shop.repo, shop.people.ours)
    shutil.rmtree(shop.work / "customer")
    shop.refuses(f"Public key for {NEW} is not installed")


@ONLY_HTTP
def test_an_rpm_of_another_where_metadata_are_not_checked(shop: Shop, toys: Path) -> None:
    # the second line: whoever leaves repo_gpgcheck out still gets no packages but ours
    replaced(shop, (toys / NEW).read_bytes(), shop.people.attacker)
    index(shop.repo, shop.people.attacker)
    shop.refuses(f"Public key for {NEW} is not installed", repo_gpgcheck="0")


def test_an_older_rpm_of_ours_under_the_newer_name(shop: Shop) -> None:
    replaced(shop, (shop.repo / OLD).read_bytes())
    # as long as the newer one, so that the digest is what tells
    shortage = len((shop.repo / OLD).read_bytes()) - (shop.repo / NEW).stat().st_size
    assert shortage == 0
    customer = shop.customer()
    said = customer.dnf("install", "toy")
    assert (said.code, customer.installed()) == (1, "")
    assert CHECKSUM in said.text or "repository metadata states file length" in said.text


@ONLY_HTTP
def test_an_older_rpm_under_the_newer_name_with_metadata_of_the_attacker(shop: Shop) -> None:
    replaced(shop, (shop.repo / OLD).read_bytes())
    index(shop.repo, shop.people.attacker)
    shop.refuses(METADATA)


@ONLY_HTTP
def test_altered_packages_metadata(shop: Shop) -> None:
    (primary,) = (shop.repo / "repodata").glob("*primary.xml.gz")
    flip(primary, primary.stat().st_size // 2)
    shop.refuses("Failed to download metadata for repo 'toys'")


@ONLY_HTTP
def test_altered_repomd(shop: Shop) -> None:
    repomd = shop.repo / "repodata" / "repomd.xml"
    overwrite(repomd, repomd.read_bytes().replace(b"<revision>", b"<revision>1"))
    shop.refuses(METADATA)


@ONLY_HTTP
def test_unsigned_metadata(shop: Shop) -> None:
    (shop.repo / "repodata" / "repomd.xml.asc").unlink()
    shop.refuses(UNSIGNED_METADATA)


@ONLY_HTTP
def test_a_wrong_key(shop: Shop) -> None:
    shop.refuses(METADATA, key=shop.people.attacker)


@ONLY_HTTP
def test_an_expired_key(shop: Shop, toys: Path) -> None:
    shutil.rmtree(shop.repo)
    expired = shop.people.expired
    stock(shop.repo, toys, expired)
    shop.refuses(METADATA, key=expired)
    # the very same files and signatures, and the key with more years to live
    with tempfile.TemporaryDirectory(prefix="keys") as folder:
        longer = Hand(
            Path(shutil.copytree(expired.home, Path(folder) / "longer", ignore=shutil.ignore_patterns("S.*")))
        )
        longer.gpg("--quick-set-expire", longer.fingerprint, "0")
        shop.accepts(key=longer)
        longer.stop()


@dataclass
class Past:
    """A repository of some time ago, which held the version that has a hole, and its signature of then."""

    shop: Shop
    toys: Path

    def played_back(self, days: int) -> None:
        shutil.rmtree(self.shop.repo)
        then = replace(self.shop.people.ours, moment="20260101T000000", days=days)
        stock(self.shop.repo, self.toys, replace(then, days=0), OLD)
        index(self.shop.repo, then)


@ONLY_HTTP
def test_an_old_repository_played_back_whose_signature_expired(shop: Shop, toys: Path) -> None:
    customer = shop.customer()
    assert customer.dnf("install", "toy").code == 0
    Past(shop, toys).played_back(days=30)
    shop.work = shop.work / "another"
    shop.work.mkdir()
    shop.refuses(METADATA)
    # nor does one who was here before believe it
    said = customer.dnf("downgrade", "toy")
    assert said.code == 1
    assert METADATA in said.text
    assert customer.installed() == "2"


@ONLY_HTTP
def test_an_old_repository_whose_signature_does_not_expire_is_believed(shop: Shop, toys: Path) -> None:
    """No test of a refusal but of what the documentation says: without `metadata-expires` nothing tells dnf the age."""
    Past(shop, toys).played_back(days=0)
    customer = shop.customer()
    said = customer.dnf("install", "toy")
    assert (said.code, customer.installed()) == (0, "1")


@ONLY_HTTP
def test_after_a_refused_refresh_the_cache_installs_nothing_tampered(shop: Shop, toys: Path) -> None:
    customer = shop.customer()
    assert customer.dnf("makecache").code == 0
    overwrite(shop.repo / NEW, (toys / NEW).read_bytes())
    index(shop.repo, shop.people.attacker)
    said = customer.dnf("install", "toy")
    assert said.code == 1, said.text
    assert METADATA in said.text
    # neither from the cache without asking anybody: its digests are those of the good ones
    said = customer.dnf("--cacheonly", "install", "toy")
    assert said.code == 1, said.text
    assert customer.installed() == ""


@ONLY_HTTP
def test_after_a_refused_refresh_skip_if_unavailable_installs_nothing(shop: Shop) -> None:
    customer = shop.customer(skip_if_unavailable="1")
    assert customer.dnf("makecache").code == 0
    index(shop.repo, shop.people.attacker)
    said = customer.dnf("install", "toy")
    assert said.code == 1, said.text
    assert METADATA in said.text
    assert customer.installed() == ""


# rpm alone, as an administrator who has a file and our key


@pytest.fixture
def machine(tmp_path: Path, people: People) -> Customer:
    customer = Customer(tmp_path / "machine", "", people.ours.public(tmp_path / "key"))
    customer.trust()
    return customer


@pytest.fixture
def files(tmp_path: Path, good: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "files"))


def no(machine: Customer, said: Said, why: str) -> None:
    assert said.code != 0, said.text
    assert why.lower() in said.text.lower()
    assert machine.installed() == ""


def test_rpm_installs_what_we_signed(machine: Customer, files: Path) -> None:
    said = machine.rpm("-U", files / NEW)
    assert said.code == 0, said.text
    assert machine.installed() == "2"


@pytest.mark.parametrize(
    ("damage", "why"), [(in_payload, "Payload SHA256 ALT digest: BAD"), (in_header, "Header V4 RSA/SHA256 Signature")]
)
def test_rpm_refuses_a_flipped_bit(machine: Customer, files: Path, damage: Callable[[Path], None], why: str) -> None:
    damage(files / NEW)
    no(machine, machine.rpm("-U", files / NEW), why)


def test_rpm_refuses_the_unsigned(machine: Customer, toys: Path) -> None:
    no(machine, machine.rpm("-U", toys / NEW), "no signature")


def test_rpm_refuses_another_key(machine: Customer, files: Path, toys: Path, people: People) -> None:
    overwrite(files / NEW, (toys / NEW).read_bytes())
    people.attacker.sign_rpm(files / NEW)
    no(machine, machine.rpm("-U", files / NEW), "NOKEY")


def test_rpm_refuses_all_without_our_key(tmp_path: Path, files: Path, people: People) -> None:
    stranger = Customer(tmp_path / "stranger", "", people.ours.public(tmp_path / "key"))
    no(stranger, stranger.rpm("-U", files / NEW), "NOKEY")


def test_rpm_does_not_go_back_to_an_older_version_under_a_newer_name(machine: Customer, files: Path) -> None:
    assert machine.rpm("-U", files / NEW).code == 0
    renamed = files / "toy-3-1.noarch.rpm"
    shutil.copy(files / OLD, renamed)
    said = machine.rpm("-U", renamed)
    assert said.code != 0
    assert "(which is newer than toy-1-1.noarch) is already installed" in said.text
    assert machine.installed() == "2"
