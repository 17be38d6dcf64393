"""A finished image of the real release, once through a registry and under the documented policy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.contract.images.publisher import NAME, Page, Publisher, a_key, visitor
from tests.contract.images.registry import serving

from elpack.steps.images.push import Offer, push

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.contract.images.newer import Newer


def pulled_under_policy(newer: Newer, folder: Path, archives: Sequence[Path], tag: str) -> dict[str, object]:
    """Push archives of all platforms, and return the configuration of what the customer's podman pulled by tag.

    folder: where registry and customer are. Asserts that it is judged as any tiny image is: refused under a policy that
    believes another key.
    """
    with serving(folder / "registry") as registry:
        publisher = Publisher(registry, folder)
        with publisher.repository() as repository:
            pushed = push(Offer(archives, tag), repository, publisher.key)
        page = Page("pull-and-verify-images.md", public=registry.host)
        customer = visitor(newer, folder / "customer", registry)
        page.configures(customer)
        customer.write("etc/pki/containers/crossbar.pub", a_key().public.pem.decode())
        said = customer("podman", "pull", "--quiet", pushed.reference, code=125)
        page.promises("cryptographic signature verification failed: invalid signature", said)
        customer.write("etc/pki/containers/crossbar.pub", publisher.key.public.pem.decode())
        customer("podman", "pull", "--quiet", pushed.pinned)
        customer("podman", "pull", "--quiet", f"{registry.host}/{NAME}:{tag}")
        (found,) = json.loads(customer("podman", "image", "inspect", pushed.reference))
        customer.forget()
    config: dict[str, object] = found["Config"]
    return config
