-- Background work: the sweep, the relay of the outbox, and periodic tasks.

-- Recover the work of dead processes: expired leases, published steps that the broker lost, due steps, and approvals
-- past their deadline. One sweep at a time: concurrent calls get {"skipped": true}.
-- p_lost_before maps each priority's number to a time: steps published before it count as lost.
create function public.sweep_runs(
    p_interval_seconds double precision,
    p_lease_seconds double precision,
    p_lost_before jsonb,
    p_user_queue_limit integer,
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
    v_user_queues text[] := '{}';
begin
    select last_sweep_at into v_last from public.system_state where next_sweep_at <= v_now for update skip locked;
    if not found then
        return jsonb_build_object('skipped', true);
    end if;
    update public.system_state
    set next_sweep_at = v_now + make_interval(secs => p_interval_seconds), last_sweep_at = v_now;

    -- Leases could not be renewed while the database was unreachable: one lease of grace before any expires.
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
                perform internal.end_attempt(
                    s.run_id, s.key, 'The worker that had this step died or lost its connection.', 'WORKER_LOST',
                    true, true
                );
                v_user_queues := v_user_queues || s.user_queue;
                v_expired := v_expired + 1;
            end loop;
            perform internal.update_run_state(v_run);
            v_updates := v_updates || internal.publish_run(v_run);
        end loop;
    end if;

    for v_run in
        select r.id from public.runs as r
        where r.id in (
            select e.run_id from public.run_steps as e
            where e.status = 'waiting' and e.deadline_at < v_now
            order by e.deadline_at limit p_limit
        )
        order by r.id for update skip locked
    loop
        for s in
            select * from public.run_steps as e
            where e.run_id = v_run and e.status = 'waiting' and e.deadline_at < v_now
            order by e.key for update
        loop
            perform internal.end_attempt(s.run_id, s.key, 'Nobody decided in time.', 'TIMEOUT', false, false);
            v_user_queues := v_user_queues || s.user_queue;
        end loop;
        perform internal.update_run_state(v_run);
        v_updates := v_updates || internal.publish_run(v_run);
    end loop;

    with lost as (
        select p.run_id, p.key from public.run_steps as p
        where p.status = 'pending'
            and p.published_at < (select max(value::timestamptz) from jsonb_each_text(p_lost_before))
            and p.published_at < (p_lost_before ->> p.priority::text)::timestamptz
        order by p.published_at limit p_limit
        for update skip locked
    ),
    sent as (
        update public.run_steps as p
        set published_at = clock_timestamp(), publications = p.publications + 1
        from lost where p.run_id = lost.run_id and p.key = lost.key
        returning p as step
    )
    select jsonb_agg(internal.publication(sent.step)) into v_lost from sent;

    -- The user queues with waiting steps, with one index probe each.
    with recursive user_queues as (
        (
            select b.user_queue from public.run_steps as b
            where b.status = 'pending' and b.ready and b.published_at is null
            order by b.user_queue limit 1
        )
        union all
        select (
            select b.user_queue from public.run_steps as b
            where b.status = 'pending' and b.ready and b.published_at is null and b.user_queue > l.user_queue
            order by b.user_queue limit 1
        )
        from user_queues as l where l.user_queue is not null
    )
    select v_user_queues || coalesce(array_agg(user_queue), '{}') into v_user_queues
    from (select user_queue from user_queues where user_queue is not null limit p_limit) as waiting;

    return jsonb_build_object(
        'skipped', false,
        'outage', coalesce(v_outage, false),
        'expired', v_expired,
        'lost', coalesce(jsonb_array_length(v_lost), 0),
        'updates', v_updates,
        'publish', coalesce(v_lost, '[]') || internal.admit_steps(v_user_queues, p_user_queue_limit)
    );
end
$$;

-- Return the events to publish, oldest first, after removing those of the last batch. A single relay at a time
-- preserves the order within a topic; its lease lasts p_lease_seconds from each call.
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
        return '[]';
    end if;
    select jsonb_agg(jsonb_build_object('id', id, 'type', type, 'topic', topic, 'user_id', user_id, 'payload', payload))
    into v_rows
    from (
        select * from public.event_outbox where visible_at <= clock_timestamp() order by id limit p_limit
    ) as o;
    return coalesce(v_rows, '[]');
end
$$;

-- Start each of these tasks that is due, and return their names. p_tasks has, by name, when a task that never ran is
-- first due ("first_at"), and for how many seconds no other caller starts it ("lease_seconds"): after a failure or the
-- death of its worker a task is due again after that.
create function public.begin_periodic_tasks(p_tasks jsonb) returns text[]
language sql
set search_path = ''
as $$
    insert into public.periodic_tasks (name, due_at)
    select t.key, (t.value ->> 'first_at')::timestamptz from jsonb_each(p_tasks) as t
    where not exists (select 1 from public.periodic_tasks as p where p.name = t.key)
    on conflict (name) do nothing;

    with due as (
        select p.name from public.periodic_tasks as p
        where p.due_at <= clock_timestamp() and p.name in (select jsonb_object_keys(p_tasks))
        order by p.name for update skip locked
    ),
    begun as (
        update public.periodic_tasks as p
        set due_at = clock_timestamp()
            + make_interval(secs => (p_tasks -> p.name ->> 'lease_seconds')::double precision)
        from due where p.name = due.name
        returning p.name
    )
    select coalesce(array_agg(begun.name order by begun.name), '{}') from begun;
$$;

-- Record that tasks finished. p_tasks holds by name when each is due next; null for one that has no due time.
create function public.finish_periodic_tasks(p_tasks jsonb) returns void
language sql
set search_path = ''
as $$
    insert into public.periodic_tasks as p (name, due_at, last_finished_at)
    select t.key, t.value::timestamptz, clock_timestamp() from jsonb_each_text(p_tasks) as t order by t.key
    on conflict (name) do update set due_at = excluded.due_at, last_finished_at = excluded.last_finished_at;
$$;

-- Seconds since the last sweep ("sweep_runs") and each other periodic task finished. A task that never did is absent.
create function public.periodic_task_ages() returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_object_agg(
        t.name, round(greatest(extract(epoch from clock_timestamp() - t.finished_at), 0)::numeric, 1)
    ), '{}')
    from (
        select p.name, p.last_finished_at as finished_at from public.periodic_tasks as p
        where p.last_finished_at is not null
        union all
        select 'sweep_runs', s.last_sweep_at from public.system_state as s where s.last_sweep_at is not null
    ) as t
$$;
