"""A dist's licence as an SPDX expression: decided where its metadata leaves no doubt, left to a human where it does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from packaging.licenses import canonicalize_license_expression

from elpack.plan.model import Licence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.model import CoreMetadata
    from elpack.overrides import Override, Reasoned

BY_EXPRESSION = "License-Expression in its metadata"
BY_SPDX_TEXT = "License in its metadata, which is valid SPDX"
BY_NAME = "License in its metadata, a name with one meaning"
BY_CLASSIFIER = "its only licence classifier, which has one meaning"
BY_TEXT = "its licence text, word for word; its metadata leaves it open"

_LONGEST_EXPRESSION = 1000
_LONGEST_NAME = 200
"""A longer License field is taken for the text of the licence, which nobody here interprets."""

_PREFIX = "License :: "
_REFERENCE = "LicenseRef-"
# SPDX gave these identifiers up, because GPL-2.0 alone does not tell whether later versions are allowed.
_GNU = re.compile(r"(?<![\w.-])((?:A|L)?GPL-\d\.\d|GFDL-\d\.\d)(\+?)(?![\w.+-])")


@dataclass(frozen=True, slots=True)
class _Hint:
    """What one field says: a licence, or only how the licence begins. Nothing at all begins like every licence."""

    expression: str = ""
    family: tuple[str, ...] = ()
    reason: str = ""

    def allows(self, expression: str) -> bool:
        """Tell whether the expression may be what was meant."""
        names = expression.replace("(", " ").replace(")", " ").split()
        return any(name == self.expression or name.startswith(self.family) for name in names)


_SILENT = _Hint(family=("",))
_STRANGE = _Hint()


@dataclass(frozen=True, slots=True)
class _Tables:
    names: Mapping[str, _Hint]
    classifiers: Mapping[str, _Hint]


def licence_of(metadata: CoreMetadata, override: Override | None) -> Licence | None:
    """Return the licence and how it was found, or None where a human has to decide.

    The order: override, License-Expression (PEP 639), License that is SPDX, License by a name with one meaning,
    the only classifier if that has one meaning, and where these only leave it open, the licence text that comes with
    the dist. License, classifiers and text must not contradict each other.
    The expression is SPDX's own spelling and the reason is elpack's or the override's: no text of the dist gets out.
    """
    if override is not None and override.licence is not None:
        return _overridden(override.licence)
    found = _read(metadata)
    return found if isinstance(found, Licence) else None


def doubt_about(metadata: CoreMetadata) -> str:
    """Return why the metadata does not settle the licence, for the human who has to; empty when it does."""
    found = _read(metadata)
    return found if isinstance(found, str) else ""


def spdx(text: str) -> str:
    """Return the expression in SPDX's own spelling and current identifiers. Raises ValueError when it is none."""
    # packaging lower-cases before it looks, and some letters beyond ASCII have an ASCII lower case
    if len(text) > _LONGEST_EXPRESSION or not text.isascii():
        raise ValueError(f"an expression is ASCII and has at most {_LONGEST_EXPRESSION} characters")
    return _GNU.sub(_current, canonicalize_license_expression(text))


def all_of(expressions: Iterable[str]) -> str:
    """Return the licence of a whole whose parts have these SPDX expressions: each term once, sorted."""
    terms = {term for expression in expressions for term in _terms(expression)}
    return " AND ".join(sorted(terms))


def _terms(expression: str) -> list[str]:
    """Split an expression at its ANDs; what is a choice between licences stays together, in brackets."""
    terms, depth = [""], 0
    for word in expression.replace("(", " ( ").replace(")", " ) ").split():
        if depth == 0 and word == "OR":
            return [f"({expression})"]
        if depth == 0 and word == "AND":
            terms.append("")
            continue
        depth += {"(": 1, ")": -1}.get(word, 0)
        terms[-1] += f" {word}"
    plain = [term.strip().replace("( ", "(").replace(" )", ")") for term in terms if term.strip()]
    return [part for term in plain for part in (_terms(term[1:-1]) if term.startswith("(") else [term])]


def _try_spdx(text: str) -> str:
    try:
        return spdx(text)
    except ValueError:
        return ""


def _current(old: re.Match[str]) -> str:
    return f"{old[1]}-or-later" if old[2] else f"{old[1]}-only"


