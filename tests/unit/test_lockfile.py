from __future__ import annotations

import pytest

from elpack.errors import LockError
from elpack.lockfile import KNOWN_REVISION, parse_uv_lock
from elpack.model import SourceKind

SHA = "a" * 64
HEAD = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
PYPI = 'source = { registry = "https://pypi.org/simple" }'


def entry(body: str = "", name: str = "attrs", source: str = PYPI) -> str:
    return f'\n[[package]]\nname = "{name}"\nversion = "1.0"\n{source}\n{body}\n'


def sdist(url: str = "https://files.example.org/attrs-1.0.tar.gz", digest: str = f"sha256:{SHA}") -> str:
    return f'sdist = {{ url = "{url}", hash = "{digest}", size = 10, upload-time = "2026-01-02T03:04:05.6Z" }}'


def refused(text: str) -> str:
    with pytest.raises(LockError) as caught:
        parse_uv_lock(text, "uv.lock")
    return str(caught.value)


def test_an_entry_becomes_typed_values() -> None:
    lock = parse_uv_lock(HEAD + entry(sdist()), "uv.lock")

    assert (lock.version, lock.revision, str(lock.requires_python)) == (1, 3, ">=3.11")
    (dist,) = lock.dists
    assert (dist.name, str(dist.version), dist.source, dist.line) == ("attrs", "1.0", SourceKind.REGISTRY, 5)
    assert dist.sdist is not None
    assert dist.sdist.filename == "attrs-1.0.tar.gz"
    assert dist.sdist.sha256 == SHA
    assert (dist.sdist.size, dist.sdist.uploaded) == (10, 1767323045)


def test_the_old_spelling_of_upload_time_is_read() -> None:
    lock = parse_uv_lock(HEAD + entry(sdist().replace("upload-time", "upload_time")), "uv.lock")

    assert lock.dists[0].sdist is not None
    assert lock.dists[0].sdist.uploaded == 1767323045


def test_escapes_in_a_url_are_decoded_in_the_file_name() -> None:
    lock = parse_uv_lock(HEAD + entry(sdist("https://example.org/attrs-1.0%2Blocal.tar.gz#x")), "uv.lock")

    assert lock.dists[0].sdist is not None
    assert lock.dists[0].sdist.filename == "attrs-1.0+local.tar.gz"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("version = 2\n", "uv.lock: version: unknown lock version 2; elpack reads version 1"),
        (f"version = 1\nrevision = {KNOWN_REVISION + 1}\n", f"unknown lock revision {KNOWN_REVISION + 1}"),
        ("version = 1\nrevision = -1\n", "unknown lock revision -1; elpack knows revisions 0 to"),
        ("revision = 3\n", "uv.lock: version: this key is required"),
        ('version = "1"\n', "uv.lock: version: expected an integer, found a string"),
        ("version = 1\nversion = 1\n", "uv.lock: not valid TOML: Cannot overwrite a value (at line 2"),
    ],
)
def test_an_unknown_lock_is_refused(head: str, message: str) -> None:
    assert message in refused(head)


@pytest.mark.parametrize("revision", range(KNOWN_REVISION + 1))
def test_every_known_revision_is_read(revision: int) -> None:
    text = f'version = 1\nrevision = {revision}\nrequires-python = ">=3.11"\n'
    assert parse_uv_lock(text, "uv.lock").revision == revision


