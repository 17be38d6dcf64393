"""Words for what a registry refused: the likely cause, what to do, and never a secret."""

from __future__ import annotations

import errno
import http.client
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from elpack.errors import Problem, RegistryError
from elpack.fetch.transport import TEMPORARY, TemporaryFailureError, retry_after, shown
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

    from elpack.fetch.credentials import Credentials

AGAIN = "run it again: only what is missing is sent"
_FULL = (f'"Err":{errno.ENOSPC}', "no space left", "quota exceeded")
"""How a registry tells that its disk is full; Debian's gives the number of the error alone."""
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry answered, read to its end. url: where, which redirects may have led to."""

    url: str
    status: int
    headers: Message
    body: bytes = field(repr=False)

    @property
    def full(self) -> bool:
        """Whether the registry has no space left."""
        text = self.body.decode(errors="replace")
        return self.status == HTTPStatus.INSUFFICIENT_STORAGE or any(sign in text for sign in _FULL)

    def __str__(self) -> str:
        return f"{self.status} {http.client.responses.get(self.status, '')}".rstrip()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks which registry, for the words of a refusal."""

    host: str
    credentials: Credentials | None

    def refusal(self, answer: Answer, url: str, secrets: Iterable[str] = ()) -> Exception:
        """Return the error for an answer: `TemporaryFailureError` if it may pass, else `RegistryError`."""
        said = self._said(answer, secrets)
        if answer.status in TEMPORARY and not answer.full:
            what = f"the registry answered {answer}{f' ({said})' if said else ''}"
            return TemporaryFailureError(what, after=retry_after(answer.headers.get("Retry-After", "")))
        what, fix = self._words(answer)
        return RegistryError(Problem(what, shown(url), f"it says {said}" if said else "", fix))

    def _words(self, answer: Answer) -> tuple[str, str]:
        login = f"podman login {self.host}"
        user = self.credentials.user if self.credentials else ""
        if answer.full:
            return "the registry's disk is full", f"free some there; then {AGAIN}"
        if answer.status == HTTPStatus.UNAUTHORIZED and self.credentials is None:
            return "the registry wants a user and a password, and no auth file has an entry for it", login
        words = {
            HTTPStatus.UNAUTHORIZED: (f"the registry refuses the credentials{f' of {user}' if user else ''}", login),
            HTTPStatus.FORBIDDEN: (f"the registry does not let {user or 'us'} do this", f"{login}, or ask who runs it"),
            HTTPStatus.NOT_FOUND: ("the registry knows no such place", "look at [images] repository, or at --to"),
            HTTPStatus.METHOD_NOT_ALLOWED: ("the registry is read-only", "wait until it is not, or push elsewhere"),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("this is larger than the registry takes", "raise its limit"),
        }
        known = {int(status): told for status, told in words.items()}
        return known.get(answer.status, (f"the registry refused: {answer}", ""))

    def _said(self, answer: Answer, secrets: Iterable[str]) -> str:
        """Return what a registry says in its own words, without what it might repeat of our secrets."""
        try:
            errors = json_value(answer.body)["errors"][:3]
            said = "; ".join(f"{one['code']}: {one.get('message', '')}" for one in errors)
        except (ValueError, KeyError, TypeError, AttributeError):
            return ""
        known = self.credentials.secrets if self.credentials else ()
        for secret in filter(None, (*known, *secrets)):
            said = said.replace(secret, "…")
        return said[:_LONGEST]
