"""The bell and the page of notifications: live, marked as read everywhere, sent by administrators."""

from uuid import UUID, uuid4

from playwright.sync_api import expect

from tests.browser.console import PHONE, WAIT, Console


def notify(console: Console, user_id: UUID, title: str, **fields: object) -> None:
    body = {
        "user_id": str(user_id),
        "notification_type": "announcement",
        "title": title,
        "message": f"About {title}.",
        **fields,
    }
    sent = console.api(uuid4(), admin=True).request("POST", "/api/notifications", json=body)
    assert sent.status_code == 201, sent.text


def test_the_bell_counts_new_notifications_and_links_to_them(console: Console) -> None:
    user_id = uuid4()
    page = console.signed_in("/runs", user_id, viewport=PHONE)
    bell = page.get_by_role("button", name="Notifications", exact=True)
    expect(bell).to_be_visible(timeout=WAIT)
    notify(console, user_id, "Look at the leads", action_url="/leads")
    expect(page.get_by_role("button", name="Notifications, 1 unread")).to_be_visible(timeout=WAIT)
    notify(console, user_id, "Prices")
    page.get_by_role("button", name="Notifications, 2 unread").click(timeout=WAIT)
    panel = page.get_by_role("list", name="Unread notifications")
    expect(panel.get_by_role("listitem").first).to_contain_text("Prices")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    panel.get_by_role("link", name="Look at the leads").click()
    expect(page.get_by_role("heading", level=1, name="Leads")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Notifications, 2 unread").click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(bell).to_be_visible(timeout=WAIT)


def test_the_page_is_live_and_marks_as_read(console: Console) -> None:
    user_id = uuid4()
    page = console.signed_in("/notifications", user_id)
    expect(page.get_by_role("heading", name="No notifications yet")).to_be_visible(timeout=WAIT)
    notify(console, user_id, "First")
    notify(console, user_id, "Second")
    items = page.get_by_role("list", name="Notifications").get_by_role("listitem")
    expect(items).to_have_count(2, timeout=WAIT)
    page.get_by_role("button", name="Mark “First” as read").click()
    expect(page.get_by_role("button", name="Notifications, 1 unread")).to_be_visible(timeout=WAIT)
    page.get_by_label("Show").select_option(label="Unread")
    expect(items).to_have_count(1, timeout=WAIT)
    assert "unread=1" in page.url
    page.get_by_role("button", name="Delete “Second”").click()
    expect(page.get_by_role("heading", name="No notification matches")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("button", name="Notifications", exact=True)).to_be_visible(timeout=WAIT)
    assert console.api(user_id).get("/api/notifications").json()["unread_count"] == 0


def test_an_administrators_notification_appears_at_once(console: Console) -> None:
    user_id = uuid4()
    user = console.signed_in("/notifications", user_id)
    expect(user.get_by_role("button", name="Notify users")).to_have_count(0)
    admin = console.signed_in("/notifications", admin=True)
    admin.get_by_role("button", name="Notify users").click()
    dialog = admin.get_by_role("dialog", name="Notify users")
    dialog.get_by_label("Title").fill("Maintenance tonight")
    dialog.get_by_label("Message").fill("From ten to eleven.")
    dialog.get_by_label("Severity").select_option(label="Warning")
    dialog.get_by_role("button", name="Add").click()
    dialog.get_by_role("group", name="Users").get_by_role("textbox").fill(str(user_id))
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.get_by_role("status")).to_have_text("Sent to 1 user.", timeout=WAIT)
    notice = user.get_by_role("list", name="Notifications").get_by_role("listitem")
    expect(notice).to_contain_text("Maintenance tonight", timeout=WAIT)
    expect(notice).to_contain_text("Warning")
