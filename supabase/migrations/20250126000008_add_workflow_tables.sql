-- Runs: what was asked for, how far it is, and how it ended. Postgres is the truth about them.
--
-- Every transition is one function below: atomic, guarded by the state it leaves, idempotent. A repeated or late call
-- changes nothing and says so in what it returns; a conflict is returned as data, never raised.
-- Locks are always taken in the same order, so that no two calls can wait for each other: run rows (by id), then lanes
-- (advisory, by name), then steps of other runs (skipping locked ones).

create table public.workflows (
    workflow_id text not null check (workflow_id ~ '^[a-z][a-z0-9_]{0,99}$'),
    version integer not null check (version > 0),
    description text not null default '' check (char_length(description) <= 2000),
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
    agent_type text check (char_length(agent_type) <= 100),
    workflow_id text,
    workflow_version integer,
    user_id uuid,
    caller text not null check (char_length(caller) <= 100),
    lane text not null check (char_length(lane) <= 100),
    priority smallint not null default 0,
    idempotency_key text check (char_length(idempotency_key) <= 255),
    request_hash text check (char_length(request_hash) <= 64),
    correlation_id text check (char_length(correlation_id) <= 128),
    status text not null default 'queued' check (status in ('queued', 'running', 'completed', 'failed', 'cancelled')),
    rev bigint not null default 1,
    progress double precision not null default 0 check (progress between 0 and 1),
    step text,
    input jsonb not null check (jsonb_typeof(input) = 'object'),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    result jsonb,
    error text check (char_length(error) <= 4000),
    error_code text check (char_length(error_code) <= 100),
    provider text check (char_length(provider) <= 50),
    model text check (char_length(model) <= 200),
    attempts integer not null default 0,
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

comment on table public.runs is 'One row a run of an agent or a workflow.';

create unique index runs_idempotency on public.runs (caller, idempotency_key) where idempotency_key is not null;
create index runs_owner on public.runs (user_id, created_at desc, id desc);
create index runs_newest on public.runs (created_at desc, id desc);
create index runs_agent on public.runs (agent_type, created_at desc, id desc) where agent_type is not null;
create index runs_status on public.runs (status, created_at desc, id desc);

create table public.run_steps (
    run_id uuid not null references public.runs (id) on delete cascade,
    key text not null check (char_length(key) between 1 and 100),
    agent_type text not null check (char_length(agent_type) <= 100),
    position integer not null default 0,
    needs text[] not null default '{}',
    lane text not null check (char_length(lane) <= 100),
    priority smallint not null default 0,
    status text not null default 'pending'
    check (status in ('pending', 'running', 'waiting', 'completed', 'failed', 'skipped', 'cancelled')),
    -- Everything it needs has ended, so it may be published.
    ready boolean not null default false,
    available_at timestamptz not null default clock_timestamp(),
    published_at timestamptz,
    publications integer not null default 0,
    attempt integer not null default 0,
    max_attempts integer not null default 5 check (max_attempts between 1 and 100),
    timeout_seconds double precision not null default 300 check (timeout_seconds > 0),
    lease_owner text,
    lease_token bigint not null default 0,
    lease_expires_at timestamptz,
    input jsonb not null check (jsonb_typeof(input) = 'object'),
    output jsonb,
    error text check (char_length(error) <= 4000),
    error_code text check (char_length(error_code) <= 100),
    errors jsonb not null default '[]' check (jsonb_typeof(errors) = 'array'),
    provider text check (char_length(provider) <= 50),
    model text check (char_length(model) <= 200),
    prompt_tokens integer not null default 0,
    completion_tokens integer not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    primary key (run_id, key),
    check ((status = 'running') = (lease_expires_at is not null)),
    check ((status in ('completed', 'failed', 'skipped', 'cancelled')) = (finished_at is not null)),
    check (status <> 'completed' or output is not null)
);

comment on table public.run_steps is 'One row a step of a run; an agent run has one.';

-- What waits for admission, what is out at the broker, and what is in a worker's hands.
create index run_steps_backlog on public.run_steps (lane, priority desc, created_at, run_id, position)
where status = 'pending' and ready and published_at is null;
create index run_steps_published on public.run_steps (published_at)
where status = 'pending' and published_at is not null;
create index run_steps_out on public.run_steps (lane)
where published_at is not null and status in ('pending', 'running');
create index run_steps_leases on public.run_steps (lease_expires_at) where status = 'running';

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
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.schedules is 'Runs that start by the clock.';

create index schedules_due on public.schedules (next_run_at) where active;
create index schedules_owner on public.schedules (user_id, created_at desc);

create trigger schedules_touch before update on public.schedules
for each row execute function public.touch_updated_at();

-- What is still to be told over Redis. Written in the transaction of the change it tells of; deleted once published.
create table public.event_outbox (
    id bigint generated always as identity primary key,
    type text not null check (char_length(type) <= 100),
    topic text not null check (char_length(topic) <= 200),
    user_id uuid,
    payload jsonb not null,
    visible_at timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default clock_timestamp()
);

comment on table public.event_outbox is 'Events not yet known to be published.';

create index event_outbox_visible on public.event_outbox (visible_at, id);

-- One row: which sweep and which relay is on.
create table public.system_state (
    only_row boolean primary key default true check (only_row),
    next_sweep_at timestamptz not null default '-infinity',
    last_sweep_at timestamptz,
    relay_until timestamptz not null default '-infinity',
    relay_owner text
);

comment on table public.system_state is 'Whose turn it is to sweep and to relay.';

insert into public.system_state default values;

alter table public.workflows enable row level security;
alter table public.runs enable row level security;
alter table public.run_steps enable row level security;
alter table public.schedules enable row level security;
alter table public.event_outbox enable row level security;
alter table public.system_state enable row level security;
revoke all on public.workflows, public.runs, public.run_steps, public.schedules, public.event_outbox,
public.system_state from public, anon, authenticated;
grant select on public.workflows, public.runs, public.run_steps, public.schedules to authenticated;
grant all on public.workflows, public.runs, public.run_steps, public.schedules, public.event_outbox,
public.system_state to service_role;

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

-- A run's state as the outbox keeps it and the publisher tells it.
create function public.run_update(p_run public.runs) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'run_id', p_run.id,
        'kind', p_run.kind,
        'workflow_id', coalesce(p_run.workflow_id, p_run.agent_type),
        'user_id', p_run.user_id,
        'rev', p_run.rev,
        'status', p_run.status,
        'step', p_run.step,
        'progress', p_run.progress,
        'updated_at', public.iso_utc(p_run.updated_at),
        'result', p_run.result,
        'error', p_run.error,
        'error_code', p_run.error_code,
        'provider', p_run.provider,
        'model', p_run.model,
        'attempts', p_run.attempts
    )
