"""A graph of two nodes without a model, for LangGraph's dev server. `langgraph.json` names it."""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph  # type: ignore[import-not-found]


class State(TypedDict, total=False):
    """The message, and the reply of each node."""

    message: str
    a: str
    b: str


def first(state: State) -> State:
    """Reply to the message."""
    return {"a": f"{state['message'][:100]} A landing page takes about two weeks."}


def second(state: State) -> State:
    """Reply to the reply of the first node."""
    return {"b": f"{state['a'][:100]} A landing page takes about two weeks."}


_graph = StateGraph(State)
_graph.add_node("first", first)
_graph.add_node("second", second)
_graph.add_edge(START, "first")
_graph.add_edge("first", "second")
_graph.add_edge("second", END)
graph = _graph.compile()
