"""The texts of an air-gap delivery."""

from __future__ import annotations

import pytest

from elpack.delivery import Delivery, delivery_text, host_needs, readme_text, sums_text
from elpack.openpgp import Fingerprint

DELIVERY = Delivery(
    "app", "app-bundle", "1.0-1.el9", "el9", "x86_64", "bundle", Fingerprint("AB" * 20), ("app-1.0-1.el9",)
)


def test_names() -> None:
    assert DELIVERY.archive == "app-bundle-1.0-1.el9.el9.x86_64.airgap.tar"
    assert DELIVERY.fingerprints == "app-bundle-1.0-1.el9.el9.x86_64.FINGERPRINTS"
    assert DELIVERY.keys == "RPM-GPG-KEY-app"


def test_what_the_scripts_read() -> None:
    values = dict(line.split("=", 1) for line in delivery_text(DELIVERY).splitlines())
    assert values["name"] == "app-bundle-1.0-1.el9.el9.x86_64"
    assert (values["version"], values["install"], values["throwaway"]) == ("1.0-1.el9", "app-1.0-1.el9", "no")


def test_readme_tells_of_images_only_where_there_are_some() -> None:
    assert "openssl" not in readme_text(DELIVERY)
    with_images = Delivery(*("a", "a", "1", "el9", "x86_64", "stack", Fingerprint("AB" * 20), ()), image_key="cd" * 32)
    assert "openssl" in readme_text(with_images)
    assert "sh ./verify 'FINGERPRINT' IMAGE-KEY-FINGERPRINT" in readme_text(with_images)


def test_sums_are_sorted() -> None:
    assert sums_text({"b": "2" * 64, "a/c": "1" * 64}) == f"{'1' * 64}  a/c\n{'2' * 64}  b\n"


@pytest.mark.parametrize("path", ["a b", "a\nb", "../a", "/a", "a//b", "a/./b", "", "ä", "a\\b", "$a"])
def test_no_name_is_listed_that_the_verifier_refuses(path: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file that can be delivered"):
        sums_text({path: "1" * 64})


def test_what_the_host_has_to_bring() -> None:
    requires = ["app = 1.0-1", "libc.so.6()(64bit)", "/usr/bin/sh", "/opt/app/bin/python", "app(x) >= 2"]
    provides = ["app = 1.0-1", "app(x) = 2"]
    assert host_needs(requires, provides, {"/opt/app/bin/python"}) == ("/usr/bin/sh", "libc.so.6()(64bit)")
