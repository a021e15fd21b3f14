-- Common functions of the transitions of a run.
--
-- Every transition is one function: atomic, guarded by the previous state, idempotent. A repeated or late call changes
-- nothing and its result shows that; a conflict is returned as data, never raised.
-- Locks are always acquired in the same order, to prevent deadlocks: run rows (by id), then user queues (advisory, by
-- name of the user queue), then steps of other runs (skipping locked ones).

-- Return a run's state as the outbox stores it and the publisher publishes it.
create function internal.run_update(p_run public.runs) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    v_steps jsonb;
begin
    if p_run.kind = 'workflow' then
        select jsonb_agg(
            jsonb_build_object('key', s.key, 'status', s.status)
            || case
                when s.status = 'waiting' then jsonb_build_object(
                    'message', coalesce(s.input ->> 'message', ''),
                    'approvers', coalesce(s.input ->> 'approvers', 'owner'),
                    'deadline_at', internal.iso_utc(s.deadline_at)
                )
                when s.kind = 'map' then jsonb_build_object('items', coalesce((
                    select jsonb_agg(jsonb_build_object('key', i.key, 'status', i.status) order by i.position)
                    from public.run_steps as i
                    where i.run_id = p_run.id and i.parent = s.key and i.status = 'running'
                ), '[]'))
                else '{}'
            end
            order by s.position, s.key
        ) into v_steps
        from public.run_steps as s where s.run_id = p_run.id and s.parent is null;
    end if;
    return jsonb_build_object(
        'run_id', p_run.id,
        'kind', p_run.kind,
        'workflow_id', coalesce(p_run.workflow_id, p_run.agent_type),
        'user_id', p_run.user_id,
        'rev', p_run.rev,
        'status', p_run.status,
        'step', p_run.step,
        'progress', p_run.progress,
        'updated_at', internal.iso_utc(p_run.updated_at),
        -- What is too large for a message is polled.
        'result', case when octet_length(p_run.result::text) <= 1048576 then p_run.result end,
        'error', p_run.error,
        'error_code', p_run.error_code,
        'provider', p_run.provider,
        'model', p_run.model,
        'attempts', p_run.attempts,
        'steps', v_steps
    );
end
$$;

-- Add an outbox row for a run's state and return what to publish, with the row's id as "outbox_id". The process that
-- made the change publishes at once and then acknowledges the row with its next call; the row stays invisible for a
-- moment and is the safety net for a process that died in between.
create function internal.leave_update(p_run public.runs) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    v_update jsonb := internal.run_update(p_run);
    v_id bigint;
begin
    insert into public.event_outbox (type, topic, user_id, payload, visible_at)
    values (
        'workflow_status_update', 'workflow_run:' || p_run.id, p_run.user_id, v_update,
        clock_timestamp() + interval '3 seconds'
    )
    returning id into v_id;
    return v_update || jsonb_build_object('outbox_id', v_id);
end
$$;

-- Bump the run's rev and leave its update.
create function internal.publish_run(p_run_id uuid) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    r public.runs;
begin
    update public.runs set rev = rev + 1, updated_at = clock_timestamp() where id = p_run_id returning * into r;
    return internal.leave_update(r);
end
$$;

-- Delete outbox rows that a process has published. Rows that the relay holds are left to it, so that nobody waits.
create function internal.acknowledge_updates(p_published bigint[]) returns void
language plpgsql
set search_path = ''
as $$
begin
    if cardinality(p_published) > 0 then
        delete from public.event_outbox as o where o.id in (
            select e.id from public.event_outbox as e where e.id = any(p_published) for update skip locked
        );
    end if;
end
$$;

-- Whether those that wait for a step may go on: it has ended well, or its failure does not matter.
create function internal.step_is_done(p_status text, p_on_error text) returns boolean
language sql immutable parallel safe
return p_status in ('completed', 'skipped') or (p_status = 'failed' and p_on_error = 'continue');

-- Make the steps of a run ready that wait for nothing any more; with p_after, only those that waited for that step.
-- Its successor p_riding in the linear segment counts as published, because the chain of its message continues with it.
create function internal.release_steps(p_run_id uuid, p_after text, p_riding text) returns void
language sql
set search_path = ''
as $$
    update public.run_steps as n set
        ready = true,
        available_at = clock_timestamp(),
        published_at = case when n.key = p_riding then clock_timestamp() end,
        publications = n.publications + coalesce(n.key = p_riding, false)::integer
    where n.run_id = p_run_id and n.status = 'pending' and not n.ready and n.parent is null
        and (p_after is null or p_after = any(n.needs))
        and not exists (
            select 1 from public.run_steps as o
            where o.run_id = p_run_id and o.key = any(n.needs) and not internal.step_is_done(o.status, o.on_error)
        )
$$;

-- Return the pending steps that follow this one in its linear segment.
create function internal.linear_segment(p_run_id uuid, p_key text) returns jsonb
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
create function internal.publication(p_step public.run_steps) returns jsonb
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
        'chain', case when p_step.next_key is null then '[]' else internal.linear_segment(p_step.run_id, p_step.key) end
    );
end
$$;

-- The agents workers that run: how many steps each executes at once. Rows of others are old and removed.
create table public.agent_workers (
    worker text primary key check (char_length(worker) <= 300),
    slots integer not null check (slots > 0),
    seen_at timestamptz not null default clock_timestamp()
);

comment on table public.agent_workers is 'How many steps each agents worker executes at once; admission follows it.';

alter table public.agent_workers enable row level security;

