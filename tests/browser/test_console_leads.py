"""Leads in the console: found by search and filters, added, changed, and analyzed live."""

from uuid import UUID, uuid4

from playwright.sync_api import expect

from tests.browser.console import PHONE, WAIT, Console
from tests.integration.http import Api

WANTED = {
    "name": "Ada Mills",
    "company": "Northwind",
    "email": "ada@northwind-saas.example",
    "budget": 18000,
    "timeline": "within 2 months",
    "message": "We need a new website with a blog.",
    "source": "referral",
}


def add(api: Api, **fields: object) -> UUID:
    made = api.request("POST", "/api/leads", json={**WANTED, **fields})
    assert made.status_code == 201, made.text
    return UUID(made.json()["lead_id"])


def test_a_lead_is_found_by_search_and_filters_in_the_address(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    add(api)
    add(api, name="Grace Okafor", company="Zephyr", email="grace@zephyr.example", source="event")
    page = console.signed_in("/leads", user_id)
    rows = page.get_by_role("table", name="Leads").locator("tbody tr")
    expect(rows).to_have_count(2, timeout=WAIT)
    page.get_by_label("Search").fill("zephyr")
    expect(rows).to_have_count(1, timeout=WAIT)
    expect(rows).to_contain_text("Grace Okafor")
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("zephyr", timeout=WAIT)
    expect(rows).to_have_count(1, timeout=WAIT)
    page.get_by_label("Status").select_option("lost")
    expect(page.get_by_role("heading", name="No lead matches")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Clear the filters").click()
    expect(rows).to_have_count(2, timeout=WAIT)
    # The keyboard moves through the rows, and opens one.
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Ada Mills")).to_be_visible(timeout=WAIT)


def test_the_list_shows_a_lead_created_while_it_is_open(console: Console) -> None:
    user_id = uuid4()
    page = console.signed_in("/leads", user_id)
    expect(page.get_by_role("heading", name="No leads yet")).to_be_visible(timeout=WAIT)
    add(console.api(user_id))
    expect(page.get_by_role("link", name="Ada Mills")).to_be_visible(timeout=WAIT)


def test_a_lead_is_added_changed_and_deleted(console: Console) -> None:
    user_id = uuid4()
    page = console.signed_in("/leads", user_id, viewport=PHONE)
    page.get_by_role("button", name="New lead").click()
    dialog = page.get_by_role("dialog", name="New lead")
    dialog.get_by_label("Name").fill("Ada Mills")
    dialog.get_by_label("E-mail").fill("no address")
    dialog.get_by_label("Phone").fill("+43 1 234")
    dialog.get_by_role("button", name="Add the lead").click()
    expect(dialog.get_by_label("E-mail")).to_have_attribute("aria-invalid", "true", timeout=WAIT)
    dialog.get_by_label("E-mail").fill("ada@northwind.example")
    dialog.get_by_role("button", name="Add the lead").click()
    expect(page.get_by_role("heading", level=1, name="Ada Mills")).to_be_visible(timeout=WAIT)

    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit Ada Mills")
    dialog.get_by_label("Company").fill("Northwind")
    dialog.get_by_label("Phone").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0, timeout=WAIT)
    page.get_by_label("Status").select_option("contacted")
    stored = console.api(user_id).get(page.url.replace(f"{console.url}/", "/api/"))
    assert (stored.json()["company"], stored.json()["phone"]) == ("Northwind", None)

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No leads yet")).to_be_visible(timeout=WAIT)


def test_a_concurrent_change_is_not_overwritten(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    lead_id = add(api)
    page = console.signed_in(f"/leads/{lead_id}", user_id)
    expect(page.get_by_label("Status")).to_have_value("new", timeout=WAIT)
    api.request("PATCH", f"/api/leads/{lead_id}", json={"status": "converted"})
    page.get_by_label("Status").select_option("lost")
    expect(page.get_by_label("Status")).to_have_value("converted", timeout=WAIT)
    assert api.get(f"/api/leads/{lead_id}").json()["status"] == "converted"


def test_an_analysis_appears_when_it_is_done(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    lead_id = add(api)
    begun = api.request("POST", "/api/conversations", json={"lead_id": str(lead_id), "title": "About the website"})
    assert begun.status_code == 201
    page = console.signed_in(f"/leads/{lead_id}", user_id)
    page.get_by_role("button", name="Analyze").click()
    expect(page.get_by_role("heading", name="Next steps")).to_be_visible(timeout=WAIT)
    expect(page.get_by_role("list", name="Points by part")).to_contain_text("Budget")
    history = page.get_by_role("region", name="History")
    expect(history.get_by_role("link", name="About the website")).to_be_visible(timeout=WAIT)
    score = api.get(f"/api/leads/{lead_id}").json()["score"]
    expect(history).to_contain_text(f"Analyzed: {score} of 100", timeout=WAIT)


def test_another_users_lead_is_not_found(console: Console) -> None:
    lead_id = add(console.api(uuid4()))
    page = console.signed_in(f"/leads/{lead_id}")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible(timeout=WAIT)
    admin = console.signed_in(f"/leads/{lead_id}", admin=True)
    expect(admin.get_by_role("heading", level=1, name="Ada Mills")).to_be_visible(timeout=WAIT)
