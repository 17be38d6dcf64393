from __future__ import annotations

import grp
import os
import pwd
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders.bwrap import BwrapBuilder
from elpack.builders.choose import Choice, choose_builder
from elpack.builders.mock import MockBuilder
from elpack.errors import ConfigError, PrivilegeError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elpack.model import Target


@pytest.fixture
def choose(standin: Target, tmp_path: Path) -> Callable[..., Choice]:
    def call(name: str, environ: dict[str, str] | None = None, **options: Any) -> Choice:
        return choose_builder(name, standin, (), tmp_path, environ=environ or {"PATH": "/bin"}, **options)

    return call


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes a host: is mock there, who is in its group, and who runs elpack."""

    def make(
        *, mock: bool = True, members: list[str] | None = None, uid: int = 0, groups: tuple[int, ...] = ()
    ) -> None:
        def group(_: str) -> SimpleNamespace:
            if members is None:
                raise KeyError
            return SimpleNamespace(gr_gid=135, gr_mem=members)

        def account(name: str) -> SimpleNamespace:
            if name == "gone":
                raise KeyError
            return SimpleNamespace(pw_uid=1007)

        monkeypatch.setattr(shutil, "which", lambda *_, **__: "/opt/bin/mock" if mock else None)
        monkeypatch.setattr(grp, "getgrnam", group)
        monkeypatch.setattr(pwd, "getpwnam", account)
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "getegid", lambda: uid)
        monkeypatch.setattr(os, "getgroups", lambda: list(groups))

    return make


def test_auto_takes_mock_where_it_works(choose: Callable[..., Choice], host: Callable[..., None]) -> None:
    host(members=["gone", "builder"])
    choice = choose("auto", distribution="rocky-9")
    assert choice.reason == "mock is installed"
    assert isinstance(choice.builder, MockBuilder)
    assert choice.builder.user == 1007
    assert choice.builder.program == "/opt/bin/mock"
    assert choice.builder.distribution == "rocky-9"


def test_root_by_sudo_builds_as_who_called_it(choose: Callable[..., Choice], host: Callable[..., None]) -> None:
    host(members=["builder"])
    builder = choose("mock", {"PATH": "/bin", "SUDO_UID": "1234"}).builder
    assert isinstance(builder, MockBuilder)
    assert builder.user == 1234


def test_a_member_of_the_group_needs_no_root(choose: Callable[..., Choice], host: Callable[..., None]) -> None:
    host(members=[], uid=1000, groups=(10, 135))
    builder = choose("auto").builder
    assert isinstance(builder, MockBuilder)
    assert builder.user is None


@pytest.mark.parametrize(
    ("state", "reason", "error"),
    [
        ({"mock": False}, "mock is not installed", ToolMissingError),
        ({"members": None}, "there is no group named mock", PrivilegeError),
        ({"members": []}, "mock does not build as root, and nobody is in the group mock", PrivilegeError),
        ({"members": ["a"], "uid": 1000}, "you are not in the group mock", PrivilegeError),
    ],
)
def test_auto_takes_bwrap_else_and_says_why(
    choose: Callable[..., Choice],
    host: Callable[..., None],
    state: dict[str, Any],
    reason: str,
    error: type[Exception],
) -> None:
    host(**state)
    choice = choose("auto")
    assert isinstance(choice.builder, BwrapBuilder)
    assert choice.reason == reason
    with pytest.raises(error, match=f"builder mock: {reason}\n  fix: "):
        choose("mock")


def test_bwrap_is_taken_when_asked_for(choose: Callable[..., Choice], host: Callable[..., None]) -> None:
    host(members=["builder"])
    choice = choose("bwrap")
    assert (choice.builder.name, choice.reason) == ("bwrap", "it was asked for")


def test_an_unknown_builder_is_refused(choose: Callable[..., Choice]) -> None:
    with pytest.raises(ConfigError, match="did you mean mock"):
        choose("mok")
    with pytest.raises(ConfigError, match="one of auto, mock, bwrap"):
        choose("podman")
