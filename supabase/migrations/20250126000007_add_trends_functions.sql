-- Trends over time: what its queries range over.

create index messages_created on public.messages (created_at) include (user_id, conversation_id);
create index model_metrics_created on public.model_metrics (created_at) include (agent_type, provider, outcome);
