"""podman as elpack drives it: how it starts and ends, what it builds and saves, and what it says when it cannot."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.contract.images.engines import PLATFORM, STAMP, workspace, write_tar

from elpack.engine import engine as start
from elpack.engine.building import PARTS
from elpack.engine.calls import call
from elpack.engine.configuration import place
from elpack.errors import DiskFullError, EngineError, ImageError, RegistryError
from elpack.images.oci import INDEX, oci_digest, read_config, read_index, read_manifest
from elpack.run import CLEAN_ENV, Command, run
from elpack.steps.clean import clean_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from elpack.engine import Engine

pytestmark = pytest.mark.root


def naming(word: str) -> list[int]:
    """Return the processes with this word in their command line."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdecimal() and word in (process / "cmdline").read_text(errors="replace"):
                found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]


def gone(word: str, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while naming(word) and time.monotonic() < end:
        time.sleep(0.05)
    return not naming(word)


def test_a_service_of_ours_starts_and_ends(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    where = place(ws.work)
    with start(ws, run) as engine:
        assert engine.ours
        assert engine.version >= (4, 3)
        assert where.socket.stat().st_mode & 0o777 == 0o600
        assert where.live.stat().st_mode & 0o777 == 0o700
        info = call(engine.client, "GET", "/info")["store"]
        assert info["graphRoot"] == str(where.home / "overlay")
        assert info["runRoot"].startswith(str(where.live))
        assert naming(str(where.socket))
    assert gone(str(where.socket))
    assert not where.live.exists()
    assert str(where.home) not in Path("/proc/self/mountinfo").read_text()


def test_ours_is_in_no_mount_and_no_process_after_our_death(
    tmp_path: Path, context: Path, build: Callable[..., str]
) -> None:
    ws = workspace(tmp_path)
    where = place(ws.work)
    script = """
import sys, time
from pathlib import Path
from elpack.engine import engine
from elpack.run import run
from elpack.workspace import Workspace
folder, context, platform = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with engine(Workspace(folder / "elpack.toml", folder / "work", folder / "dist"), run) as one:
    image = one.build(context, context / "Containerfile", platform=platform, timestamp=1, progress=lambda line: None,
                      log=folder / "log")
    box = one.client.containers.create(image, ["wait"], network_mode="host")
    box.start()
    print("ready", flush=True)
    time.sleep(600)
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(context), PLATFORM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        assert len(naming(str(where.live))) > 1
        process.send_signal(signal.SIGKILL)
    assert gone(str(where.live))
    assert gone(str(where.home))
    assert str(where.home) not in Path("/proc/self/mountinfo").read_text()
    with start(ws, run) as engine:  # which tidies up
        assert engine.client.containers.list(all=True) == []
        assert build(context, on=engine)


def test_no_podman_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elpack.engine.connect.CLEAN_ENV", {"PATH": str(tmp_path)})
    with pytest.raises(EngineError, match="podman is not installed") as caught, start(workspace(tmp_path), run):
        pass
    assert "apt-get install podman" in str(caught.value)


def test_a_user_without_numbers_for_containers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    monkeypatch.setattr("getpass.getuser", lambda: "nobody-of-that-name")
    monkeypatch.setattr("os.getuid", lambda: 4711)
    with pytest.raises(EngineError, match="/etc/subuid") as caught, start(workspace(tmp_path), run):
        pass
    assert "sudo" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("unix:///nowhere/podman.sock", "does not listen there"),
        ("pigeon://x", "cannot be reached"),
    ],
)
def test_a_service_that_is_not_there_is_told(
    url: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", url)
    with pytest.raises(EngineError, match=said) as caught, start(workspace(tmp_path), run):
        pass
    assert url in str(caught.value)


def test_a_socket_that_nobody_answers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/s")
    with pytest.raises(EngineError, match="nobody listens"), start(workspace(tmp_path), run):
        pass


def test_a_service_that_dies_is_told_with_what_it_said(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    where = place(ws.work)
    where.home.mkdir(parents=True)
    (where.home / "overlay").write_text("no folder")
    with pytest.raises(EngineError, match=r"service ended with [0-9]+\n.*not a directory"), start(ws, run):
        pass
    assert gone(str(where.socket))


def test_a_socket_s_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    ws = workspace(tmp_path)
    where = place(ws.work)
    where.live.mkdir(mode=0o777)
    where.live.chmod(0o777)
    try:
        with pytest.raises(EngineError, match="others may write there"), start(ws, run):
            pass
        assert where.live.exists()
    finally:
        where.live.rmdir()


def test_the_engine_of_the_user_is_used(
    engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = build(context)
    monkeypatch.setenv("CONTAINER_HOST", engine.url)
    with start(workspace(tmp_path), run) as other:
        assert not other.ours
        assert other.environment is None
        assert other.has(image)
        assert other.save(image, tmp_path / "a.tar") == engine.save(image, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_build_is_streamed_logged_and_cached(
    engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path
) -> None:
    lines: list[str] = []
    first = build(context, lines=lines)
    assert any("ENTRYPOINT" in line for line in lines)
    assert (tmp_path / "build.log").read_text().splitlines() == lines
    again: list[str] = []
    assert build(context, lines=again) == first
    assert again[:2] == ["third-party.tar: as before", "first-party.tar: as before"]
    write_tar(context / "first-party.tar", {"opt/app": b"new"})
    changed: list[str] = []
    second = build(context, lines=changed)
    assert changed[:2] == ["third-party.tar: as before", "first-party.tar: taken as it is"]
    layers = [engine.inspect(image)["RootFS"]["Layers"] for image in (first, second)]
    assert layers[0][0] == layers[1][0]
    assert layers[0][1] != layers[1][1]
    write_tar(context / "third-party.tar", {"look": b"", "opt/lib": b"new"})
    assert engine.inspect(build(context))["RootFS"]["Layers"][0] != layers[0][0]


def test_tars_become_layers_as_they_are(engine: Engine, context: Path, build: Callable[..., str]) -> None:
    tars = [context / name for name in ("third-party.tar", "first-party.tar")]
    layers = [f"sha256:{hashlib.sha256(tar.read_bytes()).hexdigest()}" for tar in tars]
    base = build(context)
    assert engine.inspect(base)["RootFS"]["Layers"] == layers
    engine.tag(base, "localhost/elpack-test/base:1")
    extra = write_tar(context / "extra.tar", {"opt/extra": b"extra"})
    (context / "Containerfile").write_text("FROM localhost/elpack-test/base:1\nADD extra.tar /\nENV A=b\n")
    found = engine.inspect(build(context))
    assert found["RootFS"]["Layers"] == [*layers, f"sha256:{hashlib.sha256(extra.read_bytes()).hexdigest()}"]
    assert found["Config"]["User"] == "1000:1000"
    assert "A=b" in found["Config"]["Env"]
    box = engine.client.containers.create("localhost/elpack-test/base:1", ["/opt/lib"], network_mode="none")
    try:
        stat = box.get_archive("/opt/lib")[1]
        assert stat["mtime"].startswith("2023-11-14T22:13:19"), "one second before the build's time"
    finally:
        box.remove(force=True)


def test_what_runs_in_a_build_has_no_network_and_sees_the_context_only(
    engine: Engine, context: Path, build: Callable[..., str]
) -> None:
    (context / "word").write_text("first")
    (context / "Containerfile").write_text(
        "FROM scratch\nADD third-party.tar /\n"
        'RUN --mount=type=bind,target=/context ["/look", "/proc/net/dev", "/context/word"]\n'
    )
    lines: list[str] = []
    build(context, lines=lines)
    interfaces = {line.split(":")[0].strip() for line in lines if line.strip().endswith(" 0") and ":" in line}
    assert interfaces == {"lo"}
    assert any("first" in line for line in lines)
    (context / "word").write_text("second")  # podman's own cache would not notice
    build(context, lines=lines)
    assert any("second" in line for line in lines)


def test_a_failed_build_is_told_with_its_log(
    engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path
) -> None:
    (context / "Containerfile").write_text('FROM scratch\nADD third-party.tar /\nRUN ["/look", "/nothing"]\n')
    with pytest.raises(ImageError, match="no /nothing") as caught:
        build(context)
    assert str(tmp_path / "build.log") in str(caught.value)
    assert "no /nothing" in (tmp_path / "build.log").read_text()
    (context / "Containerfile").write_text("FROM localhost/no-such-base:1\nADD third-party.tar /\nCMD []\n")
    with pytest.raises(ImageError, match="no-such-base"):
        build(context)
    (context / "Containerfile").write_text("FROM scratch\nADD nothing.txt /\n")
    with pytest.raises(ImageError, match=r"nothing\.txt"):
        build(context)


def test_a_stopped_build_leaves_nothing_running(tmp_path: Path, context: Path, build: Callable[..., str]) -> None:
    (context / "Containerfile").write_text('FROM scratch\nADD third-party.tar /\nRUN ["/look", "wait"]\n')
    ws = workspace(tmp_path)

    def stop(line: str) -> None:
        if "RUN" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), start(ws, run) as engine:
        engine.build(
            context,
            context / "Containerfile",
            platform=PLATFORM,
            timestamp=STAMP,
            progress=stop,
            log=tmp_path / "log",
        )
    assert gone(str(place(ws.work).home))
    assert gone(str(place(ws.work).live))


def test_an_archive_is_an_index_with_one_manifest(
    engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path
) -> None:
    found = engine.save(build(context), tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        blobs = {}
        for member in archive:
            assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, "")
            if file := archive.extractfile(member):
                blobs[member.name] = file.read()

    def blob(digest: str) -> bytes:
        return blobs[f"blobs/sha256/{digest[7:]}"]

    (top,) = read_index(blobs["index.json"], "index.json")
    assert (top.media_type, top.digest) == (INDEX, found.index)
    (one,) = read_index(blob(top.digest), "index")
    assert (one,) == found.manifests
    assert str(one.platform) == PLATFORM
    manifest = read_manifest(blob(one.digest), "manifest")
    assert manifest.annotations == {"org.opencontainers.image.title": "shop"}
    assert manifest.config.digest == found.configs[0]
    config = read_config(blob(manifest.config.digest), "config")
    assert config.labels == {"org.opencontainers.image.title": "shop", "other": "1"}
    assert len(manifest.layers) == len(config.layers) == 2
    assert set(json.loads(blob(top.digest))["annotations"]) == {"org.opencontainers.image.title"}
    image = engine.load(tmp_path / "a.tar")
    assert f"sha256:{image}" == found.configs[0]
    assert engine.inspect(image)["Config"]["User"] == "1000:1000"
    # a tool that knows nothing of us
    if (skopeo := Path("/usr/bin/skopeo")).exists():
        said = run(Command((str(skopeo), "inspect", f"oci-archive:{tmp_path}/a.tar"))).check().stdout
        assert oci_digest(json.loads(said)["Digest"])


def test_two_storages_at_two_times_give_the_same_bytes(
    engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path
) -> None:
    here = engine.save(build(context), tmp_path / "a.tar")
    for path in context.iterdir():
        os.utime(path, (STAMP, STAMP))
    other = tmp_path / "elsewhere"
    other.mkdir()
    moved = context.rename(other / "c")
    with start(workspace(other), run) as second:
        there = second.save(build(moved, on=second), tmp_path / "b.tar")
    assert here == there
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_programs_of_another_machine_are_refused(
    engine: Engine, context: Path, build: Callable[..., str], look: bytes, tmp_path: Path
) -> None:
    wrong = bytearray(look)
    wrong[18] = 183 if PLATFORM.endswith("amd64") else 62
    write_tar(context / "third-party.tar", {"look": bytes(wrong)})
    with pytest.raises(ImageError, match="are for ELF machine"):
        engine.save(build(context), tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()
    assert list(tmp_path.glob(".a.tar*")) == []


def test_a_layer_that_was_changed_on_disk_is_not_written(
    engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path
) -> None:
    write_tar(context / "first-party.tar", {"opt/app": b"damaged soon"})
    image = build(context)
    engine.save(image, tmp_path / "a.tar")
    layer = engine.layers / f"{engine.inspect(image)['RootFS']['Layers'][-1][7:]}.tar.gz"
    content = bytearray(layer.read_bytes())
    content[-1] ^= 1
    layer.write_bytes(content)
    with pytest.raises(ImageError, match="changed on disk"):
        engine.save(image, tmp_path / "b.tar")
    engine.save(image, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\0" * 10240])
def test_what_is_no_archive_is_refused(engine: Engine, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ImageError, match="cannot load it"):
        engine.load(tmp_path / "a.tar")


def test_names_come_and_go(engine: Engine, context: Path, build: Callable[..., str], tmp_path: Path) -> None:
    image = build(context)
    engine.tag(image, "localhost/elpack-test/names:1")
    assert engine.has("localhost/elpack-test/names:1")
    assert engine.id_of("localhost/elpack-test/names:1") == image
    engine.export_rootfs(image, tmp_path / "root.tar")
    with tarfile.open(tmp_path / "root.tar") as archive:
        assert {"look", "opt/lib", "opt/app"} <= set(archive.getnames())
    engine.prune()
    assert engine.has(image)
    engine.remove(image)
    engine.remove(image)
    assert not engine.has(image)
    with pytest.raises(ImageError, match="no such image"):
        engine.inspect(image)


def test_layers_stay_while_they_are_used(engine: Engine, context: Path, build: Callable[..., str]) -> None:
    def parts() -> tuple[set[str], set[str]]:
        """Return which first layers have a stamp, and which are there as images."""
        names = (name.rpartition(":") for name in engine.names())
        stamps = {path.stem for path in engine.layers.glob("*.part")}
        return stamps, {tag for name, _, tag in names if name == PARTS}

    write_tar(context / "first-party.tar", {"opt/app": b"used long ago"})
    build(context)
    (engine.layers / "half.tar").touch()  # as a killed run leaves it
    engine.prune()
    assert (engine.layers / "half.tar").exists()
    stamps, images = parts()
    assert stamps == images
    for path in engine.layers.iterdir():
        os.utime(path, (0, 0))
    write_tar(context / "first-party.tar", {"opt/app": b"used now"})
    build(context)
    engine.prune()
    assert not (engine.layers / "half.tar").exists()
    stamps, images = parts()
    assert stamps == images
    assert len(images) == 2  # one for each tar of the context


def test_the_bridge_is_our_own(engine: Engine) -> None:
    (found,) = call(engine.client, "GET", "/networks/json")
    assert found["name"] == "podman"
    assert re.fullmatch(r"elpack[0-9a-f]{8}", found["network_interface"])
    assert re.fullmatch(r"10\.2[0-4]\d\.\d+\.0/24", found["subnets"][0]["subnet"])


def test_an_image_of_another_platform_is_not_what_was_asked_for(
    engine: Engine, context: Path, build: Callable[..., str]
) -> None:
    image = build(context)
    engine.tag(image, "localhost/elpack-test/here:1")
    other = "linux/arm64" if PLATFORM == "linux/amd64" else "linux/amd64"
    with pytest.raises(ImageError, match=f"not for {other}"):
        engine.pull("localhost/elpack-test/here:1", other)
    assert engine.pull("localhost/elpack-test/here:1", PLATFORM) == image


def test_a_refused_pull_is_told(engine: Engine) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        reference = f"127.0.0.1:{nobody.getsockname()[1]}/a/b:1"
        with pytest.raises(RegistryError, match="cannot be pulled"):
            engine.pull(reference, PLATFORM)


def test_clean_removes_the_storage_and_what_is_beside_it(
    tmp_path: Path, context: Path, build: Callable[..., str]
) -> None:
    ws = workspace(tmp_path)
    where = place(ws.work)
    with start(ws, run) as engine:
        build(context, on=engine)
    assert where.home.exists()
    clean_up(ws, downloads=False)
    assert not where.home.exists()
    assert not where.live.exists()
    assert not ws.work.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    run(Command(("mount", "-t", "tmpfs", "-o", "size=16m", "none", str(folder)), env=CLEAN_ENV)).check()
    yield folder
    run(Command(("umount", "-l", str(folder)), env=CLEAN_ENV)).check()


def test_a_full_disk_is_told(small_disk: Path, context: Path, build: Callable[..., str], tmp_path: Path) -> None:
    write_tar(context / "third-party.tar", {"opt/large": os.urandom(24 << 20)})
    with start(workspace(small_disk), run) as engine, pytest.raises(DiskFullError, match="no space left"):
        build(context, on=engine)


def test_a_service_by_ssh_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", "ssh://nobody.invalid/run/podman/podman.sock")
    with pytest.raises(EngineError, match="not reached by ssh"), start(workspace(tmp_path), run):
        pass