def test_no_revision_is_the_first() -> None:
    assert parse_uv_lock('version = 1\nrequires-python = ">=3.11"\n', "uv.lock").revision == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            sdist(digest="md5:abc"),
            "package attrs.sdist.hash: a sha256 is needed to trust this file, found md5",
        ),
        (sdist(digest="sha256:ABC"), "a sha256 is needed to trust this file, found sha256"),
        (sdist().replace(f'hash = "sha256:{SHA}", ', ""), "a sha256 is needed to trust this file, found none"),
        (sdist("http://example.org/a-1.tar.gz"), "only https URLs are fetched, found 'http://example.org/a-1.tar.gz'"),
        (sdist("http://127.0.0.1/a-1.tar.gz"), "only https URLs are fetched, found 'http://127.0.0.1/a-1.tar.gz'"),
        (sdist("file:///etc/passwd"), "only https URLs are fetched, found 'file:///etc/passwd'"),
        (sdist("https://example.org/a b.tar.gz"), "only https URLs are fetched"),
        (sdist("https://[bad/a.tar.gz"), "is not a URL: Invalid IPv6 URL"),
        (sdist("https://example.org/..%2Fevil"), "'../evil' is not a file name of a distribution"),
        (sdist("https://example.org/%2Devil"), "'-evil' is not a file name of a distribution"),
        (sdist("https://example.org/"), "'' is not a file name of a distribution"),
        ('sdist = { path = "a.tar.gz" }', "the file has no URL, it lies on the machine that locked"),
        (sdist().replace("10", '"10"'), "package attrs.sdist.size: expected an integer, found a string"),
        (sdist().replace("2026-01", "2026-13"), "package attrs.sdist.upload-time: month must be in 1..12"),
        ('dependencies = [{ name = "a b" }]', "package attrs.dependencies[0].name: 'a b' is not a valid name"),
        ('dependencies = [{ name = "b", marker = "os == 3" }]', "'os == 3' is not an environment marker"),
        ('resolution-markers = ["nonsense"]', "resolution-markers[0]: 'nonsense' is not an environment marker"),
        ("wheels = [1]", "package attrs.wheels[0]: expected a table"),
    ],
)
def test_a_bad_entry_is_refused_with_its_line(body: str, message: str) -> None:
    found = refused(HEAD + entry(body))
    assert message in found
    assert found.startswith("uv.lock:5: package attrs")


def test_all_problems_are_told_at_once() -> None:
    text = HEAD + entry(sdist(digest="md5:a")) + entry(sdist("ftp://a/b"), name="six").replace('"1.0"', '"one"')
    with pytest.raises(LockError) as caught:
        parse_uv_lock(text, "uv.lock")

    assert [problem.where.partition(" ")[0] for problem in caught.value.problems] == [
        "uv.lock:5:",
        "uv.lock:11:",
        "uv.lock:11:",
    ]


def test_an_unknown_source_is_refused() -> None:
    assert "package attrs.source: unknown kind of source: svn" in refused(HEAD + entry(source='source = { svn = "x" }'))


def test_the_same_entry_twice_is_refused() -> None:
    assert "uv.lock:11: attrs 1.0 is there twice, first at line 5" in refused(HEAD + entry() + entry())


def test_a_registry_entry_needs_a_version() -> None:
    assert "package attrs.version: this key is required" in refused((HEAD + entry()).replace('version = "1.0"\n', ""))


def test_http_of_this_host_passes_for_tests_only() -> None:
    text = HEAD + entry(sdist("http://127.0.0.1:8000/a-1.tar.gz"))

    assert parse_uv_lock(text, "uv.lock", loopback=True).dists[0].sdist is not None
    with pytest.raises(LockError, match="only https"):
        parse_uv_lock(text.replace("127.0.0.1", "127.0.0.1.example.org"), "uv.lock", loopback=True)


def test_a_flat_index_in_a_folder_is_a_path() -> None:
    lock = parse_uv_lock(HEAD + entry(source='source = { registry = "../wheels" }'), "uv.lock")
    assert lock.dists[0].source is SourceKind.PATH


def test_files_of_other_sources_are_not_judged() -> None:
    source = 'source = { git = "https://example.org/a#0" }'
    lock = parse_uv_lock(HEAD + entry(sdist(digest="md5:a"), source=source), "uv.lock")
    assert lock.dists[0].sdist is None


def test_requires_python_must_be_one() -> None:
    assert "requires-python: 'x' is not a version specifier" in refused('version = 1\nrequires-python = "x"\n')
