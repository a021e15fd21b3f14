-- The trace of a run: each of its steps continues the trace of the request that submitted it, whichever process
-- publishes the step. Null where traces are off.
alter table public.runs add column traceparent varchar(55);

comment on column public.runs.traceparent is 'The trace context of its submission, in the form of the W3C.';

-- What a worker needs of a step that is published.
create or replace function internal.publication(p_step public.run_steps) returns jsonb
language plpgsql stable
set search_path = ''
as $$
begin
    return jsonb_build_object(
        'run_id', p_step.run_id,
        'key', p_step.key,
        'agent_type', p_step.agent_type,
        'priority', p_step.priority,
        'published_at', internal.iso_utc(p_step.published_at),
        'chain', case when p_step.next_key is null then '[]' else internal.linear_segment(p_step.run_id, p_step.key) end,
        'traceparent', (select r.traceparent from public.runs as r where r.id = p_step.run_id)
    );
end
$$;

-- Insert runs with their steps. A run with "if_version" is not inserted if its workflow does not accept the version any
-- more: it is "stale". A run with a known (caller, idempotency key) is not inserted again: the known one is
-- returned, with "conflict" if its request differs. Returns {"runs": [...in the order given], "publish": [...]}.
--
-- The user queues are locked last: an insert may wait for the row of a run with the same key, whose transaction waits
-- for a queue.
create or replace function public.create_runs(
    p_runs jsonb, p_user_queue_limit integer, p_published bigint[] default '{}'
) returns jsonb
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
set statement_timeout = '15s'
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_user_queues text[];
    v_created uuid[];
    v_runs jsonb;
    v_updates jsonb;
begin
    perform internal.acknowledge_updates(p_published);

    -- In a common order, so that two bulks with the same keys cannot deadlock.
    with inserted as (
        insert into public.runs (
            id, kind, agent_type, workflow_id, workflow_version, user_id, caller, user_queue, priority,
            idempotency_key, request_hash, correlation_id, step, input, metadata, replay_of, webhook_url, run_at,
            traceparent
        )
        select
            (i ->> 'id')::uuid, i ->> 'kind', i ->> 'agent_type', i ->> 'workflow_id',
            (i ->> 'workflow_version')::integer, (i ->> 'user_id')::uuid, i ->> 'caller',
            i ->> 'user_queue', coalesce((i ->> 'priority')::smallint, 0),
            i ->> 'idempotency_key', i ->> 'request_hash', i ->> 'correlation_id',
            i -> 'steps' -> 0 ->> 'key', i -> 'input', coalesce(i -> 'metadata', '{}'),
            (i ->> 'replay_of')::uuid, i ->> 'webhook_url', (i ->> 'run_at')::timestamptz, i ->> 'traceparent'
        from jsonb_array_elements(p_runs) as i
        where i ->> 'if_version' is null
            or internal.accepts_version(i ->> 'workflow_id', (i ->> 'workflow_version')::integer, i ->> 'if_version')
        order by i ->> 'caller', i ->> 'idempotency_key', i ->> 'id'
        on conflict do nothing
        returning id
    )
    select coalesce(array_agg(id), '{}') into v_created from inserted;

    insert into public.run_steps (
        run_id, key, kind, agent_type, position, needs, uses, next_key, writes, spec, weight, on_error,
        max_parallel, user_queue, priority, ready, available_at, max_attempts, attempts_allowed, backoff_seconds,
        timeout_seconds, input
    )
    select
        (i ->> 'id')::uuid, s ->> 'key', coalesce(s ->> 'kind', 'agent'), s ->> 'agent_type', (o - 1)::integer,
        coalesce((select array_agg(n) from jsonb_array_elements_text(s -> 'needs') as n), '{}'),
        coalesce((select array_agg(n) from jsonb_array_elements_text(s -> 'uses') as n), '{}'),
        s ->> 'next_key', s ->> 'writes', nullif(s -> 'spec', 'null'),
        coalesce((s ->> 'weight')::double precision, 1),
        coalesce(s ->> 'on_error', 'fail'), (s ->> 'max_parallel')::integer,
        i ->> 'user_queue', coalesce((i ->> 'priority')::smallint, 0),
        jsonb_array_length(coalesce(s -> 'needs', '[]')) = 0,
        coalesce((i ->> 'run_at')::timestamptz, v_now),
        coalesce((s ->> 'max_attempts')::integer, 5), coalesce((s ->> 'max_attempts')::integer, 5),
        coalesce((s ->> 'backoff_seconds')::double precision, 1),
        coalesce((s ->> 'timeout_seconds')::double precision, 300), coalesce(s -> 'input', '{}')
    from (
        -- The first of those with the same id, as it was inserted.
        select distinct on (e ->> 'id') e as i
        from jsonb_array_elements(p_runs) as e
        where (e ->> 'id')::uuid = any(v_created)
        order by e ->> 'id', e ->> 'caller', e ->> 'idempotency_key'
    ) as c
    cross join lateral jsonb_array_elements(c.i -> 'steps') with ordinality as t (s, o);

    select jsonb_agg(internal.leave_update(r)) into v_updates from public.runs as r where r.id = any(v_created);

    select jsonb_agg(jsonb_build_object(
        'id', r.id,
        'stale', r.id is null,
        'created', r.id = (i ->> 'id')::uuid and r.id = any(v_created),
        'conflict', r.request_hash is distinct from i ->> 'request_hash',
        'status', r.status,
        'user_id', r.user_id,
        'result', r.result,
        'error', r.error,
        'error_code', r.error_code
    ) order by o) into v_runs
    from jsonb_array_elements(p_runs) with ordinality as t (i, o)
    left join lateral (
        select k.* from public.runs as k where k.id = (i ->> 'id')::uuid
        union all
        select k.* from public.runs as k where k.caller = i ->> 'caller' and k.idempotency_key = i ->> 'idempotency_key'
        limit 1
    ) as r on true;

    select array_agg(distinct i ->> 'user_queue') into v_user_queues from jsonb_array_elements(p_runs) as i;
    perform internal.wake_beat(clock_timestamp());
    return jsonb_build_object(
        'runs', coalesce(v_runs, '[]'),
        'publish', internal.admit_steps(v_user_queues, p_user_queue_limit),
        'updates', coalesce(v_updates, '[]')
    );
end
$$;
