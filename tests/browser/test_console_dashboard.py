"""The dashboard: figures of a range, by aggregation and zone, and how they follow changes."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from playwright.sync_api import expect

from tests.browser.console import WAIT, Console
from tests.integration.http import Api


def add_lead(api: Api, **fields: object) -> None:
    made = api.request("POST", "/api/leads", json={"name": "Ada Mills", "source": "referral", **fields})
    assert made.status_code == 201, made.text


def test_figures_follow_a_lead_that_somebody_adds_while_the_page_is_open(console: Console) -> None:
    user_id = uuid4()
    api = console.api(user_id)
    add_lead(api)
    page = console.signed_in("/dashboard", user_id)
    leads = page.locator(".kpis .figure").filter(has_text="Leads")
    expect(leads.locator(".value")).to_have_text("1", timeout=WAIT)
    expect(page.get_by_role("list", name="Leads by source")).to_contain_text("Referral", timeout=WAIT)

    add_lead(api, source="campaign")
    expect(leads.locator(".value")).to_have_text("2", timeout=WAIT)
    expect(page.get_by_role("list", name="Leads by source")).to_contain_text("Campaign", timeout=WAIT)
    # The chart's table for screen readers has the new day's figure too.
    expect(page.get_by_role("figure", name="New leads").locator("tbody tr").last).to_contain_text("2", timeout=WAIT)


def test_the_range_and_its_grouping_are_in_the_address(console: Console) -> None:
    page = console.signed_in("/dashboard?zone=Pacific/Kiritimati")
    days = page.get_by_role("figure", name="New leads").locator("tbody tr")
    expect(days).to_have_count(30, timeout=WAIT)
    page.get_by_label("Range").select_option(label="Last 7 days")
    expect(days).to_have_count(7, timeout=WAIT)
    page.wait_for_url(re.compile("range=7"))
    page.get_by_label("Group by").select_option(label="Month")
    page.wait_for_url(re.compile("monthly"))
    page.reload()
    expect(page.get_by_label("Range")).to_have_value("7", timeout=WAIT)
    expect(page.get_by_label("Group by")).to_have_value("monthly")
    expect(page.get_by_label("Time zone")).to_have_value("Pacific/Kiritimati")
    expect(days.first).to_be_attached(timeout=WAIT)
    assert days.count() <= 2


def test_days_follow_the_time_zone(console: Console) -> None:
    """Kiritimati is 14 hours ahead, Pago Pago 11 behind: their days are never the same."""
    page = console.signed_in("/dashboard?range=7&zone=Pacific/Kiritimati")
    lead = page.locator(".heading .lead")
    expect(lead).to_contain_text(" to ", timeout=WAIT)
    ahead = lead.inner_text()
    page.get_by_label("Time zone").select_option("Pacific/Pago_Pago")
    expect(lead).not_to_have_text(ahead, timeout=WAIT)


def test_a_day_before_the_first_is_refused_and_corrected(console: Console) -> None:
    today = datetime.now(UTC).date()
    page = console.signed_in(f"/dashboard?range=custom&from={today}&to={today - timedelta(days=9)}")
    expect(page.get_by_role("alert")).to_be_visible(timeout=WAIT)
    page.get_by_label("From").fill(str(today - timedelta(days=12)))
    expect(page.get_by_role("alert")).to_have_count(0, timeout=WAIT)
    expect(page.get_by_role("figure", name="New leads").locator("tbody tr")).to_have_count(4, timeout=WAIT)


def test_agents_and_models_are_for_administrators_alone(console: Console) -> None:
    admin = console.signed_in("/dashboard", admin=True)
    expect(admin.get_by_role("region", name="Agents")).to_contain_text("Executions", timeout=WAIT)
    expect(admin.get_by_role("region", name="Models")).to_contain_text("Calls", timeout=WAIT)
    user = console.signed_in("/dashboard")
    expect(user.get_by_role("region", name="Revenue")).to_contain_text("Churn", timeout=WAIT)
    expect(user.get_by_role("region", name="Agents")).to_have_count(0)
