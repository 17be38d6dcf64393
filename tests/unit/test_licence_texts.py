"""Licence texts are recognised word for word, and nothing else is."""

from __future__ import annotations

import re

import pytest

from elpack.licence_texts import _ISC, _MIT, _PATTERNS, is_licence_file, recognise
from elpack.licences import BY_TEXT, doubt_about, licence_of
from elpack.model import CoreMetadata

BSD3 = """BSD 3-Clause License

Copyright (c) 2020-2026, Ann
All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
   disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
   disclaimer in the documentation and/or other materials provided with the distribution.
3. Neither the name of Ann nor the names of its contributors may be used to endorse or promote products derived from
   this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL ANN BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR
BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
(INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE
POSSIBILITY OF SUCH DAMAGE.
"""
THIRD = re.compile(r"3\. Neither.*?permission\.\n", re.DOTALL)
BSD = "License :: OSI Approved :: BSD License"


def plain(pattern: str) -> str:
    """Return one text that a pattern without choices matches."""
    return pattern.replace(".{1,150}?", "the author").replace("(?: or)?", " or").replace("disclaims?", "disclaims")


def metadata(text: str = "", *classifiers: str, read: tuple[str, ...] = ("BSD-3-Clause",)) -> CoreMetadata:
    return CoreMetadata("x", "1", licence_text=text, classifiers=classifiers, licences_read=read)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (BSD3, "BSD-3-Clause"),
        (THIRD.sub("", BSD3), "BSD-2-Clause"),
        (BSD3.replace("1. ", "* ").replace("2. ", "* ").replace("3. ", "* "), "BSD-3-Clause"),
        (BSD3.replace("License", "Licence").upper(), "BSD-3-Clause"),
        (f"The MIT License (MIT)\n\nCopyright © 2026 Ann\n\n{plain(_MIT)}", "MIT"),
        (f"Copyright 2026 Ann\n{plain(_ISC)}", "ISC"),
        (BSD3 + "\nThe above does not apply to vendor/.\n", ""),
        ("Parts of it are under the GPL.\n" + BSD3, ""),
        (BSD3.replace("without modification", "without modification and without charge"), ""),
        (THIRD.sub("3. All advertising materials must display an acknowledgement.\n", BSD3), ""),
        (BSD3 + "-" * 70_000, ""),
        ("", ""),
        ("Apache License Version 2.0, January 2004 and so on END OF TERMS AND CONDITIONS", ""),
    ],
)
def test_texts(text: str, licence: str) -> None:
    assert recognise(text) == licence


def test_a_hostile_text_takes_no_time() -> None:
    long = BSD3.replace("name of Ann", "name of " + "nor the names " * 4000)
    assert recognise(long) == ""
    assert all(pattern.fullmatch("the " * 16_000) is None for pattern in _PATTERNS.values())


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("LICENSE", True),
        ("COPYING.txt", True),
        ("licenses/vendor/x.txt", True),
        ("AUTHORS", False),
        ("license_expression/__init__.py", False),
        ("src/LICENSE", False),
    ],
)
def test_licence_files(path: str, is_one: bool) -> None:  # noqa: FBT001
    assert is_licence_file(path) is is_one


@pytest.mark.parametrize("given", [metadata(), metadata("", BSD), metadata("BSD"), metadata("BSD", BSD)])
def test_a_text_decides_what_metadata_leaves_open(given: CoreMetadata) -> None:
    licence = licence_of(given, None)
    assert licence is not None
    assert (licence.expression, licence.reason) == ("BSD-3-Clause", BY_TEXT)


@pytest.mark.parametrize(
    "given",
    [
        metadata("", "License :: OSI Approved :: Apache Software License"),
        metadata("Dual License"),
        metadata("", BSD, "License :: OSI Approved :: MIT License"),
        metadata("", BSD, read=("BSD-3-Clause", "")),
        metadata("", BSD, read=("BSD-3-Clause", "MIT")),
        metadata("", BSD, read=()),
    ],
)
def test_a_text_that_contradicts_or_is_not_alone_decides_nothing(given: CoreMetadata) -> None:
    assert licence_of(given, None) is None
    assert doubt_about(given)
