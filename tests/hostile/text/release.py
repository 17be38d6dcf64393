"""What a release says in its own words: service, assets, smoke test, changelogs, overrides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.hostile.corpus import EVIL, INFO, LIBRARY, LOCK, RELEASE, Case, Project, wheel
from tests.hostile.text.metadata import PLAN, core, in_layout
from tests.hostile.text.payloads import ALL, LINE_ENDS, LUA, QUOTED, SHELL, TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = 10
SERVICE: dict[str, Any] = {
    "name": "app",
    "description": "The application",
    "user": "app",
    "exec": ["/opt/shop/bin/app"],
    "state-directory": "app",
}


def toml(value: object) -> str:
    """Return a value as TOML spells it; for strings, arrays and flat tables that is nearly JSON."""
    if isinstance(value, dict):
        return (
            "{ "
            + ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {toml(item)}" for key, item in value.items())
            + " }"
        )
    return json.dumps(value, ensure_ascii=False)


def service(**changes: object) -> Callable[[Project], None]:
    values = SERVICE | {key.replace("_", "-"): value for key, value in changes.items()}
    text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())

    def make(project: Project) -> None:
        project.release = f"{RELEASE}[service]\n{text}"

    return make


def release(old: str, new: str) -> Callable[[Project], None]:
    def make(project: Project) -> None:
        assert old in RELEASE
        project.release = RELEASE.replace(old, new)

    return make


def local_version(project: Project) -> None:
    """Lock what rpm cannot order: letters and digits in one part of a local version."""
    version = "1.0+g1a2b"
    info = f"lib-{version}.dist-info"
    files = {path.replace(INFO, info): data for path, data in project.wheel_files.items()}
    files[f"{info}/METADATA"] = core("lib", {"Version": version})
    project.wheel, project.wheel_name = wheel(files, info=info), f"lib-{version}-py3-none-any.whl"
    project.lock = LOCK.replace('"lib"\nversion = "1.0"', f'"lib"\nversion = "{version}"')


def asset(**changes: object) -> Callable[[Project], None]:
    values = {"source": "app.json", "destination": "/etc/app/app.json"} | changes
    text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())

    def make(project: Project) -> None:
        project.release = f"{RELEASE}[[asset]]\n{text}"
        project.beside["app.json"] = f"{ALL}\n%post\n{EVIL}\n"

    return make


def smoke(**changes: object) -> Callable[[Project], None]:
    values = {"name": "start", "run": ["{prefix}/bin/app"]} | changes
    text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())

    def make(project: Project) -> None:
        project.release = f"{RELEASE}[[smoke.step]]\n{text}"

    return make


def changelog(*lines: str, **changes: object) -> Callable[[Project], None]:
    values = {"dist": "app", "version": "1.0", "revision": 1, "text": list(lines)} | changes
    text = "".join(f"{key} = {toml(value)}\n" for key, value in values.items())

    def make(project: Project) -> None:
        project.beside["specs/changelog.toml"] = f"[[entry]]\ndate = 2026-11-01\n{text}"

    return make


def override(table: str, dist: str = "app", **values: object) -> Callable[[Project], None]:
    text = "".join(f"{key} = {toml(value)}\n" for key, value in {"reason": "so", **values}.items())

    def make(project: Project) -> None:
        project.sdist_files["x.h"] = b"x 1.0"
        project.beside[f"specs/overrides/{dist}.toml"] = f"{table}\n{text}"

    return make


UNIT = tuple(
    Case(f"unit/{name}", "a service that says more than it should", make, code, says)
    for name, make, code, says in (
        ("description-macro", service(description=f"{SHELL} $({EVIL}) `{EVIL}` it's %{{x}}"), 0, ()),
        ("description-specifier", service(description="%h %i %% %"), 0, ()),
        ("description-line", service(description=f"x\nExecStartPre=/bin/{EVIL}"), CONFIG, ("service.description",)),
        ("description-continued", service(description="x \\"), CONFIG, ("service.description",)),
        ("description-gecos", service(description="x:0:0::/root:/bin/sh"), CONFIG, ("service.description",)),
        ("description-escape", service(description="\x1b[2J"), CONFIG, ("service.description",)),
        ("description-direction", service(description="\u202ex"), CONFIG, ("service.description",)),
        ("description-jinja", service(description="{{ service.user }}{% raw %}"), 0, ()),
        ("exec-macro", service(exec=["/opt/shop/bin/app", SHELL, LUA, "%h", "%i"]), 0, ()),
        ("exec-shell", service(exec=["/opt/shop/bin/app", QUOTED[:-2], ";", "${HOME}", "$HOME"]), 0, ()),
        ("exec-line", service(exec=["/opt/shop/bin/app", f"x\nExecStartPre=/bin/{EVIL}"]), CONFIG, ("service.exec",)),
        ("exec-program", service(exec=[f"/bin/{SHELL}"]), CONFIG, ("service.exec",)),
        ("exec-prefix", service(exec=[f"+/bin/{EVIL}"]), CONFIG, ("service.exec",)),
        ("environment", service(environment={"X": f"{SHELL} %h \" ' $"}), 0, ()),
        (
            "environment-name",
            service(environment={f"X\nExecStartPre=/bin/{EVIL}": "x"}),
            CONFIG,
            ("service.environment",),
        ),
        (
            "environment-line",
            service(environment={"X": f"x\n[Service]\nExecStartPre=/bin/{EVIL}"}),
            CONFIG,
            ("service.environment",),
        ),
        ("documentation", service(documentation=[f"https://example.org/{SHELL}"]), CONFIG, ("service.documentation",)),
        ("documentation-shell", service(documentation=["https://example.org/$(x)&';"]), 0, ()),
        ("documentation-line", service(documentation=["https://x\nUser=root"]), CONFIG, ("service.documentation",)),
        ("name", service(name=f"app{SHELL}"), CONFIG, ("service.name",)),
        ("name-shell", service(name=f"app;{EVIL}"), CONFIG, ("service.name",)),
        ("name-path", service(name="../app"), CONFIG, ("service.name",)),
        ("user", service(user=f"root\nm {EVIL} root"), CONFIG, ("service.user",)),
        ("group", service(group="%(x)"), CONFIG, ("service.group",)),
        ("state", service(state_directory=f"app {SHELL}"), CONFIG, ("service.state-directory",)),
        ("state-path", service(state_directory="../../etc"), CONFIG, ("service.state-directory",)),
        ("without", service(without={"PrivateTmp": f"x\nExecStartPre=/bin/{EVIL}"}), CONFIG, ("service.without",)),
        ("without-macro", service(without={"PrivateTmp": f"{SHELL} because"}), 0, ()),
        ("signal", service(kill_signal=f"SIGTERM\nExecStop=/bin/{EVIL}"), CONFIG, ("service.kill-signal",)),
    )
)
WORDS = tuple(
    Case(f"release/{name}", "a word of the release file that says more than it should", make, code, says)
    for name, make, code, says in (
        ("packager", release("Shop <", f"{SHELL} <"), CONFIG, ("release.packager",)),
        ("packager-line", release('"Shop <shop@example.org>"', '"x\\n- y <a@b>"'), CONFIG, ("release.packager",)),
        (
            "packager-version",
            release('"Shop <shop@example.org>"', '"x - 9:9-9 <a@b> - 9:9-9"'),
            CONFIG,
            ("release.packager",),
        ),
        ("packager-shell", release("Shop <", "$(x) `x` <"), 0, ()),
        ("name", release('name = "shop"', f'name = "shop{SHELL}"'), CONFIG, ("release.name",)),
        ("name-line", release('name = "shop"', f'name = "shop\\n%post\\n{EVIL}"'), CONFIG, ("release.name",)),
        ("name-option", release('name = "shop"', 'name = "-rf"'), CONFIG, ("release.name",)),
        ("prefix", release('name = "shop"', f"name = \"shop\"\nprefix = '/opt/{SHELL}'"), CONFIG, ("release.prefix",)),
        ("prefix-path", release('name = "shop"', 'name = "shop"\nprefix = "/opt/../etc"'), CONFIG, ("release.prefix",)),
        ("provides", release("expose", f"provides = ['x = {SHELL}']\nexpose"), CONFIG, ("application.provides",)),
        (
            "provides-line",
            release("expose", f'provides = ["x\\nRequires: {EVIL}"]\nexpose'),
            CONFIG,
            ("application.provides",),
        ),
        ("expose", release('["app"]', f"['{SHELL}']"), CONFIG, ("application.expose",)),
        ("expose-path", release('["app"]', '["../../etc/x"]'), CONFIG, ("application.expose",)),
        ("rpm", release("expose", f"rpm = '{LUA}'\nexpose"), CONFIG, ("application.rpm",)),
        ("key-escape", release("[targets", '"\\u001b[2J\\u202e" = 1\n[targets'), CONFIG, ("is not a valid name",)),
        ("key-line", release("[targets", '"x\\n• all is well" = 1\n[targets'), CONFIG, ("is not a valid name",)),
        ("table-escape", release("[targets", '["\\u001b[2J"]\n[targets'), CONFIG, ("unknown key",)),
        ("target-escape", release("[targets.el9]", '[targets."\\u001b[2J"]'), CONFIG, ("unknown target",)),
        ("date", release("2026-11-01", '"%(x)"'), CONFIG, ("release.date",)),
        ("revision", release("date =", "revision = 99999999999999999999999\ndate ="), CONFIG, ("release.revision",)),
        ("index", release("date =", f'index = "https://x/{SHELL}"\ndate ='), 0, ()),
        (
            "git",
            release('version = "1.0", sha256 = "SDIST_SHA256"', f'git = "ext::sh -c {EVIL}", tag = "x"'),
            CONFIG,
            ("first-party.app",),
        ),
        (
            "git-option",
            release('version = "1.0", sha256 = "SDIST_SHA256"', f'git = "https://x", tag = "--upload-pack={EVIL}"'),
            CONFIG,
            ("first-party.app",),
        ),
        ("local-version", local_version, PLAN, ("local version",)),
    )
)
FILES = tuple(
    Case(f"asset/{name}", "a file of the release that is more than one", make, code, says)
    for name, make, code, says in (
        ("content", asset(), 0, ()),
        ("source", asset(source=f"{SHELL}.json"), CONFIG, ("asset[0].source",)),
        ("source-path", asset(source="../../outside/a"), CONFIG, ("asset[0].source",)),
        ("destination", asset(destination=f"/etc/{SHELL}"), CONFIG, ("asset[0].destination",)),
        ("destination-blank", asset(destination="/etc/a b"), CONFIG, ("asset[0].destination",)),
        ("destination-line", asset(destination=f"/etc/a\n%post\n{EVIL}"), CONFIG, ("asset[0].destination",)),
        ("destination-option", asset(destination="-rf"), CONFIG, ("asset[0].destination",)),
        ("destination-glob", asset(destination="/etc/*"), CONFIG, ("asset[0].destination",)),
        ("group", asset(group="root) %attr(4755, root, root"), CONFIG, ("asset[0].group",)),
        ("mode", asset(mode="%(x)"), CONFIG, ("asset[0].mode",)),
    )
)
STEPS = tuple(
    Case(f"smoke/{name}", "a smoke step that is more than one", make, code, says)
    for name, make, code, says in (
        ("name", smoke(name=f"x{SHELL}"), CONFIG, ("smoke.step[0]",)),
        ("name-escape", smoke(name="\x1b[2J"), CONFIG, ("smoke.step[0]",)),
        ("run", smoke(run=["{prefix}/bin/app", ALL, "a\nb", "{files}"]), 0, ()),
        ("run-nul", smoke(run=["a\0b"]), CONFIG, ("smoke.step[0].run",)),
        ("expect", smoke(expect=["(((("]), CONFIG, ("smoke.step[0]",)),
        ("expect-escape", smoke(expect=["\x1b[2J("]), CONFIG, ("smoke.step[0]",)),
        ("version", smoke(expect=["{version:nowhere}\x1b"]), PLAN, ("the lock holds no nowhere",)),
        ("environment", smoke(environment={"X": ALL}), 0, ()),
    )
)
PROSE = (
    Case(
        "changelog/macro",
        "macros in a changelog",
        changelog(SHELL, LUA, "%post", f"%define {EVIL} x"),
        says=(f"- {SHELL}", "- %post"),
    ),
    Case("changelog/shell", "shell in a changelog", changelog(QUOTED), says=(f"- {QUOTED.rstrip()}",)),
    Case(
        "changelog/entry",
        "an entry in an entry",
        changelog("* Mon Nov 02 2026 Mallory <m@example.org> - 9"),
        says=("- * Mon",),
    ),
    Case("changelog/long", "a megabyte in a changelog", changelog("%(x)" * 262_144)),
    Case("changelog/many", "10 000 lines in a changelog", changelog(*["%post"] * 10_000)),
    *(
        Case(
            f"changelog/{name}",
            "a line end in a line",
            changelog(f"x{end}%post{end}{EVIL}"),
            CONFIG,
            ("entry[0].text",),
        )
        for name, end in LINE_ENDS.items()
    ),
    *(
        Case(
            f"changelog/terminal-{name}",
            "what a terminal follows",
            changelog(text),
            code,
            ("entry[0].text",) if code else (),
        )
        for name, text in TERMINAL.items()
        for code in [0 if text.isprintable() else CONFIG]
    ),
    Case("changelog/version", "macros for a version", changelog("x", version=SHELL), CONFIG, ("entry[0].version",)),
    Case("changelog/dist", "macros for a dist", changelog("x", dist=SHELL), CONFIG, ("entry[0].dist",)),
)
OVERRIDES = tuple(
    Case(f"override/{name}", "an override that says more than it should", make, code, says)
    for name, make, code, says in (
        (
            "reason",
            override("[[bundled]]", name="x", version="1.0", file="x.h", text="x 1.0", reason=f"{SHELL} %post {LUA}"),
            0,
            (),
        ),
        (
            "reason-line",
            override("[[bundled]]", name="x", version="1.0", file="x.h", text="x 1.0", reason=f"x\n%post\n{EVIL}"),
            0,
            (),
        ),
        (
            "reason-escape",
            override("[[bundled]]", name="x", version="1.0", file="x.h", text="x 1.0", reason="\x1b[2J"),
            CONFIG,
            ("bundled[0].reason",),
        ),
        (
            "reason-long",
            override("[[bundled]]", name="x", version="1.0", file="x.h", text="x 1.0", reason="%(x) " * 200_000),
            0,
            (),
        ),
        (
            "bundled-name",
            override("[[bundled]]", name=f"x{SHELL}", version="1.0", file="x.h", text="x"),
            CONFIG,
            ("bundled[0].name",),
        ),
        (
            "bundled-version",
            override("[[bundled]]", name="x", version=f"1\nRequires: {EVIL}", file="x.h", text="x"),
            CONFIG,
            ("bundled[0].version",),
        ),
        (
            "bundled-file",
            override("[[bundled]]", name="x", version="1", file="../../etc/passwd", text="x"),
            CONFIG,
            ("bundled[0].file",),
        ),
        (
            "bundled-text",
            override("[[bundled]]", name="x", version="1.0", file="x.h", text="\x1b[2J\nx"),
            PLAN,
            ("x.h",),
        ),
        ("licence", override("[licence]", expression=f"MIT {SHELL}"), CONFIG, ("licence.expression",)),
        ("drop", override("[[drop]]", path=f"bin/{SHELL}"), CONFIG, ("drop[0].path",)),
        ("drop-option", override("[[drop]]", path="--root=/"), CONFIG, ("drop[0].path",)),
        ("drop-path", override("[[drop]]", path="../../etc/passwd"), CONFIG, ("drop[0].path",)),
        ("env", override("[[build-env]]", set=f"X={SHELL}"), CONFIG, ("build-env[0].set",)),
        ("env-shell", override("[[build-env]]", set=f"X=$({EVIL})"), CONFIG, ("build-env[0].set",)),
        ("env-line", override("[[build-env]]", set=f"X=x\n{EVIL}"), CONFIG, ("build-env[0].set",)),
        ("env-name", override("[[build-env]]", set="x;y=1"), CONFIG, ("build-env[0].set",)),
        ("rpm", override("[[build-requires]]", rpm=f"gcc {SHELL}"), CONFIG, ("build-requires[0].rpm",)),
        ("rpm-line", override("[[build-requires]]", rpm=f"gcc\nRequires: {EVIL}"), CONFIG, ("build-requires[0].rpm",)),
        ("module", override("[[no-import]]", module=f"app;{EVIL}"), CONFIG, ("no-import[0].module",)),
        ("must-have", override("[[must-have]]", path=f"'; {EVIL}; '"), CONFIG, ("must-have[0].path",)),
        ("hardened", override("[[not-hardened]]", path=f"$({EVIL})"), CONFIG, ("not-hardened[0].path",)),
        ("file-name", override("[[drop]]", dist=f"app{SHELL}", path="x"), CONFIG, ("specs/overrides",)),
        ("file-escape", override("[[drop]]", dist="app\x1b[2J", path="x"), CONFIG, ("specs/overrides",)),
        ("key", override('[["\\u001b[2J"]]'), CONFIG, ("unknown key",)),
    )
)


def library_of_mallory(project: Project) -> None:
    project.release = LIBRARY.replace("Shop <", f"{SHELL} <")


LAYOUTS = (
    Case(
        "layout/system-words",
        "a library's release with macros",
        library_of_mallory,
        CONFIG,
        ("release.packager",),
    ),
    Case(
        "layout/bundle-service",
        "a bundle with a hostile service",
        in_layout("bundle", service(description=SHELL, exec=["/opt/shop/bin/app", ALL[:-2]])),
    ),
)
CASES = (*UNIT, *WORDS, *FILES, *STEPS, *PROSE, *OVERRIDES, *LAYOUTS)
