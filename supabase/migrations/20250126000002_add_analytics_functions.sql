-- Analytics of leads and conversations. Days are those of a time zone, given by its IANA name; both dates of a range
-- belong to it. A null p_user_id means all users. Each function returns one jsonb: rows would be cut at max-rows.
--
-- They are in PL/pgSQL and plan each call with its own values: the best index depends on whether one user's or all rows
-- are counted, and over how long.

create index leads_created on public.leads (created_at) include (user_id, status) where deleted_at is null;
create index conversations_created on public.conversations (created_at) include (user_id, status)
where deleted_at is null;
create index conversations_deleted on public.conversations (id) where deleted_at is not null;

-- The moment a day begins. Where clocks are put back over midnight, midnight comes twice, and the day begins with the
-- first; `at time zone` alone takes the second. Where they leap over midnight, the day begins with the leap.
create function internal.day_start(p_day date, p_zone text) returns timestamptz
language plpgsql stable
set search_path = ''
as $$
declare
    v_start timestamptz := p_day::timestamp at time zone p_zone;
    v_ahead interval :=
    (v_start - interval '3 hours') at time zone p_zone - (p_day::timestamp - interval '3 hours');
begin
    if v_ahead > interval '0' and (v_start - v_ahead) at time zone p_zone = p_day::timestamp then
        return v_start - v_ahead;
    end if;
    return v_start;
end
$$;

-- The periods of a range, oldest first: days, weeks from Monday on, or months, cut to the range. Each is known by its
-- first day; `ends` is the first moment after it.
create function internal.analytics_periods(p_start date, p_end date, p_aggregation text, p_zone text)
returns table (first_day date, begins timestamptz, ends timestamptz)
language plpgsql stable rows 90
set search_path = ''
as $$
declare
    v_unit text := case p_aggregation when 'daily' then 'day' when 'weekly' then 'week' when 'monthly' then 'month' end;
begin
    if v_unit is null then
        raise exception 'no such aggregation' using errcode = '22023';
    end if;
    return query
    select
        greatest(t.at::date, p_start),
        internal.day_start(greatest(t.at::date, p_start), p_zone),
        internal.day_start(least((t.at + ('1 ' || v_unit)::interval)::date, p_end + 1), p_zone)
    from generate_series(
        date_trunc(v_unit, p_start::timestamp), p_end::timestamp, ('1 ' || v_unit)::interval
    ) as t (at)
    order by 1;
end
$$;

-- How much more, in percent of the earlier size with one decimal; null where there was nothing before. Revenue may be
-- negative: from -10 to 20 is 300 percent more.
create function internal.percent_change(p_now numeric, p_before numeric) returns numeric
language sql immutable parallel safe
set search_path = ''
as $$ select round(100 * (p_now - p_before) / abs(nullif(p_before, 0)), 1) $$;

-- What part of it, in percent with one decimal; null where there is nothing to be a part of.
create function internal.percent_of(p_part numeric, p_whole numeric) returns numeric
language sql immutable parallel safe
set search_path = ''
as $$ select round(100 * p_part / nullif(p_whole, 0), 1) $$;

-- A count or an amount, and how it changed.
create function internal.counted(p_now numeric, p_before numeric) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
    select jsonb_build_object('value', p_now, 'change', internal.percent_change(p_now, p_before))
$$;

-- A rate in percent, and by how many points it changed; null where the earlier one is null or 0.
create function internal.rated(p_now numeric, p_before numeric) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
    select jsonb_build_object('value', p_now, 'change', case when p_before <> 0 then p_now - p_before end)
$$;

