"""Patterns of currencies before or after an amount."""

_CODES = (
    "usd eur gbp inr jpy cny chf cad aud nzd sek nok dkk isk pln czk huf ron bgn rsd try rub uah ils aed sar qar egp "
    "zar ngn kes ghs mad brl mxn ars clp cop pen sgd hkd twd krw thb idr myr php vnd pkr bdt lkr npr kzt"
)
_WORDS = (
    "dollars? euros? pounds? rupees? francs? franken yen yuan pesos? reais real bucks? kronor kroner krona rs inr kr "
    r"kč zł złotych lei ft fr sfr rm rp щ\.д"
)
#: With a country's letters around them: `US$`, `$US`, `£GB`, `R$`, `A$`.
_SIGNS = "$€£¥₹₽₺₴₩₦₫₱₪฿₡₲₵₸₼₾₿৳¢"
_SIGN = rf"[a-z]{{0,3}}[{_SIGNS}](?: ?(?:us|ca|au|nz|gb|su|ru)\b)?"

#: Matched without regard to case. Longer ones come first.
_NAMES = "|".join(sorted((*_CODES.split(), *_WORDS.split()), key=len, reverse=True))
BEFORE = rf"(?:{_SIGN}|(?:{_NAMES})\.?)"
AFTER = rf"(?:{_SIGN}|(?:{_NAMES})\b\.?)"