-- A worker runs and executes so many steps at once, or with 0 ends.
create function public.report_worker(p_worker text, p_slots integer) returns void
language plpgsql
set search_path = ''
as $$
begin
    delete from public.agent_workers
    where worker = p_worker and p_slots = 0 or seen_at < clock_timestamp() - interval '10 minutes';
    insert into public.agent_workers as w (worker, slots)
    select p_worker, p_slots where p_slots > 0
    on conflict (worker) do update set slots = excluded.slots, seen_at = clock_timestamp();
end
$$;

-- How many steps may be out at once: what the workers that reported lately execute, and a few more, so that none waits
-- for its next one. Null while no worker has reported. A worker reports every minute; one that was killed counts until
-- a lease of it expires, or for 150 seconds.
create function internal.admission_capacity() returns integer
language sql stable
set search_path = ''
as $$
    select (sum(w.slots) + greatest(2, ceil(sum(w.slots) / 4.0)))::integer from public.agent_workers as w
    where w.seen_at > clock_timestamp() - interval '150 seconds'
$$;

-- Return some user queues with waiting steps, starting after this one and wrapping around, with one index probe each.
create function internal.waiting_user_queues(p_after text, p_limit integer) returns setof text
language sql stable
set search_path = ''
as $$
    with recursive user_queues as (
        select p_after as user_queue, 0 as n
        union all
        select
            coalesce(
                (
                    select b.user_queue from public.run_steps as b
                    where b.status = 'pending' and b.ready and b.published_at is null and b.user_queue > l.user_queue
                    order by b.user_queue limit 1
                ),
                (
                    select b.user_queue from public.run_steps as b
                    where b.status = 'pending' and b.ready and b.published_at is null
                    order by b.user_queue limit 1
                )
            ),
            l.n + 1
        from user_queues as l where l.user_queue is not null and l.n < p_limit
    )
    select distinct user_queues.user_queue from user_queues where user_queues.n > 0 and user_queues.user_queue is not null
$$;

-- Publish admitted steps of these user queues and, if there is room, of others that wait. The total of published steps
-- follows the workers' capacity, so that no backlog builds up in the broker. A queue without published steps always
-- gets one, and none has more than p_limit. Room is given by priority, then to the queues with the fewest published
-- steps, then by age.
--
-- The named queues are locked in order, the others only if they are not locked, to prevent deadlocks.
create function internal.admit_steps(p_user_queues text[], p_limit integer) returns jsonb
language plpgsql
set search_path = ''
set plan_cache_mode = force_generic_plan
as $$
declare
    v_user_queue text;
    v_user_queues text[];
    v_all text[];
    v_room integer;
    v_out jsonb;
begin
    select array_agg(distinct l order by l) into v_user_queues from unnest(p_user_queues) as l;
    if v_user_queues is null then
        return '[]';
    end if;
    foreach v_user_queue in array v_user_queues loop
        perform pg_advisory_xact_lock(hashtextextended('user_queue:' || v_user_queue, 0));
    end loop;
    v_all := v_user_queues;
    v_room := internal.admission_capacity();
    if v_room is null then
        v_room := p_limit * cardinality(v_user_queues);
    else
        v_room := v_room - (
            select count(*) from (
                select 1 from public.run_steps as s
                where s.published_at is not null and s.status in ('pending', 'running')
                limit v_room
            ) as busy
        );
        if v_room > 0 then
            select v_user_queues || coalesce(array_agg(w.user_queue), '{}') into v_all
            from internal.waiting_user_queues(v_user_queues[1], 8) as w (user_queue)
            where w.user_queue <> all(v_user_queues)
                and pg_try_advisory_xact_lock(hashtextextended('user_queue:' || w.user_queue, 0));
        end if;
    end if;

    with waiting as (
        select
            s.run_id, s.key, s.priority, s.created_at, l.user_queue,
            b.busy + row_number() over (
                partition by l.user_queue order by s.priority desc, s.created_at, s.run_id, s.position
            ) as share
        from unnest(v_all) as l (user_queue)
        cross join lateral (
            select count(*) as busy from (
                select 1 from public.run_steps as o
                where o.user_queue = l.user_queue and o.published_at is not null and o.status in ('pending', 'running')
                limit p_limit
            ) as few
        ) as b
        cross join lateral (
            select n.run_id, n.key, n.priority, n.created_at, n.position from public.run_steps as n
            where n.user_queue = l.user_queue and n.status = 'pending' and n.ready and n.published_at is null
                and n.available_at <= clock_timestamp()
            order by n.priority desc, n.created_at, n.run_id, n.position
            limit greatest(least(greatest(v_room, 1), p_limit - b.busy), 0)
        ) as s
    ),
    ranked as (
        select w.*, row_number() over (order by w.priority desc, w.share, w.created_at, w.run_id) as place
        from waiting as w
    ),
    next as (
        select s.run_id, s.key from ranked as r
        inner join public.run_steps as s on s.run_id = r.run_id and s.key = r.key
        where (r.place <= v_room or (r.share = 1 and r.user_queue = any(v_user_queues)))
            and s.status = 'pending' and s.published_at is null
        for update of s skip locked
    ),
    sent as (
        update public.run_steps as s
        set published_at = clock_timestamp(), publications = s.publications + 1
        from next where s.run_id = next.run_id and s.key = next.key
        returning s as step
    )
    select jsonb_agg(
        internal.publication(sent.step)
        order by (sent.step).priority desc, (sent.step).created_at, (sent.step).run_id, (sent.step).position
    ) into v_out from sent;
    return coalesce(v_out, '[]');
end
$$;

-- Lock the runs of a bulk, in the common order.
create function internal.lock_runs(p_items jsonb) returns void
language plpgsql
set search_path = ''
as $$
begin
    perform 1 from public.runs as r
    where r.id in (select (i ->> 'run_id')::uuid from jsonb_array_elements(p_items) as i)
    order by r.id for update;
end
$$;