def _overridden(decision: Reasoned) -> Licence | None:
    expression = _try_spdx(decision.value)
    return Licence(expression, f"override: {decision.reason}") if expression else None


def _read(metadata: CoreMetadata) -> Licence | str:
    if metadata.licence_expression.strip():
        return _from_expression(metadata.licence_expression)
    text = _text_hint(metadata.licence_text)
    hints = list(_classifier_hints(metadata.classifiers))
    if text is _STRANGE:
        return "its License field holds words that are neither SPDX nor a known name"
    if not text.expression:
        found = _from_classifiers(hints, text)
        return found if isinstance(found, Licence) else _from_text(metadata, (text, *hints)) or found
    if not all(hint.allows(text.expression) for hint in hints):
        return "its License field and its classifiers contradict each other"
    return Licence(text.expression, text.reason)


def _from_expression(text: str) -> Licence | str:
    expression = _try_spdx(text)
    if not expression:
        return "its License-Expression is not valid SPDX"
    if _REFERENCE in expression:
        return "its License-Expression refers to a text of its own, which somebody has to read"
    return Licence(expression, BY_EXPRESSION)


def _from_classifiers(hints: Iterable[_Hint], text: _Hint) -> Licence | str:
    """Decide by the one classifier. Several may mean "and" or "or"; PEP 639 forbids to choose."""
    distinct = set(hints)
    if not distinct:
        return "its metadata names no licence" if text is _SILENT else "its License field names a family of licences"
    if len(distinct) > 1:
        return "it has several licence classifiers, which may mean 'and' or 'or'"
    hint = distinct.pop()
    if not hint.expression:
        return "its licence classifier names a family of licences, or none in particular"
    if not text.allows(hint.expression):
        return "its License field and its classifier contradict each other"
    return Licence(hint.expression, BY_CLASSIFIER)


def _from_text(metadata: CoreMetadata, hints: Iterable[_Hint]) -> Licence | None:
    """Decide by the licence texts: all are known and one and the same, and what the metadata says may mean it."""
    texts = set(metadata.licences_read)
    expression = texts.pop() if len(texts) == 1 else ""
    if not expression or not all(hint.allows(expression) for hint in hints):
        return None
    return Licence(expression, BY_TEXT)


def _text_hint(text: str) -> _Hint:
    expression = _try_spdx(text)
    if expression and _REFERENCE not in expression and not _outdated(text):
        return _Hint(expression, reason=BY_SPDX_TEXT)
    if len(text) > _LONGEST_NAME:
        return _SILENT
    return _tables().names.get(_plain(text), _STRANGE)


def _outdated(text: str) -> bool:
    """Tell whether the text names a GNU licence as people do who did not think about later versions."""
    return any(not match[2] for match in _GNU.finditer(text.upper()))


def _plain(text: str) -> str:
    words = re.sub(r"[,\"']", " ", text.lower().replace("licence", "license")).split()
    return " ".join(words[1:] if words[:1] == ["the"] else words)


def _classifier_hints(classifiers: Iterable[str]) -> Iterable[_Hint]:
    known = _tables().classifiers
    for classifier in classifiers:
        if classifier.startswith(_PREFIX):
            hint = known.get(classifier.removeprefix(_PREFIX), _STRANGE)
            if hint is not _SILENT:
                yield hint


@cache
def _tables() -> _Tables:
    data = tomllib.loads(resources.files("elpack").joinpath("data/licences.toml").read_text())
    names = _hints(data["names"], data["name-families"], data["silent"]["names"], BY_NAME)
    classifiers = data["classifiers"], data["classifier-families"], data["silent"]["classifiers"]
    return _Tables(names, _hints(*classifiers, BY_CLASSIFIER))


def _hints(
    exact: Mapping[str, list[str]], families: Mapping[str, list[str]], silent: list[str], reason: str
) -> dict[str, _Hint]:
    hints = dict.fromkeys(silent, _SILENT)
    for family, texts in families.items():
        hints |= dict.fromkeys(texts, _Hint(family=tuple(family.split())))
    for expression, texts in exact.items():
        hints |= dict.fromkeys(texts, _Hint(expression, reason=reason))
    return hints
