-- Runs: what was asked for, how far it is, and how it ended. Postgres is the truth about them.
-- Their transitions are the functions of the migrations ..10 to ..13.

create table public.workflows (
    workflow_id text not null check (workflow_id ~ '^[a-z][a-z0-9_]{0,99}$'),
    version integer not null check (version > 0),
    description text not null default '' check (char_length(description) <= 2000),
    -- The whole definition, as `pixelbloom.workflows` reads it.
    definition jsonb not null check (jsonb_typeof(definition) = 'object'),
    created_by text not null default 'system' check (char_length(created_by) <= 100),
    created_at timestamptz not null default now(),
    retired_at timestamptz,
    primary key (workflow_id, version)
);

comment on table public.workflows is 'Definitions of multi-step workflows; a version never changes once stored.';

create table public.runs (
    id uuid primary key,
    kind text not null check (kind in ('agent', 'workflow')),
    agent_type varchar(100),
    workflow_id text,
    workflow_version integer,
    user_id uuid,
    caller varchar(100) not null,
    user_queue varchar(100) not null,
    priority smallint not null default 0,
    idempotency_key varchar(255),
    request_hash varchar(64),
    correlation_id varchar(128),
    status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
    rev bigint not null default 1,
    progress double precision not null default 0 check (progress between 0 and 1),
    step text,
    input jsonb not null check (jsonb_typeof(input) = 'object'),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    result jsonb,
    error varchar(4000),
    error_code varchar(100),
    provider varchar(50),
    model varchar(200),
    attempts integer not null default 0,
    -- How often a person asked to go on from where it failed.
    retries integer not null default 0,
    replay_of uuid,
    webhook_url varchar(2048),
    run_at timestamptz,
    cancel_requested_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    updated_at timestamptz not null default clock_timestamp(),
    foreign key (workflow_id, workflow_version) references public.workflows (workflow_id, version),
    check ((kind = 'agent') = (agent_type is not null)),
    check ((kind = 'workflow') = (workflow_id is not null and workflow_version is not null)),
    check ((status in ('completed', 'failed', 'cancelled')) = (finished_at is not null)),
    check (status <> 'completed' or (result is not null and progress = 1)),
    check (status <> 'failed' or error is not null)
);

comment on table public.runs is 'One row per run of an agent or a workflow.';

create unique index runs_idempotency on public.runs (caller, idempotency_key) where idempotency_key is not null;
create index runs_owner on public.runs (user_id, created_at desc, id desc);
create index runs_newest on public.runs (created_at desc, id desc);
create index runs_agent on public.runs (agent_type, created_at desc, id desc) where agent_type is not null;
create index runs_workflow on public.runs (workflow_id, workflow_version, created_at desc, id desc)
where workflow_id is not null;
create index runs_status on public.runs (status, created_at desc, id desc);
create index runs_ended on public.runs (finished_at) where finished_at is not null;

create table public.run_steps (
    run_id uuid not null references public.runs (id) on delete cascade,
    key varchar(100) not null check (key <> ''),
    kind text not null default 'agent' check (kind in ('agent', 'map', 'approval')),
    agent_type varchar(100),
    position integer not null default 0,
    needs text[] not null default '{}',
    -- The steps whose outcome its expressions read.
    uses text[] not null default '{}',
    -- The next step in its linear segment: their messages are sent as one Celery chain.
    next_key text,
    -- The map of this item.
    parent text,
    -- What its result is stored as, beside the run, as its agent declares.
    writes text check (writes in ('lead_analysis', 'recommendations', 'reply', 'content')),
    -- What a worker renders before it runs; an agent run has its input as it is.
    spec jsonb check (jsonb_typeof(spec) = 'object'),
    weight double precision not null default 1 check (weight >= 0),
    on_error text not null default 'fail' check (on_error in ('fail', 'continue')),
    -- Of a map: how many items at once.
    max_parallel integer check (max_parallel between 1 and 1000),
    user_queue varchar(100) not null,
    priority smallint not null default 0,
    status text not null default 'pending'
    check (status in ('pending', 'running', 'waiting', 'completed', 'failed', 'skipped', 'cancelled')),
    -- Everything it needs has ended, so it may be published.
    ready boolean not null default false,
    available_at timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    publications integer not null default 0,
    attempt integer not null default 0,
    -- The attempt after which it fails; a retry by a person moves it on by attempts_allowed.
    max_attempts integer not null default 5 check (max_attempts > 0),
    attempts_allowed integer not null default 5 check (attempts_allowed between 1 and 100),
    -- How often a worker gave the step back when it was stopped, or lost it when it died. The agent did not fail then,
    -- so no attempt is used up: attempt is lease_token less interruptions.
    interruptions integer not null default 0,
    -- The interruption that fails the step; a retry by a person moves it on by a hundred.
    max_interruptions integer not null default 100 check (max_interruptions > 0),
    backoff_seconds double precision not null default 1 check (backoff_seconds between 0 and 3600),
    timeout_seconds double precision not null default 300 check (timeout_seconds > 0),
    lease_owner text,
    lease_token bigint not null default 0,
    lease_expires_at timestamptz,
    -- The deadline of an approval.
    deadline_at timestamptz,
    input jsonb not null check (jsonb_typeof(input) = 'object'),
    output jsonb,
    error varchar(4000),
    error_code varchar(100),
    errors jsonb not null default '[]' check (jsonb_typeof(errors) = 'array'),
    provider varchar(50),
    model varchar(200),
    prompt_tokens integer not null default 0,
    completion_tokens integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    primary key (run_id, key),
    check ((kind = 'approval') = (agent_type is null)),
    -- A map that was expanded runs without a lease, in its items.
    check (
        case kind
            when 'map' then status = 'running' or lease_expires_at is null
            else (status = 'running') = (lease_expires_at is not null)
        end
    ),
    check ((status = 'waiting') = (deadline_at is not null)),
    check ((status in ('completed', 'failed', 'skipped', 'cancelled')) = (finished_at is not null)),
    check (status <> 'completed' or output is not null)
);