$$;

-- Bump the run's rev, leave an outbox row, and say what to publish. The worker that made the change publishes at once;
-- the row stays invisible for a moment and is the safety net for a worker that died in between.
create function public.tell_run(p_run_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    r public.runs;
    u jsonb;
begin
    update public.runs set rev = rev + 1, updated_at = clock_timestamp() where id = p_run_id returning * into r;
    u := public.run_update(r);
    insert into public.event_outbox (type, topic, user_id, payload, visible_at)
    values ('workflow_status_update', 'workflow_run:' || r.id, r.user_id, u, clock_timestamp() + interval '3 seconds');
    return u;
end
$$;

-- Publish what may be published in these lanes: at most p_limit steps of a lane are out at once, by priority and age.
create function public.admit_steps(p_lanes text[], p_limit integer) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    v_lane text;
    v_lanes text[];
    v_busy integer;
    v_out jsonb := '[]';
    v_some jsonb;
begin
    select array_agg(distinct l order by l) into v_lanes from unnest(p_lanes) as l;
    foreach v_lane in array coalesce(v_lanes, '{}') loop
        perform pg_advisory_xact_lock(hashtextextended('lane:' || v_lane, 0));
    end loop;
    foreach v_lane in array coalesce(v_lanes, '{}') loop
        select count(*) into v_busy from (
            select 1 from public.run_steps as s
            where s.lane = v_lane and s.published_at is not null and s.status in ('pending', 'running')
            limit p_limit
        ) as busy;
        continue when v_busy >= p_limit;
        with next as (
            select s.run_id, s.key from public.run_steps as s
            where s.lane = v_lane and s.status = 'pending' and s.ready and s.published_at is null
                and s.available_at <= clock_timestamp()
            order by s.priority desc, s.created_at, s.run_id, s.position
            limit p_limit - v_busy
            for update skip locked
        ),
        sent as (
            update public.run_steps as s
            set published_at = clock_timestamp(), publications = s.publications + 1
            from next where s.run_id = next.run_id and s.key = next.key
            returning s.run_id, s.key, s.agent_type, s.published_at
        )
        select jsonb_agg(jsonb_build_object(
            'run_id', run_id, 'key', key, 'agent_type', agent_type, 'published_at', public.iso_utc(published_at)
        )) into v_some from sent;
        v_out := v_out || coalesce(v_some, '[]');
    end loop;
    return v_out;
end
$$;

-- Insert runs with their steps. A run whose (caller, idempotency key) is known is not inserted again: the known one is
-- returned, with "conflict" where its request was another. Returns {"runs": [...in the order given], "publish": [...]}.
create function public.create_runs(p_runs jsonb, p_lane_limit integer) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_item jsonb;
    v_lanes text[];
    v_lane text;
    v_created uuid[] := '{}';
    v_id uuid;
    v_runs jsonb;
    v_updates jsonb;
begin
    select array_agg(distinct i ->> 'lane' order by i ->> 'lane') into v_lanes from jsonb_array_elements(p_runs) as i;
    foreach v_lane in array coalesce(v_lanes, '{}') loop
        perform pg_advisory_xact_lock(hashtextextended('lane:' || v_lane, 0));
    end loop;

    -- In one order for everybody, so that two bulks with the same keys cannot wait for each other.
    for v_item in
        select i from jsonb_array_elements(p_runs) as i order by i ->> 'caller', i ->> 'idempotency_key', i ->> 'id'
    loop
        v_id := null;
        insert into public.runs (
            id, kind, agent_type, workflow_id, workflow_version, user_id, caller, lane, priority,
            idempotency_key, request_hash, correlation_id, step, input, metadata, run_at
        ) values (
            (v_item ->> 'id')::uuid, v_item ->> 'kind', v_item ->> 'agent_type', v_item ->> 'workflow_id',
            (v_item ->> 'workflow_version')::integer, (v_item ->> 'user_id')::uuid, v_item ->> 'caller',
            v_item ->> 'lane', coalesce((v_item ->> 'priority')::smallint, 0),
            v_item ->> 'idempotency_key', v_item ->> 'request_hash', v_item ->> 'correlation_id',
            v_item -> 'steps' -> 0 ->> 'key', v_item -> 'input', coalesce(v_item -> 'metadata', '{}'),
            (v_item ->> 'run_at')::timestamptz
        )
        on conflict do nothing
        returning id into v_id;
        continue when v_id is null;
        v_created := v_created || v_id;
        insert into public.run_steps (
            run_id, key, agent_type, position, needs, lane, priority, ready, available_at,
            max_attempts, timeout_seconds, input
        )
        select
            v_id, s ->> 'key', s ->> 'agent_type', (o - 1)::integer,
            coalesce((select array_agg(n) from jsonb_array_elements_text(s -> 'needs') as n), '{}'),
            v_item ->> 'lane', coalesce((v_item ->> 'priority')::smallint, 0),
            jsonb_array_length(coalesce(s -> 'needs', '[]')) = 0,
            coalesce((v_item ->> 'run_at')::timestamptz, clock_timestamp()),
            coalesce((s ->> 'max_attempts')::integer, 5), coalesce((s ->> 'timeout_seconds')::double precision, 300),
            s -> 'input'
        from jsonb_array_elements(v_item -> 'steps') with ordinality as t (s, o);
    end loop;

    with told as (
        insert into public.event_outbox (type, topic, user_id, payload, visible_at)
        select
            'workflow_status_update', 'workflow_run:' || r.id, r.user_id, public.run_update(r),
            clock_timestamp() + interval '3 seconds'
        from public.runs as r where r.id = any(v_created)
        returning payload
    )
    select jsonb_agg(payload) into v_updates from told;

    select jsonb_agg(jsonb_build_object(
        'id', r.id,
        'created', r.id = (i ->> 'id')::uuid and r.id = any(v_created),
        'conflict', r.request_hash is distinct from i ->> 'request_hash',
        'status', r.status,
        'user_id', r.user_id,
        'result', r.result,
        'error', r.error,
        'error_code', r.error_code
    ) order by o) into v_runs
    from jsonb_array_elements(p_runs) with ordinality as t (i, o)
    inner join public.runs as r
        on r.id = (i ->> 'id')::uuid
        or (r.caller = i ->> 'caller' and r.idempotency_key = i ->> 'idempotency_key');

    return jsonb_build_object(
        'runs', coalesce(v_runs, '[]'),
        'publish', public.admit_steps(v_lanes, p_lane_limit),
        'updates', coalesce(v_updates, '[]')
    );
end
$$;

-- Lock the runs that a bulk names, in the order that everybody uses.
create function public.lock_runs(p_items jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
    perform 1 from public.runs as r
    where r.id in (select (i ->> 'run_id')::uuid from jsonb_array_elements(p_items) as i)
    order by r.id for update;
end
$$;

-- Take steps under a lease. The lease token fences off a worker that lost its lease.
-- Each item ends as claimed, done (nothing left to do), leased (elsewhere), not_ready or gone. Its "claim" is a word of
-- the caller's own making: the same claim again, because the answer was lost, is answered the same.
create function public.claim_steps(p_items jsonb, p_worker text, p_lease_seconds double precision) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_item jsonb;
    v_out jsonb := '[]';
    r public.runs;
    s public.run_steps;
    v_owner text;
    v_total integer;
    v_done integer;
    v_update jsonb;
begin
    perform public.lock_runs(p_items);
    for v_item in select i from jsonb_array_elements(p_items) as i loop
        select * into r from public.runs where id = (v_item ->> 'run_id')::uuid;
        select * into s from public.run_steps
        where run_id = r.id and key = v_item ->> 'key' for update;
        v_owner := p_worker || '#' || (v_item ->> 'claim');
        if s.run_id is null then
            v_out := v_out || jsonb_build_object('outcome', 'gone');
        elsif s.status in ('completed', 'failed', 'skipped', 'cancelled') or r.finished_at is not null then
            v_out := v_out || jsonb_build_object('outcome', 'done');
        elsif s.status = 'running' and s.lease_owner is distinct from v_owner then
            v_out := v_out || jsonb_build_object('outcome', 'leased');
        elsif s.status = 'waiting' or not s.ready or s.available_at > clock_timestamp() then
            v_out := v_out || jsonb_build_object('outcome', 'not_ready');
        else
            select count(*), count(*) filter (where status in ('completed', 'skipped')) into v_total, v_done
            from public.run_steps where run_id = r.id;
            v_update := public.run_update(r);
            if s.status = 'pending' then
                update public.run_steps set
                    status = 'running',
                    attempt = attempt + 1,
                    published_at = coalesce(published_at, clock_timestamp()),
                    lease_owner = v_owner,
                    lease_token = lease_token + 1,
                    lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
                    started_at = coalesce(started_at, clock_timestamp())
                where run_id = s.run_id and key = s.key returning * into s;
                update public.runs set
                    status = 'running',
                    step = s.key,
                    started_at = coalesce(started_at, clock_timestamp()),
                    attempts = greatest(attempts, s.attempt),
                    progress = greatest(progress, v_done::double precision / v_total)
                where id = r.id;
                v_update := public.tell_run(r.id);
            end if;
            v_out := v_out || jsonb_build_object(
                'outcome', 'claimed',
                'token', s.lease_token,
                'attempt', s.attempt,
                'max_attempts', s.max_attempts,
                'agent_type', s.agent_type,
                'input', s.input,
                'timeout_seconds', s.timeout_seconds,
                'user_id', r.user_id,
                'correlation_id', r.correlation_id,
                'share', 1.0 / v_total,
                'update', v_update
            );
        end if;
    end loop;
    return v_out;
end
$$;

-- End a run whose steps have all ended, or that cannot go on. The caller holds its lock.
create function public.settle_run(p_run_id uuid) returns void
language plpgsql
set search_path = ''
as $$
declare
    r public.runs;
    v_failed public.run_steps;
    v_open integer;
    v_total integer;
    v_done integer;
    v_running integer;
begin
    select * into r from public.runs where id = p_run_id;
    if r.finished_at is not null then
        return;
    end if;
    select * into v_failed from public.run_steps
    where run_id = r.id and status = 'failed' order by finished_at limit 1;
    if v_failed.run_id is not null or r.cancel_requested_at is not null then
        update public.run_steps set status = 'cancelled', finished_at = clock_timestamp()
        where run_id = r.id and status in ('pending', 'waiting');
    end if;
    select
        count(*),
        count(*) filter (where status in ('pending', 'running', 'waiting')),
        count(*) filter (where status = 'running'),
        count(*) filter (where status in ('completed', 'skipped'))
    into v_total, v_open, v_running, v_done
    from public.run_steps where run_id = r.id;

    update public.runs set progress = greatest(progress, v_done::double precision / v_total) where id = r.id;
    if v_open > 0 then
        return;
    end if;
    if v_failed.run_id is not null then
        update public.runs set
            status = 'failed', finished_at = clock_timestamp(), step = v_failed.key,
            error = coalesce(v_failed.error, 'The step failed.'), error_code = v_failed.error_code
        where id = r.id;
    elsif r.cancel_requested_at is not null then
        update public.runs set status = 'cancelled', finished_at = clock_timestamp() where id = r.id;
    else
        update public.runs set
            status = 'completed', finished_at = clock_timestamp(), progress = 1,
            result = (
                select case r.kind when 'agent' then (array_agg(s.output))[1] else jsonb_object_agg(s.key, s.output) end
                from public.run_steps as s where s.run_id = r.id and s.status = 'completed'
            )
        where id = r.id;
    end if;
end
$$;

-- Record how an attempt ended. An attempt that may be repeated goes back to pending with a backoff; past the limit, or
-- where repeating cannot help, the step fails. Shared by finish_steps and the sweep; the caller holds the run's lock.
create function public.end_attempt(
    p_run_id uuid, p_key text, p_error text, p_error_code text, p_retryable boolean, p_backoff_seconds double precision
) returns void
language plpgsql
set search_path = ''
as $$
begin
    update public.run_steps as s set
        status = t.status,
        finished_at = case when t.status = 'pending' then null else clock_timestamp() end,
        lease_owner = null,
        lease_expires_at = null,
        published_at = null,
        available_at = clock_timestamp() + make_interval(secs => p_backoff_seconds),
        error = left(p_error, 4000),
        error_code = p_error_code,
        errors = s.errors || jsonb_build_array(jsonb_build_object(
            'attempt', s.attempt, 'error', left(p_error, 1000), 'code', p_error_code,
            'at', public.iso_utc(clock_timestamp())
        ))
    from (
        select
            case
                when r.cancel_requested_at is not null then 'cancelled'
                when p_retryable and o.attempt < o.max_attempts then 'pending'
                else 'failed'
            end as status
        from public.run_steps as o
        inner join public.runs as r on r.id = o.run_id
        where o.run_id = p_run_id and o.key = p_key
    ) as t
    where s.run_id = p_run_id and s.key = p_key;
end
$$;

-- Record how steps ended; only the holder of the lease may. A run's next steps become ready in the same transaction,
-- and the lanes' next steps are admitted. Each item ends as recorded, already (the same call again) or stale.
create function public.finish_steps(p_items jsonb, p_lane_limit integer) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_item jsonb;
    v_out jsonb := '[]';
    v_lanes text[] := '{}';
    r public.runs;
    s public.run_steps;
begin
    perform public.lock_runs(p_items);
    for v_item in select i from jsonb_array_elements(p_items) as i loop
        select * into r from public.runs where id = (v_item ->> 'run_id')::uuid;
        select * into s from public.run_steps
        where run_id = r.id and key = v_item ->> 'key' for update;
        if s.run_id is null or s.lease_token <> (v_item ->> 'token')::bigint or s.status = 'pending' then
            v_out := v_out || jsonb_build_object('outcome', 'stale');
            continue;
        elsif s.status <> 'running' then
            v_out := v_out || jsonb_build_object('outcome', 'already');
            continue;
        end if;
        if (v_item ->> 'completed')::boolean and r.cancel_requested_at is null then
            update public.run_steps set
                status = 'completed',
                finished_at = clock_timestamp(),
                lease_owner = null,
                lease_expires_at = null,
                output = v_item -> 'output',
                error = null,
                error_code = null,
                provider = v_item ->> 'provider',
                model = v_item ->> 'model',
                prompt_tokens = coalesce((v_item ->> 'prompt_tokens')::integer, 0),
                completion_tokens = coalesce((v_item ->> 'completion_tokens')::integer, 0)
            where run_id = s.run_id and key = s.key;
            update public.runs set provider = v_item ->> 'provider', model = v_item ->> 'model' where id = r.id;
            update public.run_steps as n set ready = true
            where n.run_id = r.id and n.status = 'pending' and not n.ready and s.key = any(n.needs)
                and not exists (
                    select 1 from public.run_steps as o
                    where o.run_id = r.id and o.key = any(n.needs) and o.status not in ('completed', 'skipped')
                );
        else
            perform public.end_attempt(
                s.run_id, s.key, coalesce(v_item ->> 'error', 'The run was cancelled.'),
                coalesce(v_item ->> 'error_code', 'CANCELLED'),
                coalesce((v_item ->> 'retryable')::boolean, false),
                coalesce((v_item ->> 'backoff_seconds')::double precision, 0)
            );
        end if;
        perform public.settle_run(r.id);
        v_lanes := v_lanes || s.lane;
        v_out := v_out || jsonb_build_object('outcome', 'recorded', 'update', public.tell_run(r.id));
    end loop;
    return jsonb_build_object('items', v_out, 'publish', public.admit_steps(v_lanes, p_lane_limit));
end
$$;

-- Keep leases alive. Says for each whether it is still held and whether the run was cancelled.
-- A step that another transaction is just changing is not waited for: the lease outlives several missed turns.
create function public.renew_leases(p_items jsonb, p_lease_seconds double precision) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '10s'
as $$
declare
    v_out jsonb;
begin
    with mine as (
        select s.run_id, s.key from public.run_steps as s
        inner join jsonb_array_elements(p_items) as i
            on s.run_id = (i ->> 'run_id')::uuid and s.key = i ->> 'key'
        where s.status = 'running' and s.lease_token = (i ->> 'token')::bigint
        order by s.run_id, s.key
        for update of s skip locked
    )
    update public.run_steps as s
    set lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
    from mine where s.run_id = mine.run_id and s.key = mine.key;

    select jsonb_agg(jsonb_build_object(
        'held', coalesce(s.status = 'running' and s.lease_token = (i ->> 'token')::bigint, false),
        'cancel', coalesce(r.cancel_requested_at is not null, false)
    ) order by o) into v_out
    from jsonb_array_elements(p_items) with ordinality as t (i, o)
    left join public.run_steps as s on s.run_id = (i ->> 'run_id')::uuid and s.key = i ->> 'key'
    left join public.runs as r on r.id = s.run_id;
    return coalesce(v_out, '[]');
end
$$;

-- Ask a run to stop. Steps not begun are cancelled now; a running one stops at its next sign of life.
-- Returns {"outcome": "cancelled" | "requested" | "finished" | "gone", "status": ...}.
create function public.cancel_run(p_run_id uuid, p_lane_limit integer) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    r public.runs;
    v_update jsonb;
begin
    select * into r from public.runs where id = p_run_id for update;
    if r.id is null then
        return jsonb_build_object('outcome', 'gone');
    elsif r.finished_at is not null then
        return jsonb_build_object('outcome', 'finished', 'status', r.status);
    end if;
    update public.runs set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()) where id = r.id;
    perform public.settle_run(r.id);
    v_update := public.tell_run(r.id);
    return jsonb_build_object(
        'outcome', case v_update ->> 'status' when 'cancelled' then 'cancelled' else 'requested' end,
        'status', v_update ->> 'status',
        'update', v_update,
        'publish', public.admit_steps(array[r.lane], p_lane_limit)
    );
end
$$;

-- Put right what a dead process left: leases that ran out, steps published before p_lost_before and never taken, steps
-- whose time has come. One sweep at a time, however many ask: the others get {"skipped": true}.
create function public.sweep_runs(
    p_interval_seconds double precision,
    p_lease_seconds double precision,
    p_lost_before timestamptz,
    p_lane_limit integer,
    p_limit integer
) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '30s'
as $$
declare
    v_last timestamptz;
    v_now timestamptz := clock_timestamp();
    v_outage boolean;
    v_run uuid;
    s public.run_steps;
    v_expired integer := 0;
    v_updates jsonb := '[]';
    v_lost jsonb;
    v_lanes text[] := '{}';
begin
    select last_sweep_at into v_last from public.system_state where next_sweep_at <= v_now for update skip locked;
    if not found then
        return jsonb_build_object('skipped', true);
    end if;
    update public.system_state
    set next_sweep_at = v_now + make_interval(secs => p_interval_seconds), last_sweep_at = v_now;

    -- Nobody could renew while the database was away: one lease of grace before any is taken.
    v_outage := v_last < v_now - make_interval(secs => p_interval_seconds * 2 + p_lease_seconds / 2);
    if v_outage then
        update public.run_steps set lease_expires_at = v_now + make_interval(secs => p_lease_seconds)
        where status = 'running' and lease_expires_at < v_now + make_interval(secs => p_lease_seconds);
    else
        for v_run in
            select r.id from public.runs as r
            where r.id in (
                select e.run_id from public.run_steps as e
                where e.status = 'running' and e.lease_expires_at < v_now
                order by e.lease_expires_at limit p_limit
            )
            order by r.id for update skip locked
        loop
            for s in
                select * from public.run_steps as e
                where e.run_id = v_run and e.status = 'running' and e.lease_expires_at < v_now
                order by e.key for update
            loop
                perform public.end_attempt(
                    s.run_id, s.key, 'The worker that had this step stopped answering.', 'WORKER_LOST', true,
                    least(power(2, s.attempt - 1), 60) * (0.5 + random() / 2)
                );
                v_lanes := v_lanes || s.lane;
                v_expired := v_expired + 1;
            end loop;
            perform public.settle_run(v_run);
            v_updates := v_updates || public.tell_run(v_run);
        end loop;
    end if;

    with lost as (
        select p.run_id, p.key from public.run_steps as p
        where p.status = 'pending' and p.published_at < p_lost_before
        order by p.published_at limit p_limit
        for update skip locked
    ),
    sent as (
        update public.run_steps as p
        set published_at = clock_timestamp(), publications = p.publications + 1
        from lost where p.run_id = lost.run_id and p.key = lost.key
        returning p.run_id, p.key, p.agent_type, p.published_at
    )
    select jsonb_agg(jsonb_build_object(
        'run_id', run_id, 'key', key, 'agent_type', agent_type, 'published_at', public.iso_utc(published_at)
    )) into v_lost from sent;

    -- The lanes that have something waiting, one index probe a lane.
    with recursive lanes as (
        (
            select b.lane from public.run_steps as b
            where b.status = 'pending' and b.ready and b.published_at is null
            order by b.lane limit 1
        )
        union all
        select (
            select b.lane from public.run_steps as b
            where b.status = 'pending' and b.ready and b.published_at is null and b.lane > l.lane
            order by b.lane limit 1
        )
        from lanes as l where l.lane is not null
    )
    select v_lanes || coalesce(array_agg(lane), '{}') into v_lanes
    from (select lane from lanes where lane is not null limit p_limit) as waiting;

    return jsonb_build_object(
        'skipped', false,
        'outage', coalesce(v_outage, false),
        'expired', v_expired,
        'lost', coalesce(jsonb_array_length(v_lost), 0),
        'updates', v_updates,
        'publish', coalesce(v_lost, '[]') || public.admit_steps(v_lanes, p_lane_limit)
    );
end
$$;

-- Hand out what is still to be published, oldest first, after removing what the last batch published. One relay at a
-- time keeps the order within a topic; its turn lasts p_lease_seconds from each call.
create function public.take_outbox(
    p_owner text, p_published bigint[], p_limit integer, p_lease_seconds double precision
) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_rows jsonb;
begin
    delete from public.event_outbox where id = any(p_published);
    update public.system_state
    set relay_owner = p_owner, relay_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where relay_owner = p_owner or relay_until < clock_timestamp();
    if not found then
        return jsonb_build_object('turn', false, 'rows', '[]'::jsonb);
    end if;
    select jsonb_agg(jsonb_build_object('id', id, 'type', type, 'topic', topic, 'user_id', user_id, 'payload', payload))
    into v_rows
    from (
        select * from public.event_outbox where visible_at <= clock_timestamp() order by id limit p_limit
    ) as o;
    return jsonb_build_object('turn', true, 'rows', coalesce(v_rows, '[]'));
end
$$;

-- Only the backend calls these. Supabase's default privileges would let everybody.
revoke execute on function
public.run_update(public.runs),
public.tell_run(uuid),
public.admit_steps(text[], integer),
public.create_runs(jsonb, integer),
public.lock_runs(jsonb),
public.claim_steps(jsonb, text, double precision),
public.settle_run(uuid),
public.end_attempt(uuid, text, text, text, boolean, double precision),
public.finish_steps(jsonb, integer),
public.renew_leases(jsonb, double precision),
public.cancel_run(uuid, integer),
public.sweep_runs(double precision, double precision, timestamptz, integer, integer),
public.take_outbox(text, bigint[], integer, double precision)
from public, anon, authenticated;

grant execute on function
public.run_update(public.runs),
public.tell_run(uuid),
public.admit_steps(text[], integer),
public.create_runs(jsonb, integer),
public.lock_runs(jsonb),
public.claim_steps(jsonb, text, double precision),
public.settle_run(uuid),
public.end_attempt(uuid, text, text, text, boolean, double precision),
public.finish_steps(jsonb, integer),
public.renew_leases(jsonb, double precision),
public.cancel_run(uuid, integer),
public.sweep_runs(double precision, double precision, timestamptz, integer, integer),
public.take_outbox(text, bigint[], integer, double precision)
to service_role;
