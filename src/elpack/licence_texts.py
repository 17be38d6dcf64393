"""Recognises the full text of the licences that metadata most often leaves open, word for word and from end to end.

Nothing is interpreted: a text with one sentence more, less or changed is not recognised. What may differ is what SPDX's
matching guidelines let differ: case, punctuation, list markers, title, copyright lines, and who the holder is.
"""

from __future__ import annotations

import hashlib
import re

LONGEST = 1 << 16
"""Bytes; what is longer is no single licence."""

_FILE = re.compile(r"(LICEN[CS]E|COPYING)[^/]*|LICEN[CS]ES?/.+", re.IGNORECASE)
_COPYRIGHT = re.compile(r"\W*(copyright\b|\(c\)|©|all rights reserved\b)", re.IGNORECASE)
_TITLE = re.compile(
    r"(the |a |an )?((new |modified |revised |simplified )?(bsd|mit|isc|expat)( \d)?( clause)?( new)?( or)?( revised)?"
    r"( (style|2|3) clause)? licenses?|licenses?|(mit|bsd|isc))( (mit|bsd|isc|expat|\d clause))?"
)
_ITEM = r"(?:(?:\d|[a-c]|[ivx]+) )?"
_WHO = r".{1,150}?"
_MARKS = "with or without modification are permitted provided that the following conditions are met "
_BSD_HEAD = (
    f"redistribution and use in source and binary forms {_MARKS}"
    f"{_ITEM}redistributions of source code must retain the above copyright notice this list of conditions and the "
    f"following disclaimer {_ITEM}redistributions in binary form must reproduce the above copyright notice this list "
    "of conditions and the following disclaimer in the documentation and or other materials provided with the "
    "distribution "
)
_BSD_NAMES = (
    f"{_ITEM}(?:neither the names? of {_WHO} may|the names? of {_WHO} may not) be used to endorse or promote products "
    "derived from this software without specific prior written permission "
)
_BSD_TAIL = (
    f"this software is provided by {_WHO} as is and any express or implied warranties including but not limited to "
    "the implied warranties of merchantability and fitness for a particular purpose are disclaimed in no event shall "
    f"{_WHO} be liable for any direct indirect incidental special exemplary or consequential damages including but not "
    "limited to procurement of substitute goods or services loss of use data or profits or business interruption "
    "however caused and on any theory of liability whether in contract strict liability or tort including negligence "
    "or otherwise arising in any way out of the use of this software even if advised of the possibility of such damage"
)
_MIT = (
    "permission is hereby granted free of charge to any person obtaining a copy of this software and associated "
    "documentation files the software to deal in the software without restriction including without limitation the "
    "rights to use copy modify merge publish distribute sublicense and or sell copies of the software and to permit "
    "persons to whom the software is furnished to do so subject to the following conditions the above copyright "
    "notice and this permission notice shall be included in all copies or substantial portions of the software the "
    "software is provided as is without warranty of any kind express or implied including but not limited to the "
    f"warranties of merchantability fitness for a particular purpose and noninfringement in no event shall {_WHO} be "
    "liable for any claim damages or other liability whether in an action of contract tort or otherwise arising from "
    "out of or in connection with the software or the use or other dealings in the software"
)
_ISC = (
    "permission to use copy modify and(?: or)? distribute this software for any purpose with or without fee is hereby "
    "granted provided that the above copyright notice and this permission notice appear in all copies the software "
    f"is provided as is and {_WHO} disclaims? all warranties with regard to this software including all implied "
    f"warranties of merchantability and fitness in no event shall {_WHO} be liable for any special direct indirect or "
    "consequential damages or any damages whatsoever resulting from loss of use data or profits whether in an action "
    "of contract negligence or other tortious action arising out of or in connection with the use or performance of "
    "this software"
)
_PATTERNS = {
    "BSD-3-Clause": re.compile(_BSD_HEAD + _BSD_NAMES + _BSD_TAIL),
    "BSD-2-Clause": re.compile(_BSD_HEAD + _BSD_TAIL),
    "MIT": re.compile(_MIT),
    "ISC": re.compile(_ISC),
}
_APACHE = re.compile(
    r"(?P<terms>apache license version 2 0 january 2004 .* end of terms and conditions)"
    r"(?: appendix how to apply the apache license to your work .{1,1500} limitations under the license)?"
)
_APACHE_TERMS = "f45538b138cf9aea39fa205de037a0bede8305e68281650e7ab809a8b3ebb2f0"
"""sha256 of the words of the Apache License 2.0, from its title to the end of its terms."""


def is_licence_file(path: str) -> bool:
    """Tell whether a path, relative to an sdist's folder or a wheel's dist-info, is that of a licence's text."""
    return bool(_FILE.fullmatch(path))


def recognise(text: str) -> str:
    """Return the SPDX identifier of the licence that the text is, from end to end; empty when it is none of ours."""
    if len(text) > LONGEST:
        return ""
    words = _words(text)
    if (apache := _APACHE.fullmatch(words)) and _digest(apache["terms"]) == _APACHE_TERMS:
        return "Apache-2.0"
    words = _words(_body(text))
    return next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(words)), "")


def _body(text: str) -> str:
    """Return the text without the title and the copyright lines above it."""
    lines = text.splitlines()
    while lines and (_COPYRIGHT.match(lines[0]) or not (words := _words(lines[0])) or _TITLE.fullmatch(words)):
        lines.pop(0)
    return "\n".join(lines)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("licence", "license")))


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()
