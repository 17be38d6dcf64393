from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from elpack.errors import RegistryError, ToolMissingError
from elpack.fetch.certificates import context_for
from elpack.fetch.credentials import Credentials, User, auth_files, credentials_for
from elpack.run import Command, Completed

if TYPE_CHECKING:
    from pathlib import Path

    from elpack.run import Runner

SECRET = "s3cret-in-no-text"  # noqa: S105 - of nobody
NAME = "registry.example.org:5000/shop/app"


def nobody(command: Command) -> Completed:
    raise AssertionError(command)


def helper(stdout: str, code: int = 0) -> Runner:
    def run(command: Command) -> Completed:
        assert command.argv == ("docker-credential-chain", "get")
        assert command.input == "registry.example.org:5000\n"
        return Completed(command, code, stdout, "", 0.0)

    return run


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{SECRET}".encode()).decode()}


def user_with(home: Path, document: object, runner: Runner = nobody) -> User:
    path = home / "auth.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return User({"REGISTRY_AUTH_FILE": str(path)}, home, runner)


@pytest.mark.parametrize(
    ("auths", "expected"),
    [
        ({"registry.example.org:5000": "host"}, "host"),
        ({"registry.example.org:5000": "host", "registry.example.org:5000/shop": "space"}, "space"),
        ({"registry.example.org:5000/shop": "space", NAME: "repository"}, "repository"),
        ({"https://registry.example.org:5000/v2/": "docker"}, "docker"),
        ({"registry.example.org": "other-port", "registry.example.org:5000/sho": "other"}, None),
    ],
)
def test_the_most_specific_entry_counts(tmp_path: Path, auths: dict[str, str], expected: str | None) -> None:
    document = {"auths": {key: entry(user) for key, user in auths.items()}}
    found = credentials_for(NAME, user_with(tmp_path, document))
    assert (found.user if found else None) == expected
    assert found is None or found.secret == SECRET


def test_files_are_looked_at_in_podmans_order(tmp_path: Path) -> None:
    user = User({"XDG_RUNTIME_DIR": str(tmp_path / "run")}, tmp_path, nobody)
    places = auth_files(user)
    assert [str(path.relative_to(tmp_path)) for path in places] == [
        "run/containers/auth.json",
        ".config/containers/auth.json",
        ".docker/config.json",
    ]
    for number, path in reversed(list(enumerate(places))):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"auths": {"registry.example.org:5000": entry(str(number))}}))
        found = credentials_for(NAME, user)
        assert found
        assert found.user == str(number)


def test_a_file_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="REGISTRY_AUTH_FILE names no file"):
        auth_files(User({"REGISTRY_AUTH_FILE": str(tmp_path / "none")}, tmp_path, nobody))


@pytest.mark.parametrize("key", [{"credHelpers": {"registry.example.org:5000": "chain"}}, {"credsStore": "chain"}])
def test_a_helper_is_asked(tmp_path: Path, key: dict[str, object]) -> None:
    answer = json.dumps({"Username": "me", "Secret": SECRET})
    assert credentials_for(NAME, user_with(tmp_path, key, helper(answer))) == Credentials("me", SECRET)
    token = json.dumps({"Username": "<token>", "Secret": SECRET})
    assert credentials_for(NAME, user_with(tmp_path, key, helper(token))) == Credentials(identity_token=SECRET)
    unknown = helper("credentials not found in native keychain", 1)
    assert credentials_for(NAME, user_with(tmp_path, key, unknown)) is None


def test_a_helper_that_is_missing_is_told(tmp_path: Path) -> None:
    def run(command: Command) -> Completed:
        raise ToolMissingError

    with pytest.raises(RegistryError, match="docker-credential-chain cannot be asked"):
        credentials_for(NAME, user_with(tmp_path, {"credsStore": "chain"}, run))


@pytest.mark.parametrize(
    ("document", "runner"),
    [
        (f'{{"auths": {SECRET}', nobody),
        (json.dumps([SECRET]), nobody),
        (json.dumps({"auths": [SECRET]}), nobody),
        (json.dumps({"auths": {NAME: {"auth": SECRET}}}), nobody),
        (json.dumps({"auths": {NAME: {"auth": base64.b64encode(SECRET.encode()).decode()}}}), nobody),
        (json.dumps({"auths": {NAME: {"auth": 1}}}), nobody),
        (json.dumps({"credsStore": "../../bin/sh"}), nobody),
        (json.dumps({"credsStore": "chain"}), helper(SECRET, 1)),
        (json.dumps({"credsStore": "chain"}), helper(SECRET)),
        (json.dumps({"credsStore": "chain"}), helper(json.dumps({"Secret": SECRET}))),
        (json.dumps({"auths": {NAME: entry("me")}}) + " " * (1 << 20), nobody),
    ],
)
def test_what_cannot_be_used_is_told_without_what_it_holds(tmp_path: Path, document: str, runner: Runner) -> None:
    with pytest.raises(RegistryError) as caught:
        credentials_for(NAME, user_with(tmp_path, document, runner))
    assert SECRET not in str(caught.value)
    assert base64.b64encode(SECRET.encode()).decode() not in str(caught.value)


def test_credentials_do_not_show_themselves() -> None:
    assert SECRET not in repr(Credentials("me", SECRET, SECRET))


def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / ".config/containers/certs.d/registry.example.org:5000"
    folder.mkdir(parents=True)
    before = len(context_for("registry.example.org:5000", {}, tmp_path).get_ca_certs())
    (folder / "ca.crt").write_text("none")
    assert len(context_for("registry.example.org", {}, tmp_path).get_ca_certs()) == before
    with pytest.raises(RegistryError, match="a certificate or key in it cannot be read"):
        context_for("registry.example.org:5000", {}, tmp_path)
