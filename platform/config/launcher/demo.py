"""The demo's keys: completed, kept privately, and turned into lines to paste."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from config.launcher.options import LaunchError, Options
from kernel.postgres.home import checkout

NAME = "demo.json"


class Tenant(TypedDict):
    """One tenant of the demo."""

    id: str
    slug: str
    plan: str
    key: str


class Admin(TypedDict):
    """The staff login of the demo."""

    url: NotRequired[str]
    username: str
    password: str


class Demo(TypedDict):
    """What ``demo.json`` holds."""

    base_url: NotRequired[str]
    platform_key: str
    tenants: list[Tenant]
    admin: Admin


def usable(options: Options) -> bool:
    """Tell whether an earlier run left its keys in one piece; the seed mends a damaged file."""
    try:
        read(options)
    except LaunchError:
        return False
    return True


def read(options: Options) -> Demo:
    """Read what the seed wrote.

    Raises:
        LaunchError: there is no usable file.
    """
    path = options.home / NAME
    try:
        found: Demo = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LaunchError(f"{path} is missing or damaged: {error}") from error
    return found


def complete(options: Options) -> Demo:
    """Add the addresses of this run to the seeded file, and copy it into the checkout.

    Raises:
        LaunchError: the seed wrote no usable file.
    """
    demo, path = read(options), options.home / NAME
    demo["base_url"] = options.base_url
    demo["admin"]["url"] = f"{options.base_url}/admin/"
    _write(path, demo)
    source = checkout()
    if source is not None and (folder := source / ".innkeeper") != options.home:
        folder.mkdir(mode=0o711, exist_ok=True)
        _write(folder / NAME, demo)
    return demo


def _write(path: Path, demo: Demo) -> None:
    staging = path.with_suffix(".new")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(demo, file, indent=2)
    staging.replace(path)


def showcase(demo: Demo) -> Tenant:
    """Choose the tenant to show: the one with the most room."""
    return next((item for item in demo["tenants"] if item["plan"] == "enterprise"),
                demo["tenants"][0])  # fmt: skip


def curl_lines(demo: Demo) -> list[str]:
    """Write four lines that work as pasted: admit, meter, read the usage, see the log."""
    base, tenant = demo.get("base_url", ""), showcase(demo)
    operator = f'-H "Authorization: Bearer {demo["platform_key"]}"'
    own = f'-H "Authorization: Bearer {tenant["key"]}"'
    json_body = '-H "Content-Type: application/json"'
    return [
        f"curl -s {base}/api/v1/keys/verify {operator} {json_body} "
        f"""-d '{{"key": "{tenant["key"]}"}}'""",
        f"curl -s {base}/api/v1/usage/current {own}",
        f"curl -s {base}/api/v1/audit/events {own}",
        f"curl -s {base}/api/v1/admin/tenants {operator}",
    ]


def remarks(demo: Demo, states: Mapping[str, str]) -> list[str]:
    """Say of each tenant whose key is refused why that is, and how to let it in again.

    ``states`` are the gate's words by slug. Somebody may want a demo tenant suspended or closed, so
    a start leaves it so.
    """
    base, found = demo.get("base_url", ""), []
    for tenant in demo["tenants"]:
        match states.get(tenant["slug"]):
            case "TENANT_SUSPENDED":
                what = "is suspended: its key is refused with 403"
            case "NOT_FOUND":
                what = "is closed: its key is refused with 404"
            case _:
                continue
        path = f"{base}/api/v1/admin/tenants/{tenant['id']}/restore"
        line = f'curl -s -X POST {path} -H "Authorization: Bearer {demo["platform_key"]}"'
        found.append(f"{tenant['slug']} {what}. To restore it:\n{line}")
    return found
