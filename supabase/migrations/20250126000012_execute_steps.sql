-- The execution of a step: claim under a lease, renewal, end, and what follows from the end.

-- What the expressions of a step may read: the run's inputs, and how the steps that it uses ended.
create function internal.step_context(p_run public.runs, p_uses text[]) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'inputs', p_run.input,
        'steps', coalesce((
            select jsonb_object_agg(s.key, jsonb_build_object(
                'status', s.status, 'output', s.output, 'error', s.error
            ))
            from public.run_steps as s where s.run_id = p_run.id and s.key = any(p_uses)
        ), '{}')
    )
$$;

-- Claim steps under a lease. The lease token fences off a worker that lost its lease.
-- Each item ends as claimed, done (a chain may continue with its next step), over (nothing left to do), leased
-- (elsewhere), not_ready or gone. "claim" is the caller's claim id: repeating a claim with the same id returns the
-- same, in case the response was lost.
create function public.claim_steps(
    p_items jsonb, p_worker text, p_lease_seconds double precision, p_published bigint[] default '{}'
) returns jsonb
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
set statement_timeout = '15s'
as $$
declare
    v_item jsonb;
    v_out jsonb := '[]';
    r public.runs;
    s public.run_steps;
    v_owner text;
    v_done double precision;
    v_total double precision;
    v_update jsonb;
begin
    perform internal.acknowledge_updates(p_published);
    perform internal.lock_runs(p_items);
    for v_item in select i from jsonb_array_elements(p_items) as i loop
        select * into r from public.runs where id = (v_item ->> 'run_id')::uuid;
        select * into s from public.run_steps
        where run_id = r.id and key = v_item ->> 'key' for update;
        v_owner := p_worker || '#' || (v_item ->> 'claim');
        if s.run_id is null then
            v_out := v_out || jsonb_build_object('outcome', 'gone');
        elsif internal.step_is_done(s.status, s.on_error) then
            v_out := v_out || jsonb_build_object('outcome', 'done');
        elsif s.finished_at is not null or r.finished_at is not null then
            v_out := v_out || jsonb_build_object('outcome', 'over');
        elsif s.status = 'running' and s.lease_owner is distinct from v_owner then
            v_out := v_out || jsonb_build_object('outcome', 'leased');
        elsif s.status = 'waiting' or not s.ready or s.available_at > clock_timestamp() then
            v_out := v_out || jsonb_build_object('outcome', 'not_ready');
        else
            if r.kind = 'agent' then
                v_done := 0;
                v_total := s.weight;
            else
                -- An item of a map holds a part of its map's weight.
                select
                    coalesce(sum(o.weight) filter (where internal.step_is_done(o.status, o.on_error)), 0),
                    sum(o.weight)
                into v_done, v_total from public.run_steps as o where o.run_id = r.id;
            end if;
            v_total := greatest(v_total, 1e-9);
            if s.status = 'pending' then
                update public.run_steps set
                    status = 'running',
                    attempt = lease_token + 1 - interruptions,
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
                    progress = greatest(progress, least(v_done / v_total, 1)),
                    rev = rev + 1,
                    updated_at = clock_timestamp()
                where id = r.id returning * into r;
                v_update := internal.leave_update(r);
            else
                v_update := internal.run_update(r);
            end if;
            v_out := v_out || jsonb_build_object(
                'outcome', 'claimed',
                'token', s.lease_token,
                'attempt', s.attempt,
                'kind', s.kind,
                'agent_type', s.agent_type,
                'input', s.input,
                'spec', s.spec,
                'context', case when s.spec is not null then internal.step_context(r, s.uses) end,
                'timeout_seconds', s.timeout_seconds,
                'user_id', r.user_id,
                'correlation_id', r.correlation_id,
                'share', s.weight / v_total,
                'update', v_update
            );
        end if;
    end loop;
    return v_out;
end
$$;

-- Apply a step's end: the steps that waited for it become ready; for an item, the next one of its map, and after the
-- last one the map ends. With p_ride its successor in the linear segment counts as published, because the chain of this
-- step's message continues with it.
create function internal.step_ended(p_run_id uuid, p_key text, p_ride boolean) returns void
language plpgsql
set search_path = ''
as $$
declare
    s public.run_steps;
    m public.run_steps;
    v_open integer;
    v_failed public.run_steps;
