"""The release file: every mistake is told at once, each with its file and key."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from elpack.config import parse_release
from elpack.errors import ConfigError
from elpack.model import Policy
from elpack.naming import dist_name

if TYPE_CHECKING:
    from elpack.config import Release

REPOSITORY = Path(__file__).parents[2]

HEAD = """\
[release]
name = "shop"
date = 2026-11-01
packager = "Shop <shop@example.org>"
"""
APPLICATION = """\
[application]
name = "shop"
"""
FIRST_PARTY = """\
[first-party]
shop = { path = "../shop" }
"""
TARGETS = """\
[targets.el9]
"""
LEAST = HEAD + APPLICATION + FIRST_PARTY + TARGETS


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        parse_release(text)
    return [str(problem) for problem in refusal.value.problems]


def one_mistake(text: str) -> str:
    found = mistakes(text)
    assert len(found) == 1, found
    return found[0]


def with_head(line: str) -> str:
    return LEAST.replace(HEAD, HEAD + line + "\n")


def test_least_release_and_its_defaults() -> None:
    release = parse_release(LEAST)
    assert release.name == "shop"
    assert release.date == dt.date(2026, 11, 1)
    assert release.revision == 1
    assert (release.layout, release.prefix) == ("stack", "/opt/shop")
    assert release.index == "https://pypi.org/simple/"
    assert release.application.lock == "uv.lock"
    assert release.application.rpm == "shop"
    assert [(choice.name, choice.python, choice.arches) for choice in release.targets] == [("el9", "3.12", ("x86_64",))]
    assert release.first_party_names() == {"shop"}
    assert release.service is None
    assert release.smoke.steps == ()


def test_the_committed_release_is_read() -> None:
    release = parse_release((REPOSITORY / "elpack.toml").read_text())
    assert release.application.name == "crossbar"
    assert release.first_party_names() == {"txaio", "autobahn", "zlmdb", "cfxdb", "xbr", "crossbar"}
    assert {choice.name: choice.arches for choice in release.targets} == {
        "el9": ("x86_64", "aarch64"),
        "el9-standin": ("x86_64", "aarch64"),
    }
    assert release.service is not None
    assert release.service.kill_signal == "SIGINT"
    assert release.smoke.steps


def test_whole_release() -> None:
    release = parse_release(
        with_head('revision = 3\nindex = "https://index.example/simple"\nprefix = "/opt/store"')
        + """
