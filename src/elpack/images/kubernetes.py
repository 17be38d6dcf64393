"""A manifest for Kubernetes: the image runs as it was tried, by the standard `restricted` for pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from elpack.images.container import HEALTH_RETRIES, HEALTH_TIMEOUT
from elpack.images.yaml import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.images.running import Run
    from elpack.images.yaml import Value

_STARTING_PULSE = 5
_SPARE_SECONDS = 15


def kubernetes(run: Run) -> str:
    """Return one text with a claim for the volume, the configuration, a deployment and its service."""
    return yaml(list(_objects(run)))


def _objects(run: Run) -> Iterator[dict[str, Value]]:
    yield _object(
        run,
        "v1",
        "PersistentVolumeClaim",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
    )
    if run.mounts:
        data: dict[str, Value] = {_key(place): text for place, text in sorted(run.mounts.items())}
        yield _object(run, "v1", "ConfigMap", {"data": data})
    spec: dict[str, Value] = {
        "replicas": 1,
        # the volume is one node's: the old one goes before the new one comes
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"app.kubernetes.io/name": run.name}},
        "template": {"metadata": {"labels": _labels(run)}, "spec": _pod(run)},
    }
    yield _object(run, "apps/v1", "Deployment", {"spec": spec})
    if run.images.ports:
        ports: list[Value] = [
            {"name": _port(port), "port": port, "targetPort": _port(port)} for port in run.images.ports
        ]
        yield _object(
            run, "v1", "Service", {"spec": {"selector": {"app.kubernetes.io/name": run.name}, "ports": ports}}
        )


def _object(run: Run, version: str, kind: str, rest: dict[str, Value]) -> dict[str, Value]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": run.name, "labels": _labels(run)}, **rest}


def _labels(run: Run) -> dict[str, Value]:
    return {"app.kubernetes.io/name": run.name, "app.kubernetes.io/managed-by": "elpack"}


def _pod(run: Run) -> dict[str, Value]:
    user = run.images.user
    volumes: list[Value] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": run.name}},
        {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
    if run.mounts:
        volumes.append({"name": "config", "configMap": {"name": run.name}})
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": run.images.stop_timeout + _SPARE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(run)],
        "volumes": volumes,
    }


def _container(run: Run) -> dict[str, Value]:
    mounts: list[Value] = [
        {"name": "data", "mountPath": run.images.data},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
    ]
    mounted: list[Value] = [
        {"name": "config", "mountPath": place, "subPath": _key(place), "readOnly": True} for place in sorted(run.mounts)
    ]
    ports: list[Value] = [{"name": _port(port), "containerPort": port} for port in run.images.ports]
    return {
        "name": run.name,
        "image": run.reference,
        "imagePullPolicy": "IfNotPresent",
        **({"ports": ports} if ports else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **_probes(run),
        "volumeMounts": mounts + mounted,
    }


def _probes(run: Run) -> dict[str, Value]:
    """Return the three probes: starting takes its time, after that an unhealthy container gets no traffic, and goes."""
    if not run.health:
        return {}
    ask: dict[str, Value] = {"exec": {"command": list(run.health)}, "timeoutSeconds": HEALTH_TIMEOUT}
    often: dict[str, Value] = {**ask, "periodSeconds": run.images.health_interval, "failureThreshold": HEALTH_RETRIES}
    tries = -(-run.images.start_timeout // _STARTING_PULSE)
    return {
        "startupProbe": {**ask, "periodSeconds": _STARTING_PULSE, "failureThreshold": tries},
        "readinessProbe": {**often, "failureThreshold": 1},
        "livenessProbe": often,
    }


def _key(place: str) -> str:
    return place.rpartition("/")[2]


def _port(port: int) -> str:
    return f"port-{port}"
