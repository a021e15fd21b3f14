-- Insert runs with their steps. A run with a known (caller, idempotency key) is not inserted again: the known one is
-- returned, with "conflict" if its request differs. Returns {"runs": [...in the order given], "publish": [...]}.
--
-- The user queues are locked last: an insert may wait for the row of a run with the same key, whose transaction waits
-- for a queue.
create function public.create_runs(p_runs jsonb, p_user_queue_limit integer) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_item jsonb;
    v_user_queues text[];
    v_created uuid[] := '{}';
    v_id uuid;
    v_runs jsonb;
    v_updates jsonb;
begin
    select array_agg(distinct i ->> 'user_queue' order by i ->> 'user_queue') into v_user_queues from jsonb_array_elements(p_runs) as i;

    -- In a common order, so that two bulks with the same keys cannot deadlock.
    for v_item in
        select i from jsonb_array_elements(p_runs) as i order by i ->> 'caller', i ->> 'idempotency_key', i ->> 'id'
    loop
        v_id := null;
        insert into public.runs (
            id, kind, agent_type, workflow_id, workflow_version, user_id, caller, user_queue, priority,
            idempotency_key, request_hash, correlation_id, step, input, metadata, replay_of, webhook_url, run_at
        ) values (
            (v_item ->> 'id')::uuid, v_item ->> 'kind', v_item ->> 'agent_type', v_item ->> 'workflow_id',
            (v_item ->> 'workflow_version')::integer, (v_item ->> 'user_id')::uuid, v_item ->> 'caller',
            v_item ->> 'user_queue', coalesce((v_item ->> 'priority')::smallint, 0),
            v_item ->> 'idempotency_key', v_item ->> 'request_hash', v_item ->> 'correlation_id',
            v_item -> 'steps' -> 0 ->> 'key', v_item -> 'input', coalesce(v_item -> 'metadata', '{}'),
            (v_item ->> 'replay_of')::uuid, v_item ->> 'webhook_url', (v_item ->> 'run_at')::timestamptz
        )
        on conflict do nothing
        returning id into v_id;
        continue when v_id is null;
        v_created := v_created || v_id;
        insert into public.run_steps (
            run_id, key, kind, agent_type, position, needs, uses, next_key, writes, spec, weight, on_error,
            max_parallel, user_queue, priority, ready, available_at, max_attempts, attempts_allowed, backoff_seconds,
            timeout_seconds, input
        )
        select
            v_id, s ->> 'key', coalesce(s ->> 'kind', 'agent'), s ->> 'agent_type', (o - 1)::integer,
            coalesce((select array_agg(n) from jsonb_array_elements_text(s -> 'needs') as n), '{}'),
            coalesce((select array_agg(n) from jsonb_array_elements_text(s -> 'uses') as n), '{}'),
            s ->> 'next_key', s ->> 'writes', nullif(s -> 'spec', 'null'),
            coalesce((s ->> 'weight')::double precision, 1),
            coalesce(s ->> 'on_error', 'fail'), (s ->> 'max_parallel')::integer,
            v_item ->> 'user_queue', coalesce((v_item ->> 'priority')::smallint, 0),
            jsonb_array_length(coalesce(s -> 'needs', '[]')) = 0,
            coalesce((v_item ->> 'run_at')::timestamptz, clock_timestamp()),
            coalesce((s ->> 'max_attempts')::integer, 5), coalesce((s ->> 'max_attempts')::integer, 5),
            coalesce((s ->> 'backoff_seconds')::double precision, 1),
            coalesce((s ->> 'timeout_seconds')::double precision, 300), coalesce(s -> 'input', '{}')
        from jsonb_array_elements(v_item -> 'steps') with ordinality as t (s, o);
    end loop;

    with published as (
        insert into public.event_outbox (type, topic, user_id, payload, visible_at)
        select
            'workflow_status_update', 'workflow_run:' || r.id, r.user_id, internal.run_update(r),
            clock_timestamp() + interval '3 seconds'
        from public.runs as r where r.id = any(v_created)
        returning payload
    )
    select jsonb_agg(payload) into v_updates from published;

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

    perform internal.wake_beat(clock_timestamp());
    return jsonb_build_object(
        'runs', coalesce(v_runs, '[]'),
        'publish', internal.admit_steps(v_user_queues, p_user_queue_limit),
        'updates', coalesce(v_updates, '[]')
    );
end
$$;
