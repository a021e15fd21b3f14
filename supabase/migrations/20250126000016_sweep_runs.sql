-- Background work: the sweep, the relay of the outbox, periodic tasks, and what of all that is due.

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
    v_half interval := make_interval(secs => p_lease_seconds / 2);
    v_outage boolean := false;
    v_run uuid;
    s public.run_steps;
    v_expired integer := 0;
    v_updates jsonb := '[]';
    v_lost jsonb;
    v_user_queues text[] := '{}';
    v_workers text[] := '{}';
begin
    select last_sweep_at into v_last from public.system_state where next_sweep_at <= v_now for update skip locked;
    if not found then
        return jsonb_build_object('skipped', true);
    end if;
    update public.system_state
    set next_sweep_at = v_now + make_interval(secs => p_interval_seconds), last_sweep_at = v_now;

    -- Leases could not be renewed while the database was unreachable: one lease of grace before any expires. While a
    -- lease is held there is a sweep every few seconds, but none at rest. So the sign of an outage is a lease in its
    -- second half, whose first half no sweep saw the end of.
    if v_last < v_now - make_interval(secs => p_interval_seconds * 2) - v_half then
        update public.run_steps set lease_expires_at = v_now + make_interval(secs => p_lease_seconds)
        where status = 'running' and lease_expires_at < v_now + v_half and lease_expires_at > v_last + v_half;
        v_outage := found;
    end if;
    if not v_outage then
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
                v_workers := v_workers || split_part(s.lease_owner, '#', 1);
                v_expired := v_expired + 1;
            end loop;
            v_updates := v_updates || internal.advance_run(v_run);
        end loop;
        -- They died, and execute nothing. One that only lost its connection reports again within a minute.
        delete from public.agent_workers where worker in (
            select w.worker from public.agent_workers as w where w.worker = any(v_workers) for update skip locked
        );
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
        v_updates := v_updates || internal.advance_run(v_run);
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
        'outage', v_outage,
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

-- Record that tasks finished. p_tasks holds by name when each is due next.
create function public.finish_periodic_tasks(p_tasks jsonb) returns void
language sql
set search_path = ''
as $$
    insert into public.periodic_tasks as p (name, due_at, last_finished_at)
    select t.key, t.value::timestamptz, clock_timestamp() from jsonb_each_text(p_tasks) as t order by t.key
    on conflict (name) do update set due_at = excluded.due_at, last_finished_at = excluded.last_finished_at;
$$;

-- When a delivery may be attempted or given up next. Those to a host with an open circuit wait for it; where more than
-- 500 are due all count as due.
create function internal.next_webhook_at(p_now timestamptz) returns timestamptz
language sql stable
set search_path = ''
as $$
    select case
        when count(*) > 500 and max(d.next_attempt_at) <= p_now then p_now
        else min(least(
            greatest(d.next_attempt_at, coalesce(h.open_until, '-infinity')), greatest(d.next_attempt_at, d.expires_at)
        ))
    end
    from (
        select host, next_attempt_at, expires_at from public.webhook_deliveries
        where status = 'pending' order by next_attempt_at limit 501
    ) as d
    left join public.webhook_hosts as h on h.host = d.host
$$;

-- Return by the name of beat's task in how many seconds it is due, at most a day; a task without work is absent.
-- p_tasks are the names of the infrequent tasks; one that never ran is due at once. Stores when beat looks next, by
-- which writers decide whether to wake it: in a second while work is due, or where beat is not listening (it looks
-- every other second then); else when work is due next. p_listener is sent to the beats that listen, as a test.
create function public.look_for_due(p_tasks text[], p_listener text, p_listening boolean) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_next timestamptz;
    v_due jsonb;
begin
    with due (task, due_at) as (
        values
        (
            'sweep_runs',
            case
                -- What is at the broker or under a lease may be lost at any time.
                when exists (
                    select 1 from public.run_steps where status = 'pending' and published_at is not null
                ) or exists (
                    select 1 from public.run_steps where status = 'running' and lease_expires_at is not null
                ) then v_now
                else least(
                    (
                        select min(available_at) from public.run_steps
                        where status = 'pending' and ready and published_at is null
                    ),
                    (select min(deadline_at) from public.run_steps where status = 'waiting')
                )
            end
        ),
        ('fire_schedules', (select min(next_run_at) from public.schedules where active)),
        ('send_due_webhooks', internal.next_webhook_at(v_now)),
        ('send_broadcasts', (select min(created_at) from public.broadcasts where status = 'sending')),
        ('process_stripe_events', (select min(next_attempt_at) from public.stripe_events where status = 'received')),
        ('relay_outbox', (select min(visible_at) from public.event_outbox)),
        (
            'run_due_tasks',
            (
                select min(coalesce(p.due_at, v_now)) from unnest(p_tasks) as t (name)
                left join public.periodic_tasks as p on p.name = t.name
            )
        )
    )

    select
        min(due_at),
        coalesce(jsonb_object_agg(task, extract(
            epoch from least(greatest(due_at, v_now), v_now + interval '1 day') - v_now
        )), '{}')
    into v_next, v_due
    from due where due_at is not null;

    v_next := case
        when not p_listening or v_next <= v_now then v_now + interval '1 second'
        else greatest(coalesce(v_next, 'infinity'), v_now + interval '1 second')
    end;
    update public.system_state set next_look_at = v_next where next_look_at is distinct from v_next;
    if p_listener is not null then
        perform pg_notify('pixelbloom_beat', p_listener);
    end if;
    return v_due;
end
$$;
