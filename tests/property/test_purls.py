"""Laws of what is read from SBOMs of others: nothing in them can stop a release from being described."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from packageurl import PackageURL

from elpack.archives.sboms import read_sbom
from elpack.model import Sha256
from elpack.sbom.purls import bundled_purl, with_version

KEYS = ("name", "version", "purl", "licenses", "license", "id", "expression", "components", "bomFormat")
PIECE = st.text(st.sampled_from("aZ0._-~^%@/?#&=:+ \x00é\u202e2F40"), max_size=12)
PURL = st.builds(
    lambda kind, parts: f"pkg:{kind}/{'/'.join(parts)}",
    st.sampled_from(
        [
            "pypi",
            "cargo",
            "npm",
            "golang",
            "github",
            "swift",
            "generic",
            "docker",
            "x-1",
            "",
            "oci",
            "cran",
            "huggingface",
            "mlflow",
            "cpan",
            "conan",
        ]
    ),
    st.lists(PIECE, max_size=4),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(PURL, st.text(max_size=8))
def test_a_purl_that_was_taken_can_be_written_and_read_again(purl: str, version: str) -> None:
    document = {"bomFormat": "CycloneDX", "components": [{"name": "a", "version": version, "purl": purl}]}
    for one in read_sbom("x", json.dumps(document).encode(), Sha256(""), "demo"):
        if one.purl:
            written = with_version(one.purl, one.version).to_string()
            assert PackageURL.from_string(written).to_string() == written


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=3))
def test_whatever_an_sbom_holds_it_is_read_to_the_end(components: list[Any]) -> None:
    document = {"bomFormat": "CycloneDX", "components": components}
    for one in read_sbom("x", json.dumps(document).encode(), Sha256(""), "demo"):
        assert one.name.isascii()
        assert one.name.isprintable()
        if one.purl:
            with_version(one.purl, one.version)


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,8}(\([A-Za-z0-9@][A-Za-z0-9@/._+-]{0,12}\))?", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+~^]{0,8}", fullmatch=True),
)
@example("0(0/)", "0")
def test_every_name_that_an_override_may_give_has_a_purl(name: str, version: str) -> None:
    written = bundled_purl(name, version).to_string()
    assert PackageURL.from_string(written).to_string() == written
