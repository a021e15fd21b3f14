"""The agents, one module each; `registry` finds them."""
