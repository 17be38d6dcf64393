"""Names and versions, with the exact texts; that order is kept is shown by the property tests."""

from __future__ import annotations

import pytest
from packaging.version import Version

from elpack.naming import Evr, dist_name, parse_version, rpm_name, rpm_version


@pytest.mark.parametrize(
    ("pep440", "rpm"),
    [
        ("2", "2.0.0"),
        ("2.5", "2.5.0"),
        ("2.5.0.0", "2.5.0"),
        ("2.5.0.1", "2.5.0.1"),
        ("1.0.0.0.1", "1.0.0.0.1"),
        ("2026.11.3", "2026.11.3"),
        ("1.0a1", "1.0.0~a1"),
        ("1.0rc2", "1.0.0~rc2"),
        ("1.0.dev3", "1.0.0~~dev3"),
        ("1.0a1.dev3", "1.0.0~a1~dev3"),
        ("1.0.post1", "1.0.0^post1"),
        ("1.0.post1.dev3", "1.0.0^post1~dev3"),
        ("1.0a1.post1", "1.0.0~a1^post1"),
        ("1.0+el.3", "1.0.0^^el.3"),
        ("1!1.0", "1.0.0"),
    ],
)
def test_versions(pep440: str, rpm: str) -> None:
    assert rpm_version(parse_version(pep440)) == rpm


def test_a_local_version_that_rpm_cannot_order_is_refused_with_its_text() -> None:
    with pytest.raises(ValueError, match=r"1\.0\+g1a2b: rpm cannot order local version '\+g1a2b', because a segment"):
        rpm_version(Version("1.0+g1a2b"))


def test_an_epoch_stands_in_front_only_if_there_is_one() -> None:
    version = Version("1!2.0")
    assert str(Evr(version.epoch, rpm_version(version), "1.el9")) == "1:2.0.0-1.el9"
    assert str(Evr(0, rpm_version(version), "1.el9")) == "2.0.0-1.el9"


def test_what_is_no_version_is_refused_with_its_text() -> None:
    with pytest.raises(ValueError, match=r"'one\.two' is not a PEP 440 version"):
        parse_version("one.two")


@pytest.mark.parametrize(
    ("text", "name"), [("zope.interface", "zope-interface"), ("Py_UBJSON", "py-ubjson"), ("a--b", "a-b")]
)
def test_dist_names_are_normalised(text: str, name: str) -> None:
    assert dist_name(text) == name


@pytest.mark.parametrize("text", ["", "-a", "a b", "a\n", "a%b", "ä", "../a"])
def test_what_is_no_dist_name_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid name of a Python distribution") as refusal:
        dist_name(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize("text", ["python3.12-foo", "crossbar", "gcc-c++", "a_b"])
def test_rpm_names_are_returned_as_they_are(text: str) -> None:
    assert rpm_name(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "a b", "a\n", "a%{x}", "a(b)", "ä"])
def test_what_is_no_rpm_name_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid RPM name") as refusal:
        rpm_name(text)
    assert repr(text) in str(refusal.value)