[policy]
Numpy = "sdist"
[[asset]]
source = "etc/shop.json"
destination = "/etc/shop/shop.json"
mode = "0640"
config = true
[first-party.tools]
git = "https://git.example/tools"
tag = "v1"
[first-party.Base_Lib]
version = "1.0"
sha256 = "%s"
"""
        % ("0a" * 32)
    )
    assert release.revision == 3
    assert release.index == "https://index.example/simple/"
    assert release.policies == ((dist_name("numpy"), Policy.SDIST),)
    assert (release.assets[0].mode, release.assets[0].config) == (0o640, True)
    assert [dist.name for dist in release.first_party] == ["base-lib", "shop", "tools"]
    assert release.first_party[0].sha256 == "0a" * 32


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('packger = "x"', "elpack.toml: release.packger: unknown key\n  fix: did you mean packager?"),
        ("revision = 0", "elpack.toml: release.revision: expected 1 or more, found 0"),
        ('revision = "1"', "elpack.toml: release.revision: expected an integer, found a string"),
        ("revision = true", "elpack.toml: release.revision: expected an integer, found true or false"),
        ('layout = "stak"', "elpack.toml: release.layout: 'stak' is not one of: stack, bundle, system"),
        ('prefix = "/usr"', "elpack.toml: release.prefix: '/usr' is not of the form /opt/<name>"),
        ('prefix = "/opt/a/b"', "elpack.toml: release.prefix: '/opt/a/b' is not of the form /opt/<name>"),
        ('prefix = "/opt/.."', "elpack.toml: release.prefix: '/opt/..' is not of the form /opt/<name>"),
        (
            'index = "http://index.example/simple"',
            "elpack.toml: release.index: an index is an https URL without credentials",
        ),
        (
            'index = "http://127.0.0.1.example/simple"',
            "elpack.toml: release.index: an index is an https URL without credentials",
        ),
        (
            'index = "https://me:secret@index.example/simple"',
            "elpack.toml: release.index: an index is an https URL without credentials",
        ),
    ],
)
def test_a_mistake_in_release(line: str, message: str) -> None:
    assert one_mistake(with_head(line)) == message


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:80"])
def test_an_index_on_this_very_host_needs_no_tls(host: str) -> None:
    release = parse_release(with_head(f'index = "http://{host}/simple"'))
    assert release.index_is_local
    assert not parse_release(LEAST).index_is_local


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "date = 2026-11-01",
            "date = 2026-11-01T10:00:00",
            "elpack.toml: release.date: expected a date such as 2026-11-01, found datetime",
        ),
        (
            "date = 2026-11-01",
            'date = "today"',
            "elpack.toml: release.date: expected a date such as 2026-11-01, found a string",
        ),
        ("date = 2026-11-01\n", "", "elpack.toml: release.date: this key is required\n  fix: add date = …"),
        (
            "Shop <shop@example.org>",
            "Shop",
            "elpack.toml: release.packager: 'Shop' is not of the form Name <mail@address>",
        ),
        (
            "Shop <shop@example.org>",
            "S%{nil} <shop@example.org>",
            "elpack.toml: release.packager: 'S%{nil} <shop@example.org>' is not of the form Name <mail@address>",
        ),
        (
            HEAD,
            HEAD.replace('name = "shop"', 'name = "my shop"'),
            "elpack.toml: release.name: 'my shop' is not a valid RPM name",
        ),
        (
            APPLICATION,
            '[application]\nname = "store"\n',
            "elpack.toml: application.name: store has no entry under [first-party]",
        ),
        (APPLICATION, "", "elpack.toml: application.name: this key is required\n  fix: add name = …"),
        (
            APPLICATION,
            APPLICATION + 'lock = "../uv.lock"\n',
            "elpack.toml: application.lock: '../uv.lock' is not a plain relative path below the release file",
        ),
        (
            APPLICATION,
            APPLICATION + 'expose = ["a/b"]\n',
            "elpack.toml: application.expose: 'a/b' is not of the form a command's name",
        ),
        (
            APPLICATION,
            APPLICATION + 'provides = ["a b"]\n',
            "elpack.toml: application.provides: 'a b' is not a valid RPM name",
        ),
        (
            APPLICATION,
            APPLICATION + 'extras = ["a b"]\n',
            "elpack.toml: application.extras: 'a b' is not a valid name of a Python distribution",
        ),
        (
            APPLICATION,
            APPLICATION + "extras = [1]\n",
            "elpack.toml: application.extras[0]: expected a string, found an integer",
        ),
        (TARGETS, "", "elpack.toml: targets: no target is named\n  fix: add [targets.el9]"),
        (
            TARGETS,
            "[targets.el8]\n",
            "elpack.toml: targets.el8: unknown target\n  fix: known targets: el9, el9-standin",
        ),
        (
            TARGETS,
            '[targets.el9]\npython = "3.9"\n',
            "elpack.toml: targets.el9.python: el9 has no Python 3.9\n  fix: one of: 3.12, 3.11",
        ),
        (
            TARGETS,
            "[targets.el9]\npython = 3.12\n",
            "elpack.toml: targets.el9.python: expected a string, found float",
        ),
        (
            TARGETS,
            '[targets.el9]\narches = ["riscv64"]\n',
            "elpack.toml: targets.el9.arches: el9 has no architecture riscv64\n  fix: one of: x86_64, aarch64",
        ),
        (
            TARGETS,
            '[targets.el9]\narch = ["x86_64"]\n',
            "elpack.toml: targets.el9.arch: unknown key\n  fix: did you mean arches?",
        ),
        (TARGETS, TARGETS + "[polcy]\n", "elpack.toml: polcy: unknown key\n  fix: did you mean policy?"),
        (
            TARGETS,
            TARGETS + '[policy]\nnumpy = "source"\n',
            "elpack.toml: policy.numpy: 'source' is not one of: sdist",
        ),
        (
            TARGETS,
            TARGETS + '[policy]\n"a b" = "sdist"\n',
            "elpack.toml: policy.a b: 'a b' is not a valid name of a Python distribution",
        ),
    ],
)
def test_a_mistake_elsewhere(old: str, new: str, message: str) -> None:
    assert LEAST.count(old) == 1
    assert one_mistake(LEAST.replace(old, new)) == message


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('sha256 = "abc"', "elpack.toml: first-party.tools.sha256: 'abc' is not of the form 64 hexadecimal digits"),
        ('version = "one"', "elpack.toml: first-party.tools.version: 'one' is not a PEP 440 version"),
        (
            'git = "https://git.example/tools"',
            "elpack.toml: first-party.tools.git: git and tag belong together",
        ),
        ('tag = "v1"', "elpack.toml: first-party.tools.git: git and tag belong together"),
        (
            'git = "https://git.example/tools"\ntag = "v1"\npath = "../tools"',
            "elpack.toml: first-party.tools.path: a source is either a path or a git tag, not both",
        ),
        ('pth = "../tools"', "elpack.toml: first-party.tools.pth: unknown key\n  fix: did you mean path?"),
        ("path = 1", "elpack.toml: first-party.tools.path: expected a string, found an integer"),
    ],
)
def test_a_mistake_in_a_first_party_package(entry: str, message: str) -> None:
    assert one_mistake(f"{LEAST}[first-party.tools]\n{entry}\n") == message


def test_a_first_party_package_in_two_spellings() -> None:
    text = LEAST + '[first-party.Base_Lib]\npath = "a"\n[first-party.base-lib]\npath = "b"\n'
    assert one_mistake(text) == "elpack.toml: first-party.base-lib: base-lib is there twice, in two spellings"


def test_a_first_party_name_that_no_dist_can_have() -> None:
    text = LEAST + '[first-party."a b"]\npath = "a"\n'
    assert one_mistake(text) == "elpack.toml: first-party.a b: 'a b' is not a valid name of a Python distribution"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            'source = "/etc/x"\ndestination = "/etc/x"',
            "elpack.toml: asset[0].source: '/etc/x' is not a plain relative path below the release file",
        ),
        (
            'source = "../x"\ndestination = "/etc/x"',
            "elpack.toml: asset[0].source: '../x' is not a plain relative path below the release file",
        ),
        (
            'source = "x"\ndestination = "etc/x"',
            "elpack.toml: asset[0].destination: 'etc/x' is not a plain absolute path",
        ),
        (
            'source = "x"\ndestination = "/etc/../x"',
            "elpack.toml: asset[0].destination: '/etc/../x' is not a plain absolute path",
        ),
        (
            'source = "x"\ndestination = "/etc/%{x}"',
            "elpack.toml: asset[0].destination: '/etc/%{x}' is not a plain absolute path",
        ),
        (
            'source = "x"\ndestination = "/etc/x"\nmode = "644"',
            "elpack.toml: asset[0].mode: '644' is not a file mode such as 0644",
        ),
        (
            'source = "x"\ndestination = "/etc/x"\nmode = "4755"',
            "elpack.toml: asset[0].mode: '4755' is not a file mode such as 0644",
        ),
        (
            'source = "x"\ndestination = "/etc/x"\nconfig = "yes"',
            "elpack.toml: asset[0].config: expected true or false, found a string",
        ),
        ('source = "x"', "elpack.toml: asset[0].destination: this key is required\n  fix: add destination = …"),
    ],
)
def test_a_mistake_in_an_asset(entry: str, message: str) -> None:
    assert one_mistake(f"{LEAST}[[asset]]\n{entry}\n") == message


@pytest.mark.parametrize(
    ("first", "second"),
    [("/usr/bin/shop", "/etc/x"), ("/etc/x", "/etc/x")],
    ids=["exposed command", "twice"],
)
def test_two_files_at_one_destination(first: str, second: str) -> None:
    text = LEAST.replace(APPLICATION, f'{APPLICATION}expose = ["shop"]\n')
    text += "".join(f'[[asset]]\nsource = "x"\ndestination = "{path}"\n' for path in (first, second))
    assert " is also that of " in one_mistake(text)


@pytest.mark.parametrize("date", ["1800-01-01", "1979-12-31", "2100-01-01", "9999-12-31"])
def test_date_that_rpm_cannot_write(date: str) -> None:
    expected = f"elpack.toml: release.date: expected a year from 1980 to 2099, found {date}"
    assert one_mistake(LEAST.replace("2026-11-01", date)) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("/opt", "images.data: '/opt' holds what the image itself needs: a volume would hide it"),
        ("/etc/x", "images.data: '/etc/x' would hide /etc/x/y\n  fix: data = \"/data\""),
        ("/opt/shop/data", 'images.data: it is below the prefix, /opt/shop\n  fix: data = "/data"'),
    ],
)
def test_a_volume_that_would_hide_files_of_the_release(data: str, message: str) -> None:
    asset = '[[asset]]\nsource = "y"\ndestination = "/etc/x/y"\n'
    assert one_mistake(f'{LEAST}{asset}[images]\ndata = "{data}"\n') == f"elpack.toml: {message}"


def test_application_rpm_with_a_name_of_the_macros() -> None:
    assert "application.provides" in one_mistake(LEAST.replace(APPLICATION, f'{APPLICATION}rpm = "python3-shop"\n'))


SERVICE = """\
[service]
name = "shop"
description = "Shop"
user = "shop"
exec = ["/opt/shop/bin/shop"]
"""


def test_a_service() -> None:
    service = parse_release(LEAST + SERVICE + 'kill-signal = "SIGINT"\n').service
    assert service is not None
    assert service.exec_start == ("/opt/shop/bin/shop",)
    assert service.kill_signal == "SIGINT"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('user = "shop"\n', "", "elpack.toml: service.user: this key is required\n  fix: add user = …"),
        (
            'user = "shop"',
            'user = "Shop Keeper"',
            "elpack.toml: service.user: user: 'Shop Keeper' cannot stand in a systemd unit",
        ),
        (
            '["/opt/shop/bin/shop"]',
            '["shop"]',
            "elpack.toml: service.exec: exec_start: 'shop' cannot stand in a systemd unit",
        ),
        (
            'user = "shop"',
            'user = "shop"\nkill-signal = "SIGKILL"',
            "elpack.toml: service.kill-signal: kill_signal: 'SIGKILL' cannot stand in a systemd unit",
        ),
        (
            'user = "shop"',
            'user = "shop"\nkill_signal = "SIGINT"',
            "elpack.toml: service.kill_signal: unknown key\n  fix: did you mean kill-signal?",
        ),
        (
            'user = "shop"',
            'user = "shop"\nstart-timeout = "long"',
            "elpack.toml: service.start-timeout: expected an integer, found a string",
        ),
        (
            SERVICE,
            SERVICE + "[service.environment]\nA = 1\n",
            "elpack.toml: service.environment.A: expected a string, found an integer",
        ),
        (
            SERVICE,
            SERVICE + '[service.without]\nPrivateTemp = "it hurts"\n',
            "elpack.toml: service.without: without: 'PrivateTemp' cannot stand in a systemd unit",
        ),
    ],
)
def test_a_mistake_in_the_service(old: str, new: str, message: str) -> None:
    text = LEAST + SERVICE
    assert text.count(old) == 1
    assert one_mistake(text.replace(old, new)) == message


STEP = '[[smoke.step]]\nname = "version"\nrun = ["shop", "--version"]\n'


def test_a_smoke_test() -> None:
    smoke = parse_release(LEAST + '[smoke]\nfiles = "smoke"\n' + STEP).smoke
    assert [step.name for step in smoke.steps] == ["version"]
    assert smoke.files == "smoke"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[smoke.step]]\nrun = ["x"]\n', "elpack.toml: smoke.step[0].name: this key is required\n  fix: add name = …"),
        (
            '[[smoke.step]]\nname = "x"\n',
            "elpack.toml: smoke.step[0]: step 'x': a step either runs a command or sends a signal",
        ),
        (STEP + "tiemout = 1\n", "elpack.toml: smoke.step[0].tiemout: unknown key\n  fix: did you mean timeout?"),
        (STEP + STEP, "elpack.toml: smoke: two steps are named 'version'"),
        (
            STEP + 'ends = "start"\n',
            "elpack.toml: smoke: step 'version': no background step 'start' runs at that point",
        ),
        ('[smoke]\nservice = ["x"]\n' + STEP, "elpack.toml: smoke: service: there is no step 'x'"),
        ("[smoke]\nstep = 1\n", "elpack.toml: smoke.step: expected an array, found an integer"),
        ("[smoke]\nstep = [1]\n", "elpack.toml: smoke.step[0]: expected a table, found an integer"),
    ],
)
def test_a_mistake_in_the_smoke_test(text: str, message: str) -> None:
    assert one_mistake(LEAST + text) == message


def test_all_mistakes_of_the_whole_file_are_told_at_once() -> None:
    text = """\