begin
    select * into s from public.run_steps where run_id = p_run_id and key = p_key;
    if s.parent is null then
        if internal.step_is_done(s.status, s.on_error) then
            perform internal.release_steps(p_run_id, s.key, case when p_ride then s.next_key end);
        end if;
        return;
    end if;

    select * into m from public.run_steps where run_id = p_run_id and key = s.parent;
    if m.finished_at is not null then
        return;
    end if;
    select count(*) into v_open from public.run_steps as i
    where i.run_id = p_run_id and i.parent = m.key and i.status in ('pending', 'running');
    if v_open > 0 then
        update public.run_steps as i set ready = true, available_at = clock_timestamp()
        where i.run_id = p_run_id and i.key in (
            select n.key from public.run_steps as n
            where n.run_id = p_run_id and n.parent = m.key and n.status = 'pending' and not n.ready
            order by n.position
            limit m.max_parallel - (
                select count(*) from public.run_steps as o
                where o.run_id = p_run_id and o.parent = m.key and o.ready and o.status in ('pending', 'running')
            )
        );
        return;
    end if;
    select * into v_failed from public.run_steps as i
    where i.run_id = p_run_id and i.parent = m.key and i.status = 'failed' and i.on_error = 'fail'
    order by i.finished_at, i.position limit 1;
    if v_failed.run_id is not null then
        update public.run_steps set
            status = 'failed', finished_at = clock_timestamp(),
            error = left(v_failed.key || ': ' || coalesce(v_failed.error, 'it failed'), 4000),
            error_code = v_failed.error_code
        where run_id = p_run_id and key = m.key;
    elsif exists (
        select 1 from public.run_steps as i
        where i.run_id = p_run_id and i.parent = m.key and i.status = 'cancelled'
    ) then
        update public.run_steps set status = 'cancelled', finished_at = clock_timestamp()
        where run_id = p_run_id and key = m.key;
    else
        update public.run_steps set
            status = 'completed', finished_at = clock_timestamp(),
            output = (
                select jsonb_agg(coalesce(i.output, 'null') order by i.position) from public.run_steps as i
                where i.run_id = p_run_id and i.parent = m.key
            )
        where run_id = p_run_id and key = m.key;
        perform internal.step_ended(p_run_id, m.key, false);
    end if;
end
$$;

-- Bump a run's rev, end the run if all its steps have ended or it cannot continue, and return the update to publish.
-- p_step, p_provider and p_model are those of the step that ended, if one has. The caller holds the run's lock.
create function internal.advance_run(
    p_run_id uuid, p_step text default null, p_provider text default null, p_model text default null
) returns jsonb
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
declare
    r public.runs;
    v_failed public.run_steps;
    v_key text;
    v_status text;
    v_open boolean;
    v_fatal boolean;
    v_progress double precision;
begin
    select * into r from public.runs where id = p_run_id;
    if r.finished_at is null then
        for v_round in 1..2 loop
            select
                bool_or(s.finished_at is null),
                bool_or(s.status = 'failed' and s.on_error = 'fail'),
                coalesce(sum(s.weight) filter (where internal.step_is_done(s.status, s.on_error)), 0)
                / greatest(sum(s.weight), 1e-9)
            into v_open, v_fatal, v_progress
            from public.run_steps as s where s.run_id = r.id;
            exit when not v_open or v_round = 2 or not v_fatal and r.cancel_requested_at is null;
            update public.run_steps set status = 'cancelled', deadline_at = null, finished_at = clock_timestamp()
            where run_id = r.id and status in ('pending', 'waiting');
            for v_key in
                select m.key from public.run_steps as m
                where m.run_id = r.id and m.kind = 'map' and m.status = 'running' and m.lease_expires_at is null
            loop
                perform internal.step_ended(r.id, i.key, false) from public.run_steps as i
                where i.run_id = r.id and i.parent = v_key and i.finished_at is not null limit 1;
            end loop;
        end loop;
        if v_fatal then
            select * into v_failed from public.run_steps
            where run_id = r.id and status = 'failed' and on_error = 'fail' order by finished_at, position limit 1;
        end if;
        v_status := case
            when v_open then r.status
            when v_fatal then 'failed'
            when r.cancel_requested_at is not null then 'cancelled'
            else 'completed'
        end;
    end if;
    update public.runs as u set
        rev = u.rev + 1,
        updated_at = clock_timestamp(),
        status = coalesce(v_status, u.status),
        step = case when v_status = 'failed' then v_failed.key else coalesce(p_step, u.step) end,
        provider = coalesce(p_provider, u.provider),
        model = coalesce(p_model, u.model),
        progress = case
            when v_status = 'completed' then 1
            else greatest(u.progress, least(coalesce(v_progress, 0), 1))
        end,
        finished_at = case when v_open then null else coalesce(u.finished_at, clock_timestamp()) end,
        error = case when v_status = 'failed' then coalesce(v_failed.error, 'The step failed.') else u.error end,
        error_code = case when v_status = 'failed' then v_failed.error_code else u.error_code end,
        result = case when v_status = 'completed' then (
            select case u.kind
                when 'agent' then (array_agg(s.output))[1]
                else coalesce(jsonb_object_agg(s.key, s.output) filter (where s.status = 'completed'), '{}')
            end
            from public.run_steps as s where s.run_id = u.id and s.parent is null
        ) else u.result end
    where u.id = p_run_id returning * into r;
    return internal.leave_update(r);