comment on table public.run_steps is 'One row per step of a run; an agent run has one.';

-- What waits for admission, what is out at the broker, and what is in a worker's hands.
create index run_steps_backlog on public.run_steps (user_queue, priority desc, created_at, run_id, position)
where status = 'pending' and ready and published_at is null;
create index run_steps_published on public.run_steps (published_at)
where status = 'pending' and published_at is not null;
create index run_steps_out on public.run_steps (user_queue)
where published_at is not null and status in ('pending', 'running');
create index run_steps_available on public.run_steps (available_at)
where status = 'pending' and ready and published_at is null;
create index run_steps_leases on public.run_steps (lease_expires_at) where status = 'running';
create index run_steps_deadlines on public.run_steps (deadline_at) where status = 'waiting';
create index run_steps_waiting on public.run_steps (user_queue, deadline_at) where status = 'waiting';

create table public.schedules (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    caller text not null check (char_length(caller) <= 100),
    kind text not null check (kind in ('agent', 'workflow')),
    target text not null check (char_length(target) <= 100),
    input jsonb not null default '{}' check (jsonb_typeof(input) = 'object'),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    cron text not null check (char_length(cron) <= 200),
    timezone text not null default 'UTC' check (char_length(timezone) <= 100),
    active boolean not null default true,
    next_run_at timestamptz not null,
    last_run_at timestamptz,
    last_run_id uuid,
    last_error text check (char_length(last_error) <= 1000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.schedules is 'Scheduled runs.';

create index schedules_due on public.schedules (next_run_at) where active;
create index schedules_owner on public.schedules (user_id, created_at desc);
create index schedules_newest on public.schedules (created_at desc, id desc);

create trigger schedules_touch before update on public.schedules
for each row execute function internal.touch_updated_at();

-- Events to publish over Redis. Written in the transaction of their change; deleted once published.
create table public.event_outbox (
    id bigint generated always as identity primary key,
    type varchar(100) not null,
    topic varchar(200) not null,
    user_id uuid,
    payload jsonb not null,
    visible_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default clock_timestamp()
);

comment on table public.event_outbox is 'Events not yet known to be published.';

create index event_outbox_visible on public.event_outbox (visible_at, id);

-- One row: which sweep and which relay is on, and when beat looks next.
create table public.system_state (
    only_row boolean primary key default true check (only_row),
    next_sweep_at timestamptz not null default '-infinity',
    last_sweep_at timestamptz,
    relay_until timestamptz not null default '-infinity',
    relay_owner text,
    -- When beat looks for due work next, unless it is woken: infinity if it knows of nothing that becomes due.
    next_look_at timestamptz not null default '-infinity'
);

comment on table public.system_state is 'The current sweep and the current relay, and when beat looks next.';

insert into public.system_state default values;

-- Work becomes due at this time: wake beat, unless it looks by then anyway. A look that is overdue by seconds will not
-- come: its beat ended, and another one may wait. Callers that write many rows call it once.
create function internal.wake_beat(p_due timestamptz) returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    perform pg_notify('pixelbloom_beat', '') from public.system_state as s
    where s.next_look_at > p_due + interval '1 second' or s.next_look_at < clock_timestamp() - interval '3 seconds';
end
$$;

-- The trigger's argument is the column with the time at which the row is due.
create function internal.wake_beat_for_row() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform internal.wake_beat((to_jsonb(new) ->> tg_argv[0])::timestamptz);
    return null;
end
$$;

create trigger schedules_due after insert or update of active, next_run_at on public.schedules
for each row when (new.active) execute function internal.wake_beat_for_row('next_run_at');

-- Infrequent tasks: when each is due, and when it last finished. Beat itself stores nothing.
create table public.periodic_tasks (
    name text primary key check (char_length(name) between 1 and 100),
    due_at timestamptz not null,
    last_finished_at timestamptz
);

comment on table public.periodic_tasks is 'Periodic tasks: when each is due, and when it last finished.';

alter table public.workflows enable row level security;
alter table public.runs enable row level security;
alter table public.run_steps enable row level security;
alter table public.schedules enable row level security;
alter table public.event_outbox enable row level security;
alter table public.system_state enable row level security;
alter table public.periodic_tasks enable row level security;
grant select on public.workflows, public.runs, public.run_steps, public.schedules to authenticated;

create policy workflows_current on public.workflows for select to authenticated using (retired_at is null);

create policy workflows_admin on public.workflows for select to authenticated using ((select public.is_admin()));

create policy runs_own on public.runs for select to authenticated using (user_id = (select auth.uid()));

create policy runs_admin on public.runs for select to authenticated using ((select public.is_admin()));

create policy run_steps_own on public.run_steps for select to authenticated
using (
    exists (
        select 1 from public.runs as r
        where r.id = run_steps.run_id and r.user_id = (select auth.uid())
    )
);

create policy run_steps_admin on public.run_steps for select to authenticated using ((select public.is_admin()));

create policy schedules_own on public.schedules for select to authenticated using (user_id = (select auth.uid()));

create policy schedules_admin on public.schedules for select to authenticated using ((select public.is_admin()));
