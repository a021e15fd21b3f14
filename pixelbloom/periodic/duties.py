"""The tasks that beat sends when they are due, and the pulse by which its health is judged."""

#: The least seconds between two messages of each task.
DUTIES = {
    "sweep_runs": 2.0,
    "fire_schedules": 2.0,
    "send_due_webhooks": 2.0,
    "send_broadcasts": 2.0,
    "process_stripe_events": 2.0,
    "relay_outbox": 1.0,
    "run_due_tasks": 10.0,
}
#: Seconds between the pulses of beat, and those that it sends through each worker. A pulse expires when the next comes.
PULSE_SECONDS = 15.0
#: A message that waits for longer is dropped: the next one does its work. The worker's clock decides.
#: This is longer than a pulse: a worker whose clock is ahead misses its pulses, and is reported, before it drops work.
EXPIRES_SECONDS = 2 * PULSE_SECONDS
