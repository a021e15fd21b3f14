"""The agents' models, by their names at Ollama."""

GENERAL = "llama3.1:8b"
WRITER = "mistral:7b"
CODER = "codellama:latest"

#: The models to pull so that every agent runs on its own model.
REQUIRED = (GENERAL, WRITER, CODER)

#: Used if neither the operator nor the request names a model.
DEFAULT = "llama3"
