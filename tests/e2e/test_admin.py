"""Staff in a real browser: sign in, look up, suspend, revoke; no page breaks its own policy."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser, Page, expect, sync_playwright

from accounts.services import staff
from audit.models import Event, Head
from audit.sealing.sealer import Sealer
from kernel.ids import encode, new_id
from tests.audit.superuser import disarmed
from tests.guests import Guest, call, new_guest, system
from tests.waiting import until

CHROMIUM = shutil.which("chromium")
PASSWORD = "correct horse battery staple"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, WSGIHandler(), Server, Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module", autouse=True)
def beside_an_event_loop() -> Iterator[None]:
    """Playwright runs an event loop in this thread; Django would refuse to work beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def email() -> str:
    address = f"{new_id().hex}@staff.example"
    with system():
        staff.create_superuser(address, PASSWORD)
    return address


@pytest.fixture
def guest() -> Guest:
    return new_guest()


@pytest.fixture
def page(browser: Browser, base: str, email: str, tmp_path: Path) -> Iterator[Page]:
    """A signed-in browser; whatever its console complains about fails the test."""
    opened = browser.new_page(base_url=base, viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    opened.on(
        "console", lambda m: m.type == "error" and complaints.append(f"{m.text} {m.location}")
    )
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto("/admin/")
    opened.get_by_label("Email").fill(email)
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("button", name="Log in").click()
    opened.wait_for_url("**/admin/")
    yield opened
    opened.close()
    assert complaints == []


def entry(action: str, target_id: str) -> Event:
    with system():
        return Event.objects.get(action=action, target_id=target_id)


SHOTS = os.environ.get("SCREENSHOTS")


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the page for a person to look at, where SCREENSHOTS names a folder."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


def act(page: Page, label: str, reason: str) -> None:
    """Choose the only row, run an action, confirm it."""
    page.locator("input.action-select").check()
    page.get_by_label("Action:").select_option(label=label)
    page.get_by_role("button", name="Go").click()
    page.get_by_label("Reason").fill(reason)
    shoot(page, label.lower().replace(" ", "-"))
    page.get_by_role("button", name=label).click()


def test_sign_in__right_password__opens_the_index_and_is_recorded(page, email):
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()
    shoot(page, "index")
    expect(page.get_by_role("link", name="Tenants", exact=True).first).to_be_visible()
    with system():
        assert Event.objects.filter(action="staff.signed_in").exists()


def test_sign_in__wrong_password__stays_outside_and_is_recorded(browser, base, email):
    with system():
        before = Event.objects.filter(action="staff.sign_in_failed").count()
    page = browser.new_page(base_url=base)
    page.goto("/admin/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_text("Please enter the correct email and password")).to_be_visible()
    with system():
        failed = Event.objects.filter(action="staff.sign_in_failed").order_by("-id")
        assert failed.count() == before + 1
        assert email.encode() not in bytes(failed[0].leaf)
    page.close()


def test_tenant__suspended_and_restored__holds_for_its_keys_and_is_recorded(page, guest):
    page.goto(f"/admin/tenants/tenant/?q={guest.public_id}")

    act(page, "Suspend selected tenants", "unpaid")
    expect(page.get_by_text("1 tenant suspended.")).to_be_visible()
    refused = call("GET", "me", guest.key)
    page.goto(f"/admin/tenants/tenant/?q={guest.public_id}")
    act(page, "Restore selected tenants", "paid")
    expect(page.get_by_text("1 tenant restored.")).to_be_visible()

    assert refused.code == "tenant_suspended"
    assert call("GET", "me", guest.key).status == 200
    assert entry("tenant.suspended", guest.public_id).actor_type == "staff"


def test_key__revoked__is_refused_at_the_next_request(page, guest):
    shown = encode("key", guest.key_id)
    page.goto(f"/admin/accounts/apikey/?q={shown}")

    act(page, "Revoke selected keys", "leaked")

    expect(page.get_by_text("1 tenant key revoked.")).to_be_visible()
    assert call("GET", "me", guest.key).code == "key_disabled"
    assert entry("key.revoked", shown).actor_type == "staff"


def test_refused_action__says_why(page, guest):
    page.goto(f"/admin/tenants/tenant/?q={guest.public_id}")
    act(page, "Close selected tenants", "")
    page.goto(f"/admin/tenants/tenant/?q={guest.public_id}")

    act(page, "Suspend selected tenants", "")

    expect(page.get_by_text("The tenant is closed.")).to_be_visible()


@pytest.mark.parametrize(
    "path",
    [
        "tenants/tenant/",
        "accounts/apikey/",
        "accounts/platformkey/",
        "accounts/membership/",
        "accounts/user/",
    ],
)
def test_list__always__offers_no_way_to_add_or_edit(page, guest, path):
    page.goto(f"/admin/{path}")

    expect(page.locator(".object-tools .addlink")).to_have_count(0)
    expect(page.locator("#searchbar")).to_be_visible()
    shoot(page, path.replace("/", "-") + "list")
    first = page.locator("#result_list tbody th a").first
    if first.count():
        first.click()
        shoot(page, path.replace("/", "-") + "one")
        expect(page.locator("input[name=_save]")).to_have_count(0)
        expect(page.get_by_role("link", name="Delete")).to_have_count(0)


def test_audit__entry_and_log_verified__page_tells_what_it_found(page, guest):
    """The list, one entry in full, and both verify buttons, on an intact and on a doctored log."""
    with system():
        sealed_by_now(guest.id)
        created = Event.objects.filter(tenant_id=guest.id).order_by("id").first()
    shown = encode("aud", created.id)
    page.goto(f"/admin/audit/event/?q={guest.public_id}")
    expect(page.get_by_role("link", name=shown)).to_be_visible()
    expect(page.locator(".object-tools .addlink")).to_have_count(0)
    shoot(page, "audit-list")

    page.get_by_role("link", name=shown).click()
    expect(page.locator(".field-document pre")).to_contain_text(created.action)
    expect(page.locator(".field-place")).to_contain_text("0 in")
    expect(page.locator("input[name=_save]")).to_have_count(0)
    page.get_by_role("button", name="Verify this entry").click()
    expect(page.locator(".messagelist .success")).to_contain_text("Valid: 1 checked")
    shoot(page, "audit-entry-valid")

    with disarmed() as link:
        link.execute("UPDATE audit_event SET actor_id = 'mallory' WHERE id = %s", [created.id])
    page.get_by_role("button", name="Verify this entry").click()
    expect(page.locator(".messagelist .error")).to_contain_text("column actor_id differs")
    shoot(page, "audit-entry-doctored")

    with system():
        log = Head.objects.get(tenant_id=guest.id, stream=0)
    page.goto(f"/admin/audit/head/{log.log_id}/change/")
    page.get_by_role("button", name="Verify this log").click()
    expect(page.locator(".messagelist .error")).to_contain_text("at 0: entry")
    shoot(page, "audit-log-doctored")


def sealed_by_now(tenant_id: UUID) -> None:
    """Seal what the tenant has; another sealer may still be ending."""
    sealer = Sealer()
    until("another sealer has ended", sealer.lead)
    sealer.drain()
    sealer.release()
    assert Head.objects.filter(tenant_id=tenant_id).exists()
