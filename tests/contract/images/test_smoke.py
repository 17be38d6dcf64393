"""Images tried with a real podman: what a sound one is let through by, and what each unsound one is told."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from elpack.builders.emulation import patience
from elpack.engine import engine
from elpack.errors import ConfigError, SmokeError
from elpack.images.annotations import HEALTH, platform_of
from elpack.images.container import Container
from elpack.images.model import Images
from elpack.images.oci import OciDigest
from elpack.images.smoke import ImageSmoke
from elpack.run import run
from elpack.smoke import Smoke, SmokeStep
from elpack.steps.images import containers
from elpack.steps.images.archive import Archive
from elpack.steps.images.containers import OWNER, StepError, started
from elpack.steps.images.smoke import ImageSmokeReport, Subject, smoke_image
from elpack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.engine import Engine

pytestmark = pytest.mark.root

SOURCE = Path(__file__).with_name("app.c")
SOUND = {
    "FROM": "scratch",
    "COPY": "app /usr/bin/app",
    "COPY ": "--chown=1000:1000 data /data",
    "COPY  ": "passwd group /etc/",
    "ENV": "PATH=/usr/bin",
    "USER": "1000:1000",
    "VOLUME": "/data",
    "WORKDIR": "/data",
    "EXPOSE": "8080",
    "STOPSIGNAL": "SIGINT",
    "LABEL": f"""{HEALTH}='["app", "check"]'""",
    "ENTRYPOINT": '["app"]',
    "CMD": '["serve"]',
}
STEPS = Smoke(
    (
        SmokeStep("version", run=("app", "version"), expect=("^app {version:app}$",)),
        SmokeStep("who", run=("app", "who"), expect=("^1000:1000 reads$",)),
        SmokeStep("talk", run=("app", "talk", "{port:8080}"), expect=("^heard hello$",)),
    )
)
IMAGES = Images(
    health=("app", "check"),
    ports=(8080,),
    stop_signal="SIGINT",
    start_timeout=2,
    stop_timeout=1,
    smoke=ImageSmoke(steps=("version", "who"), outside=("talk",), kept=("id",)),
)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Iterator[Engine]:
    needs("podman", "cc")
    home = tmp_path_factory.mktemp("podman")
    with engine(Workspace(home / "elpack.toml", home / ".elpack", home / "dist"), run) as found:
        yield found


@pytest.fixture(scope="module")
def made(podman: Engine, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return a function that makes an image; its arguments replace lines of a sound one's Containerfile."""
    context = tmp_path_factory.mktemp("context")
    (context / "data").mkdir()
    (context / "passwd").write_text("app:x:1000:1000::/data:/sbin/nologin\n")
    (context / "group").write_text("app:x:1000:\n")

    def make(cc: str = "cc", platform: str = "", **lines: str) -> str:
        subprocess.run((cc, "-static", "-O1", "-o", context / "app", SOURCE), check=True)
        text = "".join(f"{key.strip()} {value}\n" for key, value in (SOUND | lines).items() if value)
        (context / "Containerfile").write_text(text)
        wanted = {"platform": platform} if platform else {}
        image, _ = podman.client.images.build(path=str(context), dockerfile="Containerfile", **wanted)
        return str(image.id)

    return make


@pytest.fixture
def attempt(podman: Engine, tmp_path: Path) -> Callable[..., ImageSmokeReport]:
    def smoke(image: str, *digests: str, patience: int = 1, **images: Any) -> ImageSmokeReport:
        subject = Subject(
            image=image,
            images=dataclasses.replace(IMAGES, **images),
            smoke=STEPS,
            places={"prefix": "/usr", "python": "/usr/bin/none"},
            versions={"app": "1.0"},
            home=tmp_path,
            digests=tuple(map(OciDigest, digests)),
            patience=patience,
        )
        return smoke_image(podman, subject, logs=tmp_path / "logs", owner=str(tmp_path))

    return smoke


@pytest.fixture(autouse=True)
def _nothing_is_left(podman: Engine) -> Iterator[None]:
    yield
    assert [container.name for container in podman.client.containers.list(all=True)] == []
    assert podman.client.volumes.list() == []


