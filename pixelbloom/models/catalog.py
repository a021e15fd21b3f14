"""The models that the agents ask for, by their names at Ollama."""

GENERAL = "llama3.1:8b"
WRITER = "mistral:7b"
CODER = "codellama:latest"

#: What `ollama pull` must have fetched for every agent to run on its own model.
REQUIRED = (GENERAL, WRITER, CODER)

#: Asked for where neither the operator nor the request names one.
DEFAULT = "llama3"
