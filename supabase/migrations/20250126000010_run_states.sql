-- What the transitions of a run share.
--
-- Every transition is one function: atomic, guarded by the state it leaves, idempotent. A repeated or late call changes
-- nothing and says so in what it returns; a conflict is returned as data, never raised.
-- Locks are always taken in the same order, so that no two calls can wait for each other: run rows (by id), then lanes
-- (advisory, by name), then steps of other runs (skipping locked ones).

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
        -- What is too large for a message is polled.
        'result', case when octet_length(p_run.result::text) <= 1048576 then p_run.result end,
        'error', p_run.error,
        'error_code', p_run.error_code,
        'provider', p_run.provider,
        'model', p_run.model,
        'attempts', p_run.attempts,
        'steps', case when p_run.kind = 'workflow' then (
            select jsonb_object_agg(s.key, s.status) from public.run_steps as s
            where s.run_id = p_run.id and (s.parent is null or s.status = 'running')
        ) end
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

-- The weight of what is done and of the whole. An item of a map holds a part of its map's weight.
create function public.run_weights(p_run_id uuid, out done double precision, out total double precision)
language sql stable
set search_path = ''
as $$
    select
        coalesce(sum(s.weight) filter (
            where s.status in ('completed', 'skipped') or (s.status = 'failed' and s.on_error = 'continue')
        ), 0),
        greatest(sum(s.weight), 1e-9)
    from public.run_steps as s where s.run_id = p_run_id
$$;

-- The steps that follow this one in its linear stretch and are still to be done.
create function public.stretch(p_run_id uuid, p_key text) returns jsonb
language sql stable
set search_path = ''
as $$
    with recursive walk as (
        select n.key, n.next_key, 1 as place from public.run_steps as s
        inner join public.run_steps as n on n.run_id = s.run_id and n.key = s.next_key
        where s.run_id = p_run_id and s.key = p_key and n.status = 'pending'
        union all
        select n.key, n.next_key, w.place + 1 from walk as w
        inner join public.run_steps as n on n.run_id = p_run_id and n.key = w.next_key
        where n.status = 'pending'
    )
    select coalesce(jsonb_agg(walk.key order by walk.place), '[]') from walk
$$;

-- What the broker is given for a step: one message, that goes on as a chain to those that follow.
create function public.publication(p_step public.run_steps) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'run_id', p_step.run_id,
        'key', p_step.key,
        'agent_type', p_step.agent_type,
        'priority', p_step.priority,
        'published_at', public.iso_utc(p_step.published_at),
        'chain', case when p_step.next_key is null then '[]' else public.stretch(p_step.run_id, p_step.key) end
    )
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
            returning s as step
        )
        select jsonb_agg(public.publication(sent.step)) into v_some from sent;
        v_out := v_out || coalesce(v_some, '[]');
    end loop;
    return v_out;
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

-- Only the backend calls these. Supabase's default privileges would let everybody.
revoke execute on function
public.run_update(public.runs),
public.tell_run(uuid),
public.run_weights(uuid),
public.stretch(uuid, text),
public.publication(public.run_steps),
public.admit_steps(text[], integer),
public.lock_runs(jsonb)
from public, anon, authenticated;

grant execute on function
public.run_update(public.runs),
public.tell_run(uuid),
public.run_weights(uuid),
public.stretch(uuid, text),
public.publication(public.run_steps),
public.admit_steps(text[], integer),
public.lock_runs(jsonb)
to service_role;
