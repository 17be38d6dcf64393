from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elpack.licences import (
    BY_CLASSIFIER,
    BY_EXPRESSION,
    BY_NAME,
    BY_SPDX_TEXT,
    _plain,
    all_of,
    doubt_about,
    licence_of,
    spdx,
)
from elpack.model import CoreMetadata
from elpack.naming import dist_name
from elpack.overrides import Override, Reasoned
from elpack.plan.model import Licence

OSI = "License :: OSI Approved :: "
MIT = OSI + "MIT License"
BSD = OSI + "BSD License"
APACHE = OSI + "Apache Software License"
GPL3 = OSI + "GNU General Public License v3 (GPLv3)"
GPL3_LATER = OSI + "GNU General Public License v3 or later (GPLv3+)"
LGPL2_LATER = OSI + "GNU Lesser General Public License v2 or later (LGPLv2+)"

FULL_TEXT = "Copyright (c) 2014 Somebody\n" + "Permission is hereby granted, free of charge, to any person. " * 10
SPDX_ONLY = re.compile(r"[A-Za-z0-9.+() -]+")


def _metadata(expression: str = "", text: str = "", *classifiers: str) -> CoreMetadata:
    return CoreMetadata("foo", "1.0", licence_expression=expression, licence_text=text, classifiers=classifiers)


def _override(expression: str) -> Override:
    return Override(dist_name("foo"), licence=Reasoned(expression, "LICENSE says so"))


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "licence", "rule"),
    [
        ("mit OR apache-2.0", "", (), "MIT OR Apache-2.0", BY_EXPRESSION),
        ("MIT", "GPL", (BSD,), "MIT", BY_EXPRESSION),
        ("GPL-2.0+", "", (), "GPL-2.0-or-later", BY_EXPRESSION),
        ("LGPL-2.1 AND (GPL-3.0-only OR MIT)", "", (), "LGPL-2.1-only AND (GPL-3.0-only OR MIT)", BY_EXPRESSION),
        ("GPL-2.0-only WITH GCC-exception-2.0", "", (), "GPL-2.0-only WITH GCC-exception-2.0", BY_EXPRESSION),
        ("", "Apache-2.0", (APACHE,), "Apache-2.0", BY_SPDX_TEXT),
        ("", "bsd-3-clause", (BSD,), "BSD-3-Clause", BY_SPDX_TEXT),
        ("  ", "\n MIT \n", (), "MIT", BY_SPDX_TEXT),
        ("", "GPL-3.0-or-later", (GPL3_LATER,), "GPL-3.0-or-later", BY_SPDX_TEXT),
        ("", "Apache-2.0 OR BSD-2-Clause", (APACHE, BSD), "Apache-2.0 OR BSD-2-Clause", BY_SPDX_TEXT),
        ("", "MIT", (OSI.removesuffix(" :: "), MIT, "Topic :: Internet"), "MIT", BY_SPDX_TEXT),
        ("", "MIT License", (MIT,), "MIT", BY_NAME),
        ("", "The MIT Licence", (), "MIT", BY_NAME),
        ("", "Apache License, Version 2.0", (APACHE,), "Apache-2.0", BY_NAME),
        ("", "Apache 2.0", (), "Apache-2.0", BY_NAME),
        ("", "Apache-2.0 license", (), "Apache-2.0", BY_NAME),
        ("", 'BSD 3-Clause "New" or "Revised" License', (BSD,), "BSD-3-Clause", BY_NAME),
        ("", "BSD 3-Clause", (), "BSD-3-Clause", BY_NAME),
        ("", "The Unlicense", (), "Unlicense", BY_NAME),
        ("", "GPLv3+", (), "GPL-3.0-or-later", BY_NAME),
        ("", "", (MIT,), "MIT", BY_CLASSIFIER),
        ("", "UNKNOWN", (MIT, MIT), "MIT", BY_CLASSIFIER),
        ("", FULL_TEXT, (MIT,), "MIT", BY_CLASSIFIER),
        (
            "",
            "LGPL",
            (OSI + "GNU Lesser General Public License v3 or later (LGPLv3+)",),
            "LGPL-3.0-or-later",
            BY_CLASSIFIER,
        ),
        ("", "GPL-3.0", (GPL3_LATER,), "GPL-3.0-or-later", BY_CLASSIFIER),
        ("", "", (OSI + "Mozilla Public License 2.0 (MPL 2.0)",), "MPL-2.0", BY_CLASSIFIER),
    ],
)
def test_metadata_without_doubt_decides(
    expression: str, text: str, classifiers: tuple[str, ...], licence: str, rule: str
) -> None:
    metadata = _metadata(expression, text, *classifiers)
    assert licence_of(metadata, None) == Licence(licence, rule)
    assert doubt_about(metadata) == ""


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "doubt"),
    [
        ("", "", (), "its metadata names no licence"),
        ("", "UNKNOWN", ("Topic :: Internet",), "its metadata names no licence"),
        ("", FULL_TEXT, (), "its metadata names no licence"),
        ("", "BSD", (), "its License field names a family of licences"),
        ("", "BSD", (BSD,), "its licence classifier names a family"),
        ("", "", (APACHE,), "its licence classifier names a family"),
        ("", "GNU GPLv3", (GPL3,), "its licence classifier names a family"),
        ("", "LGPL", (LGPL2_LATER,), "its licence classifier names a family"),
        ("", "", ("License :: Public Domain",), "or none in particular"),
        ("", "", ("License :: Other/Proprietary License",), "or none in particular"),
        ("", "", ("License :: OSI Approved :: Invented Yesterday",), "or none in particular"),
        ("", "GPL-3.0", (), "its License field names a family of licences"),
        ("", "", (MIT, GPL3_LATER), "several licence classifiers"),
        ("", "", (MIT, BSD), "several licence classifiers"),
        ("", "Dual License", (MIT,), "words that are neither SPDX nor a known name"),
        ("", "MIT and non-commercial", (MIT,), "words that are neither SPDX nor a known name"),
        ("", "MIT or GPL-2.0", (), "words that are neither SPDX nor a known name"),
        ("", "LicenseRef-Proprietary", (), "words that are neither SPDX nor a known name"),
        ("", "MIT", (GPL3_LATER,), "contradict each other"),
        ("", "MIT", (MIT, BSD), "contradict each other"),
        ("", "BSD-3-Clause", (BSD, "License :: Other/Proprietary License"), "contradict each other"),
        ("", "GPL", (MIT,), "contradict each other"),
        ("BSD", "MIT", (MIT,), "its License-Expression is not valid SPDX"),
        ("LicenseRef-Proprietary", "MIT", (), "refers to a text of its own"),
        ("MIT OR LicenseRef-x", "", (), "refers to a text of its own"),
    ],
)
def test_what_leaves_a_doubt_is_left_to_a_human(
    expression: str, text: str, classifiers: tuple[str, ...], doubt: str
) -> None:
    metadata = _metadata(expression, text, *classifiers)
    assert licence_of(metadata, None) is None
    assert doubt in doubt_about(metadata)