end
$$;

-- How many seconds a step waits before it is published again: its own backoff, doubled by each earlier failure, with
-- jitter. A step that a stopping worker handed back does not wait. Lost workers count apart from failures: the wait is
-- at least a second, so that a step which kills its workers does not kill one every second, and at most five minutes.
create function internal.step_backoff(p_step public.run_steps, p_error_code text, p_interrupted boolean)
returns double precision
language sql volatile
set search_path = ''
as $$
    select (0.5 + random() / 2) * case
        when p_error_code = 'WORKER_LOST' then least(greatest(p_step.backoff_seconds, 1) * power(2, (
            select count(*) from jsonb_array_elements(p_step.errors) as e
            where e ->> 'code' = p_error_code and (e ->> 'attempt')::integer = p_step.attempt
        )), 300)
        when p_interrupted then 0
        else least(p_step.backoff_seconds * power(2, least(p_step.attempt - 1, 30)), 3600)
    end
$$;

-- Record how an attempt ended. An attempt that may be repeated goes back to pending with a backoff; past the limit, or
-- where repeating cannot help, the step fails. An attempt that was interrupted, because its worker stopped or died,
-- goes back to pending and is not counted, up to a limit of its own. Shared by finish_steps and the sweep; the caller
-- holds the run's lock.
create function internal.end_attempt(
    p_run_id uuid,
    p_key text,
    p_error text,
    p_error_code text,
    p_retryable boolean,
    p_interrupted boolean
) returns void
language plpgsql
set search_path = ''
as $$
declare
    v_interruptions integer;
    v_max integer;
begin
    select interruptions + p_interrupted::integer, max_interruptions into v_interruptions, v_max
    from public.run_steps where run_id = p_run_id and key = p_key;
    if p_interrupted and v_interruptions >= v_max then
        p_interrupted := false;
        p_retryable := false;
        p_error := format(
            'The step was interrupted %s times because its worker stopped or died. Read the logs of the agents workers '
            'for the reason, then retry the run.', v_interruptions
        );
        p_error_code := 'TOO_MANY_INTERRUPTIONS';
    end if;
    update public.run_steps as s set
        status = t.status,
        finished_at = case when t.status = 'pending' then null else clock_timestamp() end,
        lease_owner = null,
        lease_expires_at = null,
        deadline_at = null,
        published_at = null,
        interruptions = v_interruptions,
        available_at = clock_timestamp()
            + make_interval(secs => internal.step_backoff(s, p_error_code, p_interrupted)),
        error = left(p_error, 4000),
        error_code = p_error_code,
        -- The newest hundred: a person may retry a run again and again.
        errors = case when jsonb_array_length(s.errors) >= 100 then s.errors - 0 else s.errors end
        || jsonb_build_array(jsonb_build_object(
            'attempt', s.attempt, 'error', left(p_error, 1000), 'code', p_error_code,
            'at', internal.iso_utc(clock_timestamp())
        ))
    from (
        select
            case
                when r.cancel_requested_at is not null then 'cancelled'
                when p_interrupted or p_retryable and o.attempt < o.max_attempts then 'pending'
                else 'failed'
            end as status
        from public.run_steps as o
        inner join public.runs as r on r.id = o.run_id
        where o.run_id = p_run_id and o.key = p_key
    ) as t
    where s.run_id = p_run_id and s.key = p_key;
    perform internal.step_ended(p_run_id, p_key, false) from public.run_steps as s
    where s.run_id = p_run_id and s.key = p_key and s.finished_at is not null;