def test_a_sound_image_passes(
    podman: Engine, made: Callable[..., str], attempt: Callable[..., ImageSmokeReport]
) -> None:
    image = made()
    digest = podman.client.images.get(image).attrs["Digest"]
    report = attempt(image, f"sha256:{image}", digest)
    assert [(step.name, step.status) for step in report.steps] == [
        (name, "ok")
        for name in (
            *("image", "version", "who", "health check fails", "start", "talk", "privileges", "volume", "stop"),
            *("start again", "volume is kept", "stop again", "writes"),
        )
    ]
    assert (report.image, report.digest) == (image, digest)
    assert report.network in {"bridge", "host"}
    logs = Path(report.logs)
    assert (logs / "02-version.log").read_text() == "\033[1mapp 1.0\033[0m\n"
    assert (logs / "05-application.log").read_text() == "application is there\n"


@pytest.mark.arm64
def test_an_image_of_another_architecture_passes_with_patience(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], emulated: str, needs: Callable[..., None]
) -> None:
    needs(f"{emulated}-linux-gnu-gcc")
    image = made(f"{emulated}-linux-gnu-gcc", platform_of(emulated))
    report = attempt(image, patience=patience(emulated))
    assert [step.status for step in report.steps] == ["ok"] * 13
    assert report.emulated


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"USER": ""}, "runs as root, as no user is set, expected 1000:1000"),
        ({"LABEL": ""}, f"has no label {HEALTH}"),
    ],
)
def test_an_image_that_says_the_wrong_thing_is_not_run(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], lines: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SmokeError, match=re.escape(said)) as refused:
        attempt(made(**lines))
    assert str(refused.value).startswith(f"{tmp_path}/logs: step 'image' is refused: ")
    assert not list((tmp_path / "logs").glob("*.log"))


def test_an_image_that_is_not_the_one_of_the_manifest_is_not_run(
    podman: Engine, made: Callable[..., str], attempt: Callable[..., ImageSmokeReport]
) -> None:
    image = made()
    other, config = f"sha256:{'0' * 64}", f"sha256:{image}"
    found = podman.client.images.get(image).attrs["Digest"]
    for digests in ((config, other), (other, found)):
        with pytest.raises(SmokeError, match=f"it is {found}, which is none of {', '.join(digests)}"):
            attempt(image, *digests)


def test_an_image_from_an_archive_is_known_by_what_the_archive_holds(
    podman: Engine, made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], tmp_path: Path
) -> None:
    podman.save(made(), tmp_path / "app.oci.tar")
    archive = Archive(tmp_path / "app.oci.tar")
    manifest = archive.images[0]
    loaded = podman.load(archive.path)
    digests = (manifest.blobs[0].digest, manifest.descriptor.digest, archive.digest)
    assert attempt(loaded, *digests, health=()).image == loaded


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("deaf", "step 'stop' did not end within 1 s of its stop signal, and was killed"),
        ("code 3", "step 'stop' ended with 3 on SIGINT, expected 0"),
        ("silent", "step 'start' was not healthy within 2 s: port: Connection refused"),
        ("write /var/cache", "step 'writes' wrote outside its volume: added /var/cache"),
        ("forget", "step 'volume is kept' a restart changed id"),
    ],
)
def test_an_application_that_misbehaves_is_told_apart(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], command: str, said: str
) -> None:
    words = ", ".join(f'"{word}"' for word in ("serve", *command.split()))
    lines = {"COPY": "app /usr/bin/app\nCOPY --chown=1000:1000 data /var"} if "write" in command else {}
    with pytest.raises(SmokeError, match=re.escape(said)) as failed:
        attempt(made(CMD=f"[{words}]", **lines), smoke=ImageSmoke(kept=("id",)))
    assert "application is there" in str(failed.value)
    assert re.search(r"fix: to see it again: (env \S+ \S+ )?podman run --rm .*--cap-drop=all", str(failed.value))


def test_an_application_that_ends_at_once_is_told(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport]
) -> None:
    with pytest.raises(SmokeError, match="step 'start' ended with 64 before it was healthy"):
        attempt(made(CMD='["nonsense"]'))


def test_a_health_check_that_cannot_fail_is_told(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport]
) -> None:
    said = "step 'health check fails' says healthy where the application does not run"
    with pytest.raises(SmokeError, match=said):
        attempt(made(LABEL=f"""{HEALTH}='["app", "version"]'"""), smoke=ImageSmoke())


