-- One row a call to a model provider: what it cost and how it ended. A run that fell back has a row for each try.

create table public.model_metrics (
    id bigint generated always as identity primary key,
    run_id uuid,
    agent_type text not null check (char_length(agent_type) <= 100),
    provider text not null check (char_length(provider) <= 50),
    model text check (char_length(model) <= 200),
    outcome text not null check (char_length(outcome) <= 50),
    error text check (char_length(error) <= 2000),
    latency_ms integer not null check (latency_ms >= 0),
    prompt_tokens integer not null default 0 check (prompt_tokens >= 0),
    completion_tokens integer not null default 0 check (completion_tokens >= 0),
    created_at timestamptz not null default now()
);

comment on table public.model_metrics is 'Calls to model providers: tokens, latency in milliseconds, outcome.';

create index model_metrics_newest on public.model_metrics (created_at desc);
create index model_metrics_model on public.model_metrics (provider, model, created_at desc);
create index model_metrics_run on public.model_metrics (run_id) where run_id is not null;

alter table public.model_metrics enable row level security;
grant select on public.model_metrics to authenticated;
