"""The files of a system service: what they say, and what may not get into them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from elpack.service import HARDENING, Service, render_sysusers, render_unit

PLAIN = Service(
    name="herald",
    description="Herald of good news",
    user="herald",
    exec_start=("/opt/herald/bin/herald", "serve"),
    state_directory="herald",
)


def changed(**values: Any) -> Service:
    return dataclasses.replace(PLAIN, **values)


def lines(service: Service) -> list[str]:
    return render_unit(service).splitlines()


def test_unit_says_what_the_service_is() -> None:
    service = changed(kill_signal="SIGINT", documentation=("man:herald(1)",), open_files=4096, group="news")
    text = lines(service)
    for line in (
        "Description=Herald of good news",
        "Documentation=man:herald(1)",
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=/opt/herald/bin/herald serve",
        "User=herald",
        "Group=news",
        "StateDirectory=herald",
        "WorkingDirectory=/var/lib/herald",
        "LimitNOFILE=4096",
        "KillSignal=SIGINT",
        "KillMode=mixed",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "WantedBy=multi-user.target",
    ):
        assert text.count(line) == 1, line


def test_a_service_that_does_not_notify_has_no_notify_access() -> None:
    assert not [line for line in lines(changed(type="exec")) if line.startswith("NotifyAccess")]


def test_without_a_state_directory_there_is_no_place_to_write() -> None:
    text = "\n".join(lines(changed(state_directory="")))
    assert "StateDirectory" not in text
    assert "WorkingDirectory" not in text


@pytest.mark.parametrize("directive", sorted({directive.name for directive in HARDENING}))
def test_a_hardening_directive_can_be_left_out_with_its_reason(directive: str) -> None:
    text = lines(changed(without={directive: "it needs 100% of that"}))
    assert not [line for line in text if line.startswith(f"{directive}=")]
    assert f"# Not {directive}: it needs 100% of that" in text


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("--port=8080", "--port=8080"),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        (";", '";"'),
        ("two words", '"two words"'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("'", '"\'"'),
        ("", '""'),
        ("#", '"#"'),
    ],
)
def test_arguments_reach_the_program_as_they_are(word: str, written: str) -> None:
    assert f"ExecStart=/bin/true {written}" in lines(changed(exec_start=("/bin/true", word)))


def test_specifiers_are_literal_everywhere() -> None:
    service = changed(description="100% news", environment={"RATIO": "5%n"})
    assert "Description=100%% news" in lines(service)
    assert 'Environment="RATIO=5%%n"' in lines(service)


@pytest.mark.parametrize("text", ["$(x) `x`", "it's", "100% %(x)", "a;b|c&d<e>f!", "x # y", "{a,b} [c] *?~^"])
def test_a_users_title_holds_nothing_that_a_shell_or_rpm_reads(text: str) -> None:
    """EL9 has a shell evaluate sysusers.d files while it parses a spec, and puts the title between quotes in %pre."""
    line = render_sysusers(changed(description=f"Good {text} news")).splitlines()[1]
    assert not set(line) & set("$`'%;|&<>!#{}[]*?~^\\")
    assert line.startswith('u herald - "Good ')
    assert line.endswith(' news" /var/lib/herald /usr/sbin/nologin')


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../evil"),
        ("name", ""),
        ("description", "a\nExecStartPre=/bin/evil"),
        ("description", "a\\"),
        ("description", 'a" - / /bin/sh'),
        ("description", "a:b"),
        ("description", " "),
        ("user", "root\n"),
        ("user", "Root"),
        ("group", "a b"),
        ("exec_start", ()),
        ("exec_start", ("herald",)),
        ("exec_start", ("+/bin/true",)),
        ("exec_start", ("/bin/true", "a\nUser=root")),
        ("exec_start", ("/bin/true", "\x1b[31m")),
        ("type", "oneshot\n"),
        ("kill_signal", "KILL"),
        ("state_directory", "/etc"),
        ("state_directory", "a/../../etc"),
        ("state_directory", "a b"),
        ("documentation", ("javascript:alert(1)",)),
        ("documentation", ("https://x.org/ User=root",)),
        ("environment", {"A=B C": "1"}),
        ("environment", {"A": "1\nUser=root"}),
        ("without", {"NoSuchDirective": "why"}),
        ("without", {"PrivateTmp": "why\nUser=root"}),
    ],
)
def test_what_systemd_would_misread_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=key):
        changed(**{key: value})


def test_sysusers_makes_the_user_and_another_group() -> None:
    assert render_sysusers(PLAIN).splitlines()[1:] == [
        'u herald - "Herald of good news" /var/lib/herald /usr/sbin/nologin'
    ]
    assert render_sysusers(changed(group="news")).splitlines()[2:] == ["g news -", "m herald news"]