def test_an_override_comes_before_all_metadata() -> None:
    metadata = _metadata("MIT", "Apache-2.0", BSD)
    expected = Licence("MIT AND LicenseRef-Own", "override: LICENSE says so")
    assert licence_of(metadata, _override("MIT AND LicenseRef-Own")) == expected


def test_an_override_about_something_else_changes_nothing() -> None:
    assert licence_of(_metadata("MIT"), Override(dist_name("foo"))) == Licence("MIT", BY_EXPRESSION)


def test_an_override_made_without_its_parser_still_has_to_be_spdx() -> None:
    assert licence_of(_metadata("MIT"), _override("MIT\n%post")) is None


HOSTILE = [
    "MIT\nBuildRequires: evil",
    "MIT\n%post\nrm -rf /",
    "%(id)",
    "%{lua:os.exit()}",
    "MIT %{?x}",
    "MIT # comment",
    "LicenseRef-%{x}",
    "LicenseRef-\u212a",  # the Kelvin sign is "k" in lower case
    "M\u0131T",
    "MIT\x00",
    "MIT\u2028Name: x",
    "(" * 5000 + "MIT" + ")" * 5000,
    "( " * 150 + "MIT" + " )" * 150,
    "MIT OR " * 100_000 + "MIT",
    "$(id)",
    "`id`",
    "MIT) AND (MIT",
    "__import__('os')",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_never_leaves(text: str) -> None:
    for metadata in (_metadata(text), _metadata("", text), _metadata("", "", "License :: " + text)):
        found = licence_of(metadata, None)
        assert found is None or SPDX_ONLY.fullmatch(found.expression)
        assert text not in doubt_about(metadata)


_WORDS = st.sampled_from(
    [
        "MIT",
        "mit",
        "GPL-2.0",
        "GPL-2.0+",
        "LicenseRef-a",
        "AND",
        "or",
        "WITH",
        "(",
        ")",
        "BSD",
        "%{x}",
        "\n",
        "\u212a",
        "",
    ]
)
_TEXTS = st.text() | st.lists(_WORDS).map(" ".join)
_CLASSIFIERS = st.lists(st.sampled_from([MIT, BSD, GPL3, GPL3_LATER]) | st.text().map("License :: {}".format))


@given(_TEXTS, _TEXTS, _CLASSIFIERS)
def test_only_canonical_expressions_leave_and_none_means_a_doubt(
    expression: str, text: str, classifiers: list[str]
) -> None:
    metadata = _metadata(expression, text, *classifiers)
    found = licence_of(metadata, None)
    assert (found is None) == bool(doubt_about(metadata))
    if found is not None:
        assert spdx(found.expression) == found.expression
        assert SPDX_ONLY.fullmatch(found.expression)
        assert found.reason in {BY_EXPRESSION, BY_SPDX_TEXT, BY_NAME, BY_CLASSIFIER}


@pytest.mark.parametrize("text", ["", "BSD", "MIT AND", "MIT " * 400, "M\u0131T"])
def test_spdx_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        spdx(text)


def _data() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(resources.files("elpack").joinpath("data/licences.toml").read_text())


def test_the_table_s_licences_are_canonical_spdx() -> None:
    data = _data()
    for expression in (*data["names"], *data["classifiers"]):
        assert spdx(expression) == expression


def test_the_table_s_names_are_spelt_as_they_are_looked_up() -> None:
    data = _data()
    names = [name for table in ("names", "name-families") for names in data[table].values() for name in names]
    assert [name for name in names if _plain(name) != name] == []


@pytest.mark.parametrize("tables", [("names", "name-families"), ("classifiers", "classifier-families")])
def test_no_name_stands_twice_in_the_table(tables: tuple[str, str]) -> None:
    data = _data()
    kind = "names" if tables[0] == "names" else "classifiers"
    names = [name for table in tables for names in data[table].values() for name in names] + data["silent"][kind]
    assert len(names) == len(set(names))


def test_no_classifier_that_pep_639_calls_ambiguous_decides() -> None:
    ambiguous = [
        "Academic Free License (AFL)",
        "Apache Software License",
        "Apple Public Source License",
        "Artistic License",
        "BSD License",
        "GNU Affero General Public License v3",
        "GNU Free Documentation License (FDL)",
        "GNU General Public License (GPL)",
        "GNU General Public License v2 (GPLv2)",
        "GNU General Public License v3 (GPLv3)",
        "GNU Lesser General Public License v2 (LGPLv2)",
        "GNU Lesser General Public License v2 or later (LGPLv2+)",
        "GNU Lesser General Public License v3 (LGPLv3)",
        "GNU Library or Lesser General Public License (LGPL)",
    ]
    assert [name for name in ambiguous if licence_of(_metadata("", "", OSI + name), None)] == []


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((), ""),
        (("MIT",), "MIT"),
        (("Zlib", "MIT", "MIT"), "MIT AND Zlib"),
        (("MIT AND Apache-2.0", "Apache-2.0 AND Zlib"), "Apache-2.0 AND MIT AND Zlib"),
        (("MIT OR Apache-2.0", "MIT"), "(MIT OR Apache-2.0) AND MIT"),
        (("MIT OR Apache-2.0", "(MIT OR Apache-2.0)"), "(MIT OR Apache-2.0)"),
        (("MIT AND (BSD-3-Clause OR NCSA)",), "(BSD-3-Clause OR NCSA) AND MIT"),
        (("(MIT AND Zlib)", "((MIT))"), "MIT AND Zlib"),
        # AND binds closer than OR
        (("MIT AND Zlib OR Apache-2.0",), "(MIT AND Zlib OR Apache-2.0)"),
        (("GPL-3.0-or-later WITH GCC-exception-3.1", "MIT"), "GPL-3.0-or-later WITH GCC-exception-3.1 AND MIT"),
    ],
)
def test_the_licence_of_a_whole(parts: tuple[str, ...], whole: str) -> None:
    assert all_of(parts) == whole
    assert all_of(parts[::-1]) == whole
    if whole:
        assert spdx(whole) == whole
        assert all_of((whole,)) == whole


NAMES = ("MIT", "Zlib", "ISC", "0BSD")
EXPRESSIONS = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner)
        | st.builds("{} AND {}".format, inner, inner)
        | st.builds("{} OR {}".format, inner, inner)
    ),
    max_leaves=6,
)


def _grants(expression: str, accepted: set[str]) -> bool:
    """Tell whether who accepts these licences may use what has this expression."""
    words = expression.replace("(", " ( ").replace(")", " ) ").split()
    python = [{"AND": "and", "OR": "or"}.get(word, word if word in "()" else str(word in accepted)) for word in words]
    return bool(eval(" ".join(python)))  # noqa: S307 - of the words above


@given(st.lists(EXPRESSIONS, min_size=1, max_size=4))
def test_the_licence_of_a_whole_asks_for_what_all_parts_ask_for(parts: list[str]) -> None:
    whole = all_of(parts)
    for chosen in range(1 << len(NAMES)):
        accepted = {name for bit, name in enumerate(NAMES) if chosen >> bit & 1}
        assert _grants(whole, accepted) == all(_grants(part, accepted) for part in parts)
