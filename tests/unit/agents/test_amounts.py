"""Sums of money are read as people write them, in fields and in free text alike."""

import contextlib
from decimal import Decimal

import pytest
from babel import localedata
from babel.numbers import format_currency, format_decimal
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pixelbloom.agents.fields import AgentInput, Amount, PositiveAmount
from pixelbloom.agents.knowledge.amounts import as_amount, sums
from pixelbloom.agents.knowledge.scoring import Facts, score
from pixelbloom.agents.lead import LeadAgent, _least, terms
from pixelbloom.errors import InvalidInput
from pixelbloom.workflows.builtin import builtin
from pixelbloom.workflows.inputs import check_inputs

BUILT_IN = {definition.workflow_id: definition for definition in builtin()}

#: A text, and the amount that it is: of a range the upper end.
WRITTEN = [
    ("20.000 EUR", 20_000),
    ("€20.000", 20_000),
    ("20 000 EUR", 20_000),
    ("20.000 €", 20_000),
    ("20.000,- €", 20_000),
    ("20\u202f000\u00a0€", 20_000),
    ("20\u2009000 EUR", 20_000),
    ("20'000 CHF", 20_000),
    ("CHF 20’000.50", Decimal("20000.5")),
    ("20,000.50 USD", Decimal("20000.5")),
    ("20.000,50 €", Decimal("20000.5")),
    ("1.500.000 €", 1_500_000),
    ("₹5,00,000", 500_000),
    ("Rs. 5,00,000", 500_000),
    ("₹ 1,00,00,000", 10_000_000),
    ("5 lakh", 500_000),
    ("1.5 crore INR", 15_000_000),
    ("15-20k", 20_000),
    ("15k – 20k", 20_000),
    ("€10.000-15.000", 15_000),
    ("500-1k", 1000),
    ("$15k to $20k", 20_000),
    ("1,5k", 1500),
    ("2,500k", 2_500_000),
    ("USD 2.5m", 2_500_000),
    ("2.5 million", 2_500_000),
    ("1.125 million", 1_125_000),
    ("1,5 Mio. Euro", 1_500_000),
    ("20 Tsd. €", 20_000),
    ("20 k€", 20_000),
    ("EUR20k", 20_000),
    ("R$ 20.000,00", 20_000),
    ("20 000,00 $US", 20_000),
    ("0.500 USD", Decimal("0.5")),
    ("1234.567 USD", Decimal("1234.567")),
]


@pytest.mark.parametrize(("text", "amount"), WRITTEN)
def test_a_field_accepts_an_amount_as_text(text, amount):
    assert as_amount(text) == amount


@pytest.mark.parametrize(("text", "amount"), WRITTEN)
def test_free_text_is_parsed_by_the_same_rules(text, amount):
    assert max(sums(f"We could pay {text}, for a website")) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [("20.000", 20_000), ("20,000", 20_000), ("20 000", 20_000), ("20.00", 20), ("1,0000", 1), ("12,34", "12.34")],
)
def test_a_bare_number_is_an_amount_in_a_field_but_not_in_free_text(text, amount):
    assert as_amount(text) == Decimal(amount)
    assert sums(f"about {text} visitors") == []


@pytest.mark.parametrize(
    "text",
    [
        "31.01.2026 EUR",
        "192.168.1.1",
        "1.00.000 €",
        "20 pages",
        "-500 EUR",
        "20kg",
        "€",
        "",
        "20 000 000 times",
        "1" * 41,
    ],
)
def test_an_invalid_amount_is_refused_in_a_field(text):
    with pytest.raises(ValueError, match="must be a number"):
        as_amount(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("call 555 1234 in 2025, v1.2, room C3", []),
        ("on 31.01.2026 we have 20 000 EUR.", [20_000]),
        ("in 2025 we spend 'about 15-20k'", [15_000, 20_000]),
        ("between $15-20 an hour", [15, 20]),
        ("3-4 pages for 8.000 EUR", [8000]),
        ("a 3 m wide, 12.500 m² hall", []),
    ],
)
def test_only_money_in_free_text_is_an_amount(text, found):
    assert sums(text) == found


#: Without the one language that groups digits by two.
LOCALES = sorted(name for name in localedata.locale_identifiers() if not name.startswith("tok"))


@given(
    amount=st.decimals(0, 10**9, places=2),
    locale=st.sampled_from(LOCALES),
    currency=st.sampled_from(["EUR", "USD", "GBP", "INR", "CHF", "JPY"]),
    numbering=st.sampled_from(["latn", "default"]),
)
def test_amounts_in_the_format_of_any_locale_are_parsed(amount, locale, currency, numbering):
    money = format_currency(amount, currency, locale=locale, numbering_system=numbering, currency_digits=False)
    coded = format_currency(
        amount, currency, "¤¤ #,##0.00", locale=locale, numbering_system=numbering, currency_digits=False
    )
    bare = format_decimal(amount, "#,##0.00", locale=locale, numbering_system=numbering)

    assert [as_amount(text) for text in (money, coded, bare)] == [amount] * 3
    assert sums(f"{money}; {coded}") == [amount, amount]


@given(st.text("0123456789.,' -k€$ato", max_size=60))
def test_parsing_any_text_returns_only_amounts(text):
    assert all(amount.is_finite() and amount >= 0 for amount in sums(text))
    with contextlib.suppress(ValueError):
        assert as_amount(text) >= 0


def test_schemas_accept_texts_and_contain_their_bounds():
    class Shape(AgentInput):
        budget: Amount
        spend: PositiveAmount | None = None

    assert Shape.model_validate({"budget": "20.000 EUR", "spend": "15-20k"}).spend == 20_000
    with pytest.raises(ValidationError, match="less than or equal"):
        Shape.model_validate({"budget": "9999 crore"})


@pytest.mark.parametrize("text", [text for text, amount in WRITTEN if amount == 20_000])
def test_a_budget_of_20000_is_never_scored_as_20(text):
    meant = score(Facts(budget=Decimal(20_000))).points["budget"]
    assert score(Facts(message=f"Our budget: {text}")).points["budget"] == meant
    lead = LeadAgent.input.model_validate({"name": "Ada", "budget": text})
    assert lead.budget == 20_000


@pytest.mark.parametrize("query", ["shops over 20.000 EUR", "shops over €20.000", "shops above 20 000 EUR please"])
def test_the_budget_in_a_query_is_parsed_correctly(query):
    least = _least(query)
    assert least is not None
    assert least.budget == 20_000
    assert terms(query)[:1] == ["shops"]
    assert not {"eur", "000", "20"} & set(terms(query))


@pytest.mark.parametrize("text", [text for text, _ in WRITTEN])
def test_a_workflow_accepts_the_same_amounts_as_its_agents(text):
    check_inputs(BUILT_IN["lead_intake"], {"message": "A shop.", "budget": text})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("20 pages", "must be an amount, such as 20000, $20k or 20.000 EUR"),
        ("9999 crore", "breaks maximum 10000000000"),
    ],
)
def test_a_workflow_refuses_the_same_amounts_as_its_agents(text, message):
    with pytest.raises(InvalidInput) as refused:
        check_inputs(BUILT_IN["lead_intake"], {"message": "A shop.", "budget": text})
    assert [detail.message for detail in refused.value.details] == [message]


@pytest.mark.long
@pytest.mark.parametrize("piece", ["1,", "1 ", "1 000 ", "$", "1", "a1'", "1 000.1", "1-", "1k to ", "20 US", "-", " "])
def test_long_hostile_texts_are_parsed_in_linear_time(piece):
    # A quadratic reader would take hours for this.
    sums(piece * (200_000 // len(piece)))
