-- The dead letter is small, and its rows stay among those of years.
create index stripe_events_failed on public.stripe_events (received_at) where status = 'failed';

-- What an operator's alerts need and only the database knows. The exporter reads it every few seconds.
--
-- Every count ends at 10,000 ("so many or more"), every part reads an index, and sequential scans are off, so the cost
-- follows the open work and not the stored runs. Ages are in seconds; of nothing the age is 0.
create function public.operational_figures() returns jsonb
language sql stable
set search_path = ''
set enable_seqscan = off
set jit = off
set statement_timeout = '5s'
as $$
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
    ),
    -- What is said of users holds for the first hundred with a backlog.
    some_queues as (select user_queue from user_queues where user_queue is not null limit 100),
    -- The next step of each: what people wait for comes first, however many older steps of batches there are.
    heads as (
        select h.priority, h.available_at
        from some_queues as q
        cross join lateral (
            select b.priority, b.available_at from public.run_steps as b
            where b.status = 'pending' and b.ready and b.published_at is null and b.user_queue = q.user_queue
            order by b.priority desc, b.created_at, b.run_id, b.position
            limit 1
        ) as h
        where h.available_at <= statement_timestamp()
    ),
    deepest as (
        select (
            select count(*) from (
                select 1 from public.run_steps as b
                where b.status = 'pending' and b.ready and b.published_at is null and b.user_queue = q.user_queue
                limit 1000
            ) as s
        ) as depth
        from some_queues as q
        order by depth desc limit 5
    ),
    backlog as (
        select
            s.priority,
            greatest(count(*) filter (where s.scanned), count(*) filter (where not s.scanned)) as steps,
            min(s.available_at) as oldest
        from (
            (
                select priority, available_at, true as scanned from public.run_steps
                where status = 'pending' and ready and published_at is null and available_at <= statement_timestamp()
                order by available_at limit 10000
            )
            union all
            select priority, available_at, false as scanned from heads
        ) as s
        group by s.priority
    ),
    published as (
        select priority, count(*) as steps, min(published_at) as oldest from (
            select priority, published_at from public.run_steps
            where status = 'pending' and published_at is not null
            order by published_at limit 10000
        ) as s
        group by priority
    ),
    leased as (
        select count(*) as steps, count(*) filter (where lease_expires_at < statement_timestamp()) as overdue from (
            select lease_expires_at from public.run_steps
            where status = 'running' and lease_expires_at is not null
            order by lease_expires_at limit 10000
        ) as s
    ),
    outbox as (
        select count(*) as events, min(visible_at) as oldest from (
            select visible_at from public.event_outbox
            where visible_at <= statement_timestamp() order by visible_at limit 10000
        ) as s
    ),
    -- What waits for an unreachable host, or is in a sender's hands, is not late.
    webhooks as (
        select count(*) as deliveries, min(s.next_attempt_at) as oldest from (
            select host, next_attempt_at, leased_until from public.webhook_deliveries
            where status = 'pending' and next_attempt_at <= statement_timestamp()
            order by next_attempt_at limit 10000
        ) as s
        left join public.webhook_hosts as h on s.host = h.host
        where coalesce(h.open_until, '-infinity') <= statement_timestamp()
            and coalesce(s.leased_until, '-infinity') <= statement_timestamp()
    ),
    due_schedules as (
        select count(*) as schedules, min(next_run_at) as oldest from (
            select next_run_at from public.schedules
            where active and next_run_at <= statement_timestamp() order by next_run_at limit 10000
        ) as s
    )

    select jsonb_build_object(
        'sweep', (
            select case
                when exists (select 1 from published) or (select steps from leased) > 0
                    then extract(epoch from statement_timestamp() - coalesce(s.last_sweep_at, statement_timestamp()))
                else 0
            end
            from public.system_state as s
        ),
        'runs', jsonb_build_object(
            'queued', (select count(*) from (select 1 from public.runs where status = 'queued' limit 10000) as s),
            'running', (select count(*) from (select 1 from public.runs where status = 'running' limit 10000) as s)
        ),
        'ended', (
            select jsonb_object_agg(e.status, e.runs) from (
                select s.status, count(*) as runs from (
                    select status from public.runs
                    where finished_at > statement_timestamp() - interval '5 minutes'
                    order by finished_at desc limit 10000
                ) as s
                group by s.status
            ) as e
        ),
        'backlog', (
            select coalesce(jsonb_object_agg(b.priority, jsonb_build_object(
                'count', b.steps, 'oldest', extract(epoch from statement_timestamp() - b.oldest)
            )), '{}') from backlog as b
        ),
        'delayed', (
            select count(*) from (
                select 1 from public.run_steps
                where status = 'pending' and ready and published_at is null and available_at > statement_timestamp()
                limit 10000
            ) as s
        ),
        'published', (
            select coalesce(jsonb_object_agg(p.priority, jsonb_build_object(
                'count', p.steps, 'oldest', extract(epoch from statement_timestamp() - p.oldest)
            )), '{}') from published as p
        ),
        'running', (select steps from leased),
        'overdue', (select overdue from leased),
        'waiting', (select count(*) from (select 1 from public.run_steps where status = 'waiting' limit 10000) as s),
        'users', (select coalesce(jsonb_agg(d.depth order by d.depth desc), '[]') from deepest as d),
        'slots', (
            select coalesce(sum(slots), 0) from public.agent_workers
            where seen_at > statement_timestamp() - interval '150 seconds'
        ),
        'outbox', (
            select jsonb_build_object(
                'count', o.events, 'oldest', coalesce(extract(epoch from statement_timestamp() - o.oldest), 0)
            ) from outbox as o
        ),
        'webhooks', (
            select jsonb_build_object(
                'count', w.deliveries, 'oldest', coalesce(extract(epoch from statement_timestamp() - w.oldest), 0)
            ) from webhooks as w
        ),
        'hosts', (select count(*) from public.webhook_hosts where open_until > statement_timestamp()),
        'stripe', jsonb_build_object(
            'received',
            (select count(*) from (select 1 from public.stripe_events where status = 'received' limit 10000) as s),
            'failed',
            (select count(*) from (select 1 from public.stripe_events where status = 'failed' limit 10000) as s)
        ),
        'stripe_oldest', (
            select coalesce(extract(epoch from statement_timestamp() - min(next_attempt_at)), 0)
            from public.stripe_events where status = 'received' and next_attempt_at <= statement_timestamp()
        ),
        'schedules', (
            select jsonb_build_object(
                'count', d.schedules, 'oldest', coalesce(extract(epoch from statement_timestamp() - d.oldest), 0)
            ) from due_schedules as d
        ),
        'periodic', (
            select coalesce(jsonb_object_agg(
                name, greatest(extract(epoch from statement_timestamp() - due_at), 0)
            ), '{}') from public.periodic_tasks
        ),
        'connections', jsonb_build_object(
            'used', (select sum(numbackends) from pg_catalog.pg_stat_database),
            'allowed', pg_catalog.current_setting('max_connections')::integer
        )
    )
$$;

comment on function public.operational_figures() is 'What alerts need and only the database knows.';
