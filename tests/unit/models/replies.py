"""Replies of models with their reasoning, and what is shown of them."""

#: What a model sends, and what of it is meant for the reader.
REPLIES = [
    ("<think>Let me see.</think>Hello.", "Hello."),
    ("<think>\nLet me see.\n</think>\n\nHello.", "Hello."),
    ("Let me see. The user wants a greeting.</think>\n\nHello.", "Hello."),
    ("<THINK>a</Think>Hello.", "Hello."),
    ("<thinking>a < b and c > d</thinking>Hello.", "Hello."),
    ("<reasoning effort='high'>a</reasoning >Hello.", "Hello."),
    ("<thought>a</thought>Hello.", "Hello."),
    ("<think>I could open <think> again</think>Hello.", "Hello."),
    ("<think>a</think>Hello.<think>b</think> Bye.", "Hello. Bye."),
    ("<think/>Hello.", "Hello."),
    ("<think>a</think></think>Hello.", "Hello."),
    ("<think>Never closed. Hello.", ""),
    ("<think>a</think>", ""),
    ("</think>Hello.", "Hello."),
    ("<think", ""),
    ("Hello.<think", "Hello."),
    ("Hello.</THINK", "Hello."),
    ("1 < 2, a <b>bold</b> <thinker> and a <tag", "1 < 2, a <b>bold</b> <thinker> and a <tag"),
    ("a <", "a <"),
    ("a </", "a </"),
    ("a <thi", "a <thi"),
    ("a <think " + "x" * 300 + ">b", "a <think " + "x" * 300 + ">b"),
    ("", ""),
]