[release]
name = "my shop"
date = 2026-11-01
packager = "Shop"
colour = "red"
[application]
name = "shop"
[first-party]
shop = { sha256 = "abc" }
[targets.el9]
python = "3.9"
[[asset]]
source = "/x"
destination = "x"
[service]
name = "shop"
description = "Shop"
user = "Shop Keeper"
exec = ["shop"]
[[smoke.step]]
name = "version"
[[smoke.step]]
name = "Other"
run = ["x"]
"""
    found = [line.split("\n")[0] for line in mistakes(text)]
    assert found == [
        "elpack.toml: asset[0].destination: 'x' is not a plain absolute path",
        "elpack.toml: asset[0].source: '/x' is not a plain relative path below the release file",
        "elpack.toml: first-party.shop.sha256: 'abc' is not of the form 64 hexadecimal digits",
        "elpack.toml: release.colour: unknown key",
        "elpack.toml: release.name: 'my shop' is not a valid RPM name",
        "elpack.toml: release.packager: 'Shop' is not of the form Name <mail@address>",
        "elpack.toml: service.exec: exec_start: 'shop' cannot stand in a systemd unit",
        "elpack.toml: service.user: user: 'Shop Keeper' cannot stand in a systemd unit",
        "elpack.toml: smoke.step[0]: step 'version': a step either runs a command or sends a signal",
        "elpack.toml: smoke.step[1]: step 'Other': a step's name is made of small letters, digits, blanks, - and _",
        "elpack.toml: targets.el9.python: el9 has no Python 3.9",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[release", "elpack.toml: not valid TOML: "),
        ("a = 1\na = 2", "elpack.toml: not valid TOML: "),
    ],
)
def test_what_is_no_toml(text: str, message: str) -> None:
    assert one_mistake(text).startswith(message)


def test_an_empty_file_lacks_all_that_is_required() -> None:
    assert [line.split("\n")[0] for line in mistakes("")] == [
        "elpack.toml: application.name: this key is required",
        "elpack.toml: release.date: this key is required",
        "elpack.toml: release.name: this key is required",
        "elpack.toml: release.packager: this key is required",
        "elpack.toml: targets: no target is named",
    ]


def test_equal_releases_are_equal_values() -> None:
    releases: list[Release] = [parse_release(LEAST + SERVICE + STEP) for _ in range(2)]
    assert releases[0] == releases[1]
