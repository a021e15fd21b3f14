"""What the parts of a process report about their work. This recorder discards it: metrics are off by default."""


class Recorder:
    """Receives what happened, after it happened. No method raises or does any input or output."""

    def step_claimed(self, agent_type: str, attempt: int) -> None:
        """Record the start of an attempt at a step. `attempt` counts from 1."""

    def step_ended(self, agent_type: str, outcome: str, seconds: float, provider: str | None = None) -> None:
        """Record the end of an attempt. `provider` names the source of a completed step's result."""

    def model_called(
        self, provider: str, outcome: str, seconds: float, tokens: tuple[int, int], *, breaker_open: bool
    ) -> None:
        """Record a call to a model. `tokens` are those of the prompt and of the reply."""

    def swept(self, expired: int, lost: int) -> None:
        """Record what a sweep recovered: expired leases, and steps whose message the broker lost."""

    def events_relayed(self, count: int) -> None:
        """Record the number of events that were published from the outbox."""

    def webhook_attempted(self, outcome: str, seconds: float) -> None:
        """Record an attempt at a webhook: `delivered`, `retry` or `failed`."""

    def stripe_event_handled(self, status: str) -> None:
        """Record the status of an event of Stripe after an attempt."""

    def schedule_fired(self, late_seconds: float) -> None:
        """Record by how many seconds a schedule was fired after its time."""

    def task_ended(self, task: str, state: str, seconds: float) -> None:
        """Record the end of a Celery task; `state` is Celery's."""


#: The recorder of a process without metrics.
DISCARD = Recorder()
