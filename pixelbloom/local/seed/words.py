"""The people, companies and wishes of the demo agency. All addresses are in the reserved domain `example`."""

FIRST_NAMES = (
    *("Ada", "Amir", "Anouk", "Ben", "Chiara", "Daniel", "Elif", "Emeka", "Eva", "Felix", "Grace", "Hana", "Ines"),
    *("Jonas", "Karim", "Laura", "Leo", "Lucia", "Mara", "Marek", "Mei", "Nadia", "Noah", "Oskar", "Paula", "Ravi"),
    *("Sara", "Sofia", "Tariq", "Theo", "Valerie", "Viktor", "Yuki", "Zoe"),
)
LAST_NAMES = (
    *("Adeyemi", "Albrecht", "Bianchi", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Horvat"),
    *("Ivanova", "Jansen", "Kaya", "Keller", "Lindqvist", "Martin", "Mills", "Moreau", "Nakamura", "Novak"),
    *("Okafor", "Patel", "Quinn", "Rossi", "Santos", "Schmid", "Singh", "Tanaka", "Vogel", "Weber", "Yilmaz"),
)
COMPANY_STEMS = (
    *("Alder", "Birch", "Bluefin", "Cedar", "Copper", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Iris"),
    *("Juniper", "Kestrel", "Lumen", "Maple", "Meridian", "Northwind", "Orchard", "Pebble", "Quartz", "Raven"),
    *("Saffron", "Summit", "Tidal", "Umber", "Vela", "Willow", "Yarrow", "Zephyr"),
)
#: Industries, and names of their companies.
INDUSTRIES = {
    "SaaS": ("Labs", "Cloud", "Software"),
    "Retail": ("Goods", "Store", "Supply"),
    "Health": ("Clinic", "Dental", "Care"),
    "Hospitality": ("Hotel", "Kitchen", "Coffee"),
    "Real estate": ("Homes", "Estates", "Property"),
    "Education": ("Academy", "School", "Learning"),
    "Manufacturing": ("Works", "Tools", "Machines"),
    "Fintech": ("Pay", "Capital", "Ledger"),
}
#: A lead's message, its question in the chat, and its usual budget.
WISHES = (
    (
        "We need a new website with a blog; ours is ten years old and does not work on phones.",
        ("How much is a new website?", "How long does it take until it is online?", "Can we edit the pages ourselves?"),
        9000,
    ),
    (
        "We sell in two shops and want to sell online, with payments and stock connected.",
        ("What does a small online shop cost?", "How long does a shop take?", "Which payments can customers use?"),
        18000,
    ),
    (
        "Nobody finds us on search engines. We want more leads from our region.",
        ("How does SEO work at yours?", "When do we see first results of SEO?", "What does SEO cost a month?"),
        7500,
    ),
    (
        "Our logo and colours look different everywhere; we want one brand before the fair in autumn.",
        ("What is part of a brand identity?", "How much is a logo with a brand guide?"),
        6000,
    ),
    (
        "We spend on ads without knowing what comes of it. Please run our campaigns and report on conversion.",
        ("What do you charge for running ads?", "Which channels would you begin with?", "Can I talk to a person?"),
        12000,
    ),
    (
        "We publish too rarely: we look for somebody who writes our newsletter and posts.",
        ("What does content for a month cost?", "Who owns the texts?"),
        4000,
    ),
)
TIMELINES = ("as soon as possible", "within 4 weeks", "within 2 months", "next quarter", "this year", "just looking")
#: Sources of leads, with weights.
SOURCES = {"website": 45, "referral": 20, "campaign": 20, "event": 10, "partner": 5}