-- What was said from p_from to before p_to: in how many conversations, and how many messages.
create function internal.conversation_activity(p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns table (conversations bigint, messages bigint)
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    if p_user_id is null then
        -- Few are deleted: those are left out, rather than all the others looked up.
        return query
        select count(*), coalesce(sum(t.many), 0)::bigint
        from (
            select m.conversation_id, count(*) as many
            from public.messages as m
            where m.created_at >= p_from and m.created_at < p_to
            group by m.conversation_id
        ) as t
        where not exists (
            select 1 from public.conversations as c
            where c.id = t.conversation_id and c.deleted_at is not null
        );
    else
        return query
        select count(*) filter (where t.many > 0), coalesce(sum(t.many), 0)::bigint
        from public.conversations as c
        cross join lateral (
            select count(*) as many from public.messages as m
            where m.conversation_id = c.id and m.created_at >= p_from and m.created_at < p_to
        ) as t
        where c.user_id = p_user_id and c.deleted_at is null;
    end if;
end
$$;

-- The figures at the head of a dashboard: {"total_leads", "active_conversations", "conversion_rate", "total_revenue"},
-- each {"value", "change"}: against the period of as many days before it. Money is in the currency named by `currency`;
-- `by_currency` has every currency.
create function public.analytics_overview(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
    v_leads record;
begin
    select
        count(*) filter (where l.created_at >= v_from) as now,
        count(*) filter (where l.created_at < v_from) as before,
        count(*) filter (where l.created_at >= v_from and l.status = 'converted') as won_now,
        count(*) filter (where l.created_at < v_from and l.status = 'converted') as won_before
    into v_leads
    from public.leads as l
    where
        l.deleted_at is null
        and (p_user_id is null or l.user_id = p_user_id)
        and l.created_at >= v_before and l.created_at < v_to;

    return jsonb_build_object(
        'total_leads', internal.counted(v_leads.now, v_leads.before),
        'active_conversations', internal.counted(
            (select a.conversations from internal.conversation_activity(p_user_id, v_from, v_to) as a),
            (select a.conversations from internal.conversation_activity(p_user_id, v_before, v_from) as a)
        ),
        'conversion_rate', internal.rated(
            internal.percent_of(v_leads.won_now, v_leads.now),
            internal.percent_of(v_leads.won_before, v_leads.before)
        ),
        'total_revenue', internal.revenue_compared(p_user_id, v_before, v_from, v_to)
    );
end
$$;

-- Leads made in a range: {"total", "qualified", "converted", "conversion_rate", "average_score"}, each with its change;
-- {"by_status", "by_source", "open_budget"}. Qualified are those that went on from there, too.
create function public.lead_summary(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
begin
    return (
        with grouped as materialized (
            select
                l.created_at >= v_from as now,
                l.status,
                l.source,
                l.currency,
                count(*) as many,
                count(l.score) as scored,
                sum(l.score) as score,
                sum(l.budget) as budget
            from public.leads as l
            where
                l.deleted_at is null
                and (p_user_id is null or l.user_id = p_user_id)
                and l.created_at >= v_before and l.created_at < v_to
            group by 1, 2, 3, 4
        ),

        compared as (
            select
                t.now,
                coalesce(sum(g.many), 0) as total,
                coalesce(sum(g.many) filter (where g.status in ('qualified', 'converted')), 0) as qualified,
                coalesce(sum(g.many) filter (where g.status = 'converted'), 0) as converted,
                round(sum(g.score) / nullif(sum(g.scored), 0), 1) as score
            from (values (true), (false)) as t (now)
            left join grouped as g on g.now = t.now
            group by t.now
        ),

        statuses as (
            select jsonb_agg(
                jsonb_build_object('status', t.status, 'value', (
                    select coalesce(sum(g.many), 0) from grouped as g where g.now and g.status = t.status
                ))
                order by t.position
            ) as listed
            from unnest(array['new', 'contacted', 'qualified', 'unqualified', 'converted', 'lost'])
            with ordinality as t (status, position)
        ),

        sources as (
            select jsonb_agg(
                jsonb_build_object(
                    'source', t.source, 'value', t.many, 'converted', t.converted,
                    'conversion_rate', internal.percent_of(t.converted, t.many)
                )
                order by t.many desc, t.source
            ) as listed
            from (
                select
                    g.source,
                    sum(g.many) as many,
                    coalesce(sum(g.many) filter (where g.status = 'converted'), 0) as converted
                from grouped as g
                where g.now
                group by g.source
                order by 2 desc, 1
                limit 20
            ) as t
        ),

        budgets as (
            select jsonb_agg(
                jsonb_build_object('currency', t.currency, 'value', t.budget) order by t.currency
            ) as listed
            from (
                select
                    g.currency,
                    sum(g.budget) as budget
                from grouped as g
                where g.now and g.status in ('new', 'contacted', 'qualified')
                group by g.currency
                having sum(g.budget) > 0
            ) as t
        )

        select jsonb_build_object(
            'total', internal.counted(n.total, b.total),
            'qualified', internal.counted(n.qualified, b.qualified),
            'converted', internal.counted(n.converted, b.converted),
            'conversion_rate', internal.rated(
                internal.percent_of(n.converted, n.total), internal.percent_of(b.converted, b.total)
            ),
            'average_score', internal.rated(n.score, b.score),
            'by_status', (select s.listed from statuses as s),
            'by_source', (select coalesce(s.listed, '[]') from sources as s),
            'open_budget', (select coalesce(u.listed, '[]') from budgets as u)
        )
        from compared as n
        inner join compared as b on n.now and not b.now
    );
end
$$;

-- Conversations: {"started", "active", "messages", "messages_per_conversation"}, each with its change; {"by_status"} of
-- those that were started.
create function public.conversation_summary(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
    v_started record;
    v_now record;
    v_then record;
begin
    select
        count(*) filter (where c.created_at >= v_from) as now,
        count(*) filter (where c.created_at < v_from) as before,
        count(*) filter (where c.created_at >= v_from and c.status = 'active') as open
    into v_started
    from public.conversations as c
    where
        c.deleted_at is null
        and (p_user_id is null or c.user_id = p_user_id)
        and c.created_at >= v_before and c.created_at < v_to;
    select * into v_now from internal.conversation_activity(p_user_id, v_from, v_to);
    select * into v_then from internal.conversation_activity(p_user_id, v_before, v_from);
    return jsonb_build_object(
        'started', internal.counted(v_started.now, v_started.before),
        'active', internal.counted(v_now.conversations, v_then.conversations),
        'messages', internal.counted(v_now.messages, v_then.messages),
        'messages_per_conversation', internal.rated(
            round(v_now.messages::numeric / nullif(v_now.conversations, 0), 1),
            round(v_then.messages::numeric / nullif(v_then.conversations, 0), 1)
        ),
        'by_status', jsonb_build_array(
            jsonb_build_object('status', 'active', 'value', v_started.open),
            jsonb_build_object('status', 'closed', 'value', v_started.now - v_started.open)
        )
    );
end
$$;

-- Conversations begun in a range, newest first, from before (p_before, p_before_id) on where those are given.
create function public.conversation_list(
    p_user_id uuid, p_start date, p_end date, p_zone text, p_status text, p_limit integer,
    p_before timestamptz, p_before_id uuid
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return (
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'id', c.id, 'user_id', c.user_id, 'lead_id', c.lead_id, 'title', c.title, 'status', c.status,
                'messages', t.many, 'last_message_at', internal.iso_utc(t.last_at),
                'created_at', internal.iso_utc(c.created_at)
            )
            order by c.created_at desc, c.id desc
        ), '[]')
        from (
            select o.*
            from public.conversations as o
            where
                o.deleted_at is null
                and (p_user_id is null or o.user_id = p_user_id)
                and (p_status is null or o.status = p_status)
                and o.created_at >= internal.day_start(p_start, p_zone)
                and o.created_at < internal.day_start(p_end + 1, p_zone)
                and (p_before is null or (o.created_at, o.id) < (p_before, p_before_id))
            order by o.created_at desc, o.id desc
            limit p_limit
        ) as c
        cross join lateral (
            select
                count(*) as many,
                max(m.created_at) as last_at
            from public.messages as m
            where m.conversation_id = c.id
        ) as t
    );
end
$$;

-- Services that were recommended: {"total"} with its change, and {"by_service"}, the most frequent first.
create function public.recommendation_summary(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
begin
    return (
        with grouped as materialized (
            select
                r.service,
                count(*) filter (where r.created_at >= v_from) as now,
                count(*) filter (where r.created_at < v_from) as before,
                round(avg(r.confidence) filter (where r.created_at >= v_from), 3) as confidence
            from public.service_recommendations as r
            where
                (p_user_id is null or r.user_id = p_user_id)
                and r.created_at >= v_before and r.created_at < v_to
            group by r.service
        ),

        services as (
            select jsonb_agg(
                jsonb_build_object('service', t.service, 'average_confidence', t.confidence)
                || internal.counted(t.now, t.before)
                order by t.now desc, t.service
            ) as listed
            from (
                select * from grouped as g
                where g.now > 0
                order by g.now desc, g.service
                limit 50
            ) as t
        )

        select jsonb_build_object(
            'total', internal.counted(coalesce(sum(g.now), 0), coalesce(sum(g.before), 0)),
            'by_service', (select coalesce(s.listed, '[]') from services as s)
        )
        from grouped as g
    );
end
$$;

-- What the agents did, in runs of their own and as steps of workflows, by when the run was made. An execution succeeds
-- or fails when it ends; a retry is not a new one. Executions by the rules had no available model.
create function public.agent_summary(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
begin
    return (
        with executions as materialized (
            select
                r.created_at >= v_from as now,
                s.agent_type,
                s.status,
                s.provider,
                s.prompt_tokens + s.completion_tokens as tokens,
                case
                    when s.status = 'completed'
                        then round(1000 * extract(epoch from s.finished_at - s.started_at))
                end as took
            from public.runs as r
            inner join public.run_steps as s on s.run_id = r.id
            where
                s.kind = 'agent'
                and (p_user_id is null or r.user_id = p_user_id)
                and r.created_at >= v_before and r.created_at < v_to
        ),

        compared as (
            select
                t.now,
                count(e.status) as many,
                count(*) filter (where e.status = 'completed') as completed,
                count(*) filter (where e.status = 'failed') as failed,
                count(*) filter (where e.status = 'completed' and e.provider = 'fallback') as by_rules,
                round(avg(e.took)) as took,
                coalesce(sum(e.tokens), 0) as tokens
            from (values (true), (false)) as t (now)
            left join executions as e on e.now = t.now
            group by t.now
        ),

        agents as (
            select jsonb_agg(
                jsonb_build_object(
                    'agent_type', t.agent_type, 'executions', t.many, 'completed', t.completed, 'failed', t.failed,
                    'cancelled', t.cancelled,
                    'success_rate', internal.percent_of(t.completed, t.completed + t.failed),
                    'fallback_rate', internal.percent_of(t.by_rules, t.completed),
                    'average_duration_ms', t.took, 'p95_duration_ms', t.took_most, 'tokens', t.tokens
                )
                order by t.many desc, t.agent_type
            ) as listed
            from (
                select
                    e.agent_type,
                    count(*) as many,
                    count(*) filter (where e.status = 'completed') as completed,
                    count(*) filter (where e.status = 'failed') as failed,
                    count(*) filter (where e.status = 'cancelled') as cancelled,
                    count(*) filter (where e.status = 'completed' and e.provider = 'fallback') as by_rules,
                    round(avg(e.took)) as took,
                    percentile_disc(0.95) within group (order by e.took) as took_most,
                    sum(e.tokens) as tokens
                from executions as e
                where e.now
                group by e.agent_type
            ) as t
        )

        select jsonb_build_object(
            'executions', internal.counted(n.many, b.many),
            'success_rate', internal.rated(
                internal.percent_of(n.completed, n.completed + n.failed),
                internal.percent_of(b.completed, b.completed + b.failed)
            ),
            'fallback_rate', internal.rated(
                internal.percent_of(n.by_rules, n.completed), internal.percent_of(b.by_rules, b.completed)
            ),
            'average_duration_ms', internal.counted(n.took, b.took),
            'tokens', internal.counted(n.tokens, b.tokens),
            'by_agent', (select coalesce(a.listed, '[]') from agents as a)
        )
        from compared as n
        inner join compared as b on n.now and not b.now
    );
end
$$;

-- What the agents reported in a range, newest first.
create function public.agent_log_list(
    p_user_id uuid, p_start date, p_end date, p_zone text, p_agent_type text, p_level text, p_limit integer,
    p_before timestamptz, p_before_id uuid
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return (
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'id', l.id, 'run_id', l.run_id, 'user_id', l.user_id, 'agent_type', l.agent_type, 'level', l.level,
                'event', l.event, 'detail', l.detail, 'created_at', internal.iso_utc(l.created_at)
            )
            order by l.created_at desc, l.id desc
        ), '[]')
        from (
            select o.*
            from public.agent_logs as o
            where
                (p_user_id is null or o.user_id = p_user_id)
                and (p_agent_type is null or o.agent_type = p_agent_type)
                and (p_level is null or o.level = p_level)
                and o.created_at >= internal.day_start(p_start, p_zone)
                and o.created_at < internal.day_start(p_end + 1, p_zone)
                and (p_before is null or (o.created_at, o.id) < (p_before, p_before_id))
            order by o.created_at desc, o.id desc
            limit p_limit
        ) as l
    );
end
$$;