end
$$;

-- Put the items of a map in its place: each is a step of its own, so many of them at once as the map allows.
create function internal.expand_map(p_step public.run_steps, p_items jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
    insert into public.run_steps (
        run_id, key, kind, agent_type, writes, parent, position, weight, on_error, user_queue, priority, ready,
        max_attempts, attempts_allowed, backoff_seconds, timeout_seconds, input
    )
    select
        p_step.run_id, p_step.key || '[' || (o - 1) || ']', 'agent', p_step.agent_type, p_step.writes, p_step.key, (o - 1)::integer,
        p_step.weight / greatest(jsonb_array_length(p_items), 1), p_step.on_error, p_step.user_queue, p_step.priority,
        o <= p_step.max_parallel, p_step.attempts_allowed, p_step.attempts_allowed, p_step.backoff_seconds,
        p_step.timeout_seconds, i
    from jsonb_array_elements(p_items) with ordinality as t (i, o);
    update public.run_steps set
        lease_owner = null, lease_expires_at = null, published_at = null, error = null, error_code = null,
        weight = case when jsonb_array_length(p_items) > 0 then 0 else weight end
    where run_id = p_step.run_id and key = p_step.key;
    if jsonb_array_length(p_items) = 0 then
        update public.run_steps set status = 'completed', finished_at = clock_timestamp(), output = '[]'
        where run_id = p_step.run_id and key = p_step.key;
        perform internal.step_ended(p_step.run_id, p_step.key, false);
    end if;
end
$$;

-- Record how steps ended; only the holder of the lease may. A run's next steps become ready in the same transaction,
-- and the user queues' next steps are admitted. An item reports: "completed" with an output; "skipped"; "waiting" for a
-- person, with a message and a deadline; "expanded" into the items of a map; "handed_back" by a stopping worker; else
-- it failed.
-- Each item ends as recorded, already (a repeated call) or stale; a recorded one has the step's outcome.
create function public.finish_steps(
    p_items jsonb, p_user_queue_limit integer, p_published bigint[] default '{}'
) returns jsonb
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
set statement_timeout = '15s'
as $$
declare
    v_item jsonb;
    v_out jsonb := '[]';
    v_user_queues text[] := '{}';
    r public.runs;
    s public.run_steps;
    v_what text;
    v_update jsonb;
begin
    perform internal.acknowledge_updates(p_published);
    perform internal.lock_runs(p_items);
    for v_item in select i from jsonb_array_elements(p_items) as i loop
        select * into r from public.runs where id = (v_item ->> 'run_id')::uuid;
        select * into s from public.run_steps
        where run_id = r.id and key = v_item ->> 'key' for update;
        if s.run_id is null or s.lease_token <> (v_item ->> 'token')::bigint or s.status = 'pending' then
            v_out := v_out || jsonb_build_object('outcome', 'stale');
            continue;
        elsif s.status <> 'running' or s.lease_expires_at is null then
            v_out := v_out || jsonb_build_object('outcome', 'already');
            continue;
        end if;
        v_what := case when r.cancel_requested_at is null then v_item ->> 'what' else 'failed' end;
        if v_what = 'completed' then
            update public.run_steps set
                status = 'completed',
                finished_at = clock_timestamp(),
                lease_owner = null,
                lease_expires_at = null,
                input = coalesce(v_item -> 'input', input),
                output = v_item -> 'output',
                error = null,
                error_code = null,
                provider = v_item ->> 'provider',
                model = v_item ->> 'model',
                prompt_tokens = coalesce((v_item ->> 'prompt_tokens')::integer, 0),
                completion_tokens = coalesce((v_item ->> 'completion_tokens')::integer, 0)
            where run_id = s.run_id and key = s.key;
            if r.kind = 'workflow' then
                perform internal.step_ended(s.run_id, s.key, true);
            end if;
        elsif v_what = 'skipped' then
            update public.run_steps set
                status = 'skipped', finished_at = clock_timestamp(),
                lease_owner = null, lease_expires_at = null, error = null, error_code = null
            where run_id = s.run_id and key = s.key;
            perform internal.step_ended(s.run_id, s.key, true);
        elsif v_what = 'waiting' then
            update public.run_steps set
                status = 'waiting',
                lease_owner = null, lease_expires_at = null, published_at = null,
                deadline_at = clock_timestamp() + make_interval(secs => s.timeout_seconds),
                input = v_item -> 'input'
            where run_id = s.run_id and key = s.key;
        elsif v_what = 'expanded' then
            perform internal.expand_map(s, v_item -> 'items');
        else
            perform internal.end_attempt(
                s.run_id, s.key, coalesce(v_item ->> 'error', 'The run was cancelled.'),
                coalesce(v_item ->> 'error_code', 'CANCELLED'),
                coalesce((v_item ->> 'retryable')::boolean, false),
                v_what = 'handed_back'
            );
        end if;
        v_update := case
            when v_what = 'completed'
                then internal.advance_run(r.id, s.key, v_item ->> 'provider', v_item ->> 'model')
            else internal.advance_run(r.id, s.key)
        end;
        v_user_queues := v_user_queues || s.user_queue;
        v_out := v_out || jsonb_build_object(
            'outcome', 'recorded',
            'became', case when v_what = 'completed' then 'completed' else (
                select case
                    when n.status = 'pending' and v_what = 'handed_back' then 'handed_back'
                    when n.status = 'pending' then 'retried'
                    when n.status = 'running' then 'expanded'
                    when n.status = 'failed' and n.on_error = 'continue' then 'continued'
                    else n.status
                end
                from public.run_steps as n where n.run_id = s.run_id and n.key = s.key
            ) end,
            'update', v_update
        );
    end loop;
    return jsonb_build_object('items', v_out, 'publish', internal.admit_steps(v_user_queues, p_user_queue_limit));
end
$$;

-- Renew leases. Returns for each whether it is still held and whether the run was cancelled.
-- Steps locked by another transaction are skipped: a lease survives several missed renewals.
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
        where s.status = 'running' and s.lease_token = (i ->> 'token')::bigint and s.lease_expires_at is not null
        order by s.run_id, s.key
        for update of s skip locked
    )
    update public.run_steps as s
    set lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
    from mine where s.run_id = mine.run_id and s.key = mine.key;

    select jsonb_agg(jsonb_build_object(
        'held', coalesce(
            s.status = 'running' and s.lease_expires_at is not null and s.lease_token = (i ->> 'token')::bigint, false
        ),
        'cancel', coalesce(r.cancel_requested_at is not null, false)
    ) order by o) into v_out
    from jsonb_array_elements(p_items) with ordinality as t (i, o)
    left join public.run_steps as s on s.run_id = (i ->> 'run_id')::uuid and s.key = i ->> 'key'
    left join public.runs as r on r.id = s.run_id;
    return coalesce(v_out, '[]');
