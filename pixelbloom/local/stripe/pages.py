"""The stand-in's own pages: the checkout, and the billing portal."""

from html import escape

from pixelbloom.local.stripe.book import Book
from pixelbloom.local.stripe.objects import Obj
from pixelbloom.payments.money import major_units

_FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1rem; color: #1d1d28 }}
button {{ font: inherit; padding: .5rem 1rem; margin: .25rem .25rem .25rem 0; cursor: pointer }}
.note {{ background: #fff4d6; padding: .5rem 1rem; border-radius: .5rem }} td {{ padding-right: 2rem }}
</style><h1>{title}</h1>
<p class="note">A stand-in for Stripe on this machine: no card is asked for, and no money moves.</p>
{content}</html>"""


def checkout(book: Book, session: Obj, error: str = "") -> str:
    """The checkout page, with its outcomes."""
    [line] = session["line_items"]
    price = book.get("price", line["price"])
    product = book.objects["product"].get(price["product"], {})
    every = f" a {price['recurring']['interval']}" if price["recurring"] else ""
    rows = [(str(product.get("name", price["id"])), _money(session["amount_subtotal"], session["currency"]) + every)]
    if session["total_details"]["amount_discount"]:
        rows.append(("Discount", "- " + _money(session["total_details"]["amount_discount"], session["currency"])))
    rows.append(("To pay now", _money(session["amount_total"], session["currency"])))
    buttons = [("paid", "Pay"), ("declined", "Pay with a card that is declined"), ("cancel", "Cancel")]
    if session["mode"] == "payment":
        buttons.insert(1, ("async", "Pay by bank transfer, which takes days"))
    state = "" if session["status"] == "open" else f"<p>This checkout is {escape(session['status'])}.</p>"
    form = _form(buttons) if session["status"] == "open" else ""
    alert = f'<p role="alert">{escape(error)}</p>' if error else ""
    return _FRAME.format(title="Checkout", content=_table(rows) + alert + state + form)


def after(page: str) -> str:
    """The page after a checkout without a front end."""
    if page == "done":
        return _FRAME.format(
            title="Thank you", content="<p>It is paid: see <code>GET /api/payments/subscription</code>.</p>"
        )
    return _FRAME.format(title="Cancelled", content="<p>Nothing was bought.</p>")


def portal(book: Book, session: Obj) -> str:
    """A customer's subscriptions, and a link back."""
    parts = []
    for item in book.objects["subscription"].values():
        if item["customer"] == session["customer"]:
            price = item["items"]["data"][0]["price"]
            ends = ", ends with its period" if item["cancel_at_period_end"] else ""
            product = book.objects["product"].get(price["product"], {}).get("name", price["id"])
            parts.append(f"<h2>{escape(product)}: {escape(item['status'])}{ends}</h2>")
            if item["status"] != "canceled":
                later = ("keep", "Keep it") if ends else ("later", "Cancel with the period")
                parts.append(_form([later, ("now", "Cancel now")], item["id"]))
    back = session["return_url"]
    link = f'<p><a href="{escape(back)}">Back to the shop</a></p>' if back else ""
    return _FRAME.format(title="Billing", content="".join(parts) + link)


def _form(buttons: list[tuple[str, str]], subscription: str = "") -> str:
    shown = "".join(f'<button name="do" value="{value}">{escape(label)}</button>' for value, label in buttons)
    hidden = f'<input type="hidden" name="subscription" value="{escape(subscription)}">' if subscription else ""
    return f'<form method="post">{hidden}{shown}</form>'


def _table(rows: list[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{escape(a)}<td>{escape(b)}" for a, b in rows) + "</table>"


def _money(amount: int, currency: str) -> str:
    return f"{major_units(amount, currency):,} {currency.upper()}"