def test_every_step_that_fails_is_told(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Smoke(
        (
            SmokeStep("version", run=("app", "version"), expect=("^app 2",)),
            SmokeStep("who", run=("app", "nonsense"), exit=3),
            SmokeStep("talk", run=("absent",)),
        )
    )
    monkeypatch.setitem(globals(), "STEPS", wrong)
    with pytest.raises(SmokeError) as failed:
        attempt(made())
    text = str(failed.value)
    assert "step 'version' the output does not match '^app 2'\napp 1.0" in text
    assert "step 'who' ended with 64, expected 3" in text
    assert re.search(r"step 'talk' does not start: .*absent", text)
    assert len(failed.value.problems) == 3


def test_an_image_without_health_is_no_service(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport]
) -> None:
    report = attempt(made(LABEL="", CMD='["version"]'), health=(), ports=())
    assert [step.name for step in report.steps] == ["image", "version", "who"]


def test_a_version_that_the_lock_lacks_is_an_error(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = SmokeStep("version", run=("app", "version"), expect=("{version:absent}",))
    monkeypatch.setitem(globals(), "STEPS", Smoke((step, *STEPS.steps[1:])))
    with pytest.raises(ConfigError, match="the lock holds no absent"):
        attempt(made())


def test_health_turns_bad_when_nobody_listens_any_more(
    podman: Engine, made: Callable[..., str], tmp_path: Path
) -> None:
    container = Container("elpack-smoke-turns", command=("serve", "silent"), health=("app", "check"))
    with started(podman.client, made(), container, tmp_path / "log") as running:
        assert running.state()["Health"]["Status"] == "starting"
        with pytest.raises(StepError, match="is unhealthy: port: Connection refused"):
            running.healthy(60)


def test_an_interrupted_trial_leaves_nothing(
    made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    image = made()
    monkeypatch.setattr(containers.Running, "healthy", stopped)
    with pytest.raises(KeyboardInterrupt):
        attempt(image)


def test_what_a_killed_trial_left_is_removed_by_the_next(
    podman: Engine, made: Callable[..., str], attempt: Callable[..., ImageSmokeReport], tmp_path: Path
) -> None:
    image, client = made(), podman.client
    theirs = client.containers.create(image, name="elpack-smoke-theirs", labels={OWNER: "/another"})
    try:
        ours = Container("elpack-smoke-ours", owner=(OWNER, str(tmp_path)))
        client.containers.create(image, **ours.arguments()).start()
        client.volumes.create("elpack-smoke-left", labels={OWNER: str(tmp_path)})
        attempt(image, smoke=ImageSmoke())
        assert [container.name for container in client.containers.list(all=True)] == ["elpack-smoke-theirs"]
    finally:
        theirs.remove(force=True, v=True)


def test_without_a_bridge_the_host_s_network_is_taken_and_said(
    podman: Engine, made: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elpack.steps.images.smoke.BRIDGE", "no-such-network")
    monkeypatch.setattr("elpack.steps.images.containers.BRIDGE", "no-such-network")
    subject = Subject(made(), IMAGES, STEPS, {"prefix": "/usr", "python": ""}, {"app": "1.0"}, tmp_path)
    said: list[str] = []
    report = smoke_image(podman, subject, logs=tmp_path / "logs", owner=str(tmp_path), notice=said.append)
    assert report.network == "host"
    (notice,) = said
    assert notice.startswith("the application was tried on the host's own network, for on a bridge it did not start: ")
    assert "no-such-network" in notice


def test_mounted_files_can_be_read_whatever_their_modes_are(
    podman: Engine, made: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir(0o700)
    (tmp_path / "files" / "app").write_bytes(Path(shutil.which("true") or "").read_bytes())
    (tmp_path / "files" / "app").chmod(0o700)
    (tmp_path / "files" / "data").write_text("x")
    (tmp_path / "config").write_text("x")
    (tmp_path / "config").chmod(0o600)
    images = dataclasses.replace(IMAGES, mounts={"/etc/app.conf": "config"}, smoke=ImageSmoke())
    subject = Subject(made(), images, Smoke((), files="files"), {"prefix": "/usr", "python": ""}, {}, tmp_path)
    smoke_image(podman, subject, logs=tmp_path / "logs", owner=str(tmp_path))
    assert oct((tmp_path / "logs" / "mounts" / "0-app.conf").stat().st_mode)[-3:] == "644"
    copied = tmp_path / "logs" / "files"
    modes = [oct(path.stat().st_mode)[-3:] for path in (copied, copied / "app", copied / "data")]
    assert modes == ["755", "755", "644"]