end
$$;

-- What administrators read of it: how each attempt of an agent ended.
create function internal.log_attempt() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    insert into public.agent_logs (run_id, user_id, agent_type, level, event, detail)
    select
        new.run_id,
        r.user_id,
        new.agent_type,
        case
            when new.status = 'failed' then 'error'
            when new.status = 'pending' or new.provider = 'fallback' then 'warning'
            else 'info'
        end,
        case
            when new.status <> 'pending' then 'step_' || new.status
            when new.interruptions > old.interruptions then 'step_interrupted'
            else 'step_retried'
        end,
        jsonb_strip_nulls(jsonb_build_object(
            'step', new.key,
            'attempt', new.attempt,
            'provider', new.provider,
            'model', new.model,
            'tokens', new.prompt_tokens + new.completion_tokens,
            'duration_ms', round(1000 * extract(epoch from new.finished_at - new.started_at)),
            'error', left(new.error, 1000),
            'error_code', new.error_code
        ))
    from public.runs as r
    where r.id = new.run_id;
    return null;
end
$$;

create trigger run_steps_log after update of status on public.run_steps
for each row when (
    old.status = 'running' and new.kind = 'agent' and new.status in ('completed', 'failed', 'cancelled', 'pending')
) execute function internal.log_attempt();

-- The log of a run goes with it.
create function internal.forget_logs() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    delete from public.agent_logs as l where l.run_id in (select g.id from gone as g);
    return null;
end
$$;

create trigger runs_forget after delete on public.runs referencing old table as gone
for each statement execute function internal.forget_logs();
