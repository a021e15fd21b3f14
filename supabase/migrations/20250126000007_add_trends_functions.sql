-- Trends over time: [{"date": "2026-01-31", "value": 12}, ...], oldest first, one a period of the range, zeros too.
-- `date` is the first day of the period. The range, its zone and p_user_id are as in the analytics functions.

create index messages_created on public.messages (created_at) include (user_id, conversation_id);
create index model_metrics_created on public.model_metrics (created_at) include (agent_type, provider, outcome);

-- Leads by when they were made.
create function public.lead_trends(p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text)
returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return (
        select jsonb_agg(jsonb_build_object('date', p.first_day, 'value', t.many) order by p.first_day)
        from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p
        cross join lateral (
            select count(*) as many
            from public.leads as l
            where
                l.deleted_at is null
                and (p_user_id is null or l.user_id = p_user_id)
                and l.created_at >= p.begins and l.created_at < p.ends
        ) as t
    );
end
$$;

-- Conversations by when they began.
create function public.conversation_trends(p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text)
returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return (
        select jsonb_agg(jsonb_build_object('date', p.first_day, 'value', t.many) order by p.first_day)
        from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p
        cross join lateral (
            select count(*) as many
            from public.conversations as c
            where
                c.deleted_at is null
                and (p_user_id is null or c.user_id = p_user_id)
                and c.created_at >= p.begins and c.created_at < p.ends
        ) as t
    );
end
$$;

-- Subscriptions: `value` is how many there were at the end of the period; `started` and `ended` are those in it.
create function public.subscription_trends(p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text)
returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
    v_there bigint;
begin
    select count(*) into v_there
    from public.recurring_subscriptions as s
    where
        (p_user_id is null or s.user_id = p_user_id)
        and s.start_date < v_from and (s.end_date is null or s.end_date >= v_from);
    return (
        with changes as materialized (
            select
                s.start_date as at,
                1 as by
            from public.recurring_subscriptions as s
            where
                (p_user_id is null or s.user_id = p_user_id)
                and s.start_date >= v_from and s.start_date < v_to
            union all
            select
                s.end_date,
                -1
            from public.recurring_subscriptions as s
            where
                (p_user_id is null or s.user_id = p_user_id)
                and s.end_date >= v_from and s.end_date < v_to
        ),

        periods as materialized (
            select * from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone)
        ),

        counted as (
            select
                width_bucket(c.at, (select array_agg(p.begins order by p.begins) from periods as p)) as place,
                count(*) filter (where c.by > 0) as started,
                count(*) filter (where c.by < 0) as ended
            from changes as c
            group by 1
        )

        select jsonb_agg(
            jsonb_build_object('date', t.first_day, 'value', t.there, 'started', t.started, 'ended', t.ended)
            order by t.first_day
        )
        from (
            select
                p.first_day,
                coalesce(c.started, 0) as started,
                coalesce(c.ended, 0) as ended,
                v_there + sum(coalesce(c.started, 0) - coalesce(c.ended, 0)) over (order by p.first_day) as there
            from (
                select
                    first_day,
                    row_number() over (order by first_day) as place
                from periods
            ) as p
            left join counted as c on c.place = p.place
        ) as t
    );
end
$$;

-- What the agents did: how many executions there were, by when their run was made, and how they ended.
create function public.agent_trends(
    p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text, p_agent_type text
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return (
        select jsonb_agg(
            jsonb_build_object(
                'date', p.first_day, 'value', t.many, 'completed', t.completed, 'failed', t.failed,
                'average_duration_ms', t.took
            )
            order by p.first_day
        )
        from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p
        cross join lateral (
            select
                count(*) as many,
                count(*) filter (where s.status = 'completed') as completed,
                count(*) filter (where s.status = 'failed') as failed,
                round(avg(round(1000 * extract(epoch from s.finished_at - s.started_at))) filter (
                    where s.status = 'completed'
                )) as took
            from public.runs as r
            inner join public.run_steps as s on s.run_id = r.id
            where
                s.kind = 'agent'
                and (p_user_id is null or r.user_id = p_user_id)
                and (p_agent_type is null or s.agent_type = p_agent_type)
                and r.created_at >= p.begins and r.created_at < p.ends
        ) as t
    );
end
$$;

-- Calls to model providers: {"calls", "success_rate", "average_latency_ms", "tokens"}, each with its change;
-- {"by_model", "by_outcome"} and {"trend"} of calls, failures and tokens.
-- `truncated` is prose that was used as far as it goes: no failure.
create function public.model_summary(p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text)
returns jsonb
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
        with calls as materialized (
            select
                m.created_at,
                m.created_at >= v_from as now,
                m.provider,
                m.model,
                m.outcome,
                m.outcome in ('ok', 'truncated') as usable,
                m.latency_ms,
                m.prompt_tokens,
                m.completion_tokens
            from public.model_metrics as m
            where
                m.created_at >= v_before and m.created_at < v_to
                and (
                    p_user_id is null
                    or exists (select 1 from public.runs as r where r.id = m.run_id and r.user_id = p_user_id)
                )
        ),

        compared as (
            select
                t.now,
                count(c.outcome) as many,
                count(*) filter (where c.usable) as ok,
                round(avg(c.latency_ms) filter (where c.usable)) as latency,
                coalesce(sum(c.prompt_tokens + c.completion_tokens), 0) as tokens
            from (values (true), (false)) as t (now)
            left join calls as c on c.now = t.now
            group by t.now
        ),

        models as (
            select jsonb_agg(
                jsonb_build_object(
                    'provider', t.provider, 'model', t.model, 'calls', t.many, 'ok', t.ok,
                    'success_rate', internal.percent_of(t.ok, t.many),
                    'average_latency_ms', t.latency, 'p95_latency_ms', t.latency_most,
                    'prompt_tokens', t.prompt_tokens, 'completion_tokens', t.completion_tokens
                )
                order by t.many desc, t.provider, t.model
            ) as listed
            from (
                select
                    c.provider,
                    c.model,
                    count(*) as many,
                    count(*) filter (where c.usable) as ok,
                    round(avg(c.latency_ms) filter (where c.usable)) as latency,
                    percentile_disc(0.95) within group (order by c.latency_ms)
                    filter (where c.usable) as latency_most,
                    sum(c.prompt_tokens) as prompt_tokens,
                    sum(c.completion_tokens) as completion_tokens
                from calls as c
                where c.now
                group by c.provider, c.model
            ) as t
        ),

        outcomes as (
            select jsonb_agg(
                jsonb_build_object('outcome', t.outcome, 'value', t.many) order by t.many desc, t.outcome
            ) as listed
            from (
                select
                    c.outcome,
                    count(*) as many
                from calls as c
                where c.now
                group by c.outcome
            ) as t
        ),

        periods as materialized (
            select
                first_day,
                begins,
                row_number() over (order by first_day) as place
            from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone)
        ),

        placed as (
            select
                width_bucket(c.created_at, (select array_agg(p.begins order by p.begins) from periods as p)) as place,
                count(*) as many,
                count(*) filter (where not c.usable) as failed,
                sum(c.prompt_tokens + c.completion_tokens) as tokens
            from calls as c
            where c.now
            group by 1
        ),

        trend as (
            select jsonb_agg(
                jsonb_build_object(
                    'date', p.first_day, 'value', coalesce(c.many, 0), 'failed', coalesce(c.failed, 0),
                    'tokens', coalesce(c.tokens, 0)
                )
                order by p.first_day
            ) as listed
            from periods as p
            left join placed as c on c.place = p.place
        )

        select jsonb_build_object(
            'calls', internal.counted(n.many, b.many),
            'success_rate', internal.rated(internal.percent_of(n.ok, n.many), internal.percent_of(b.ok, b.many)),
            'average_latency_ms', internal.counted(n.latency, b.latency),
            'tokens', internal.counted(n.tokens, b.tokens),
            'by_model', (select coalesce(m.listed, '[]') from models as m),
            'by_outcome', (select coalesce(o.listed, '[]') from outcomes as o),
            'trend', (select t.listed from trend as t)
        )
        from compared as n
        inner join compared as b on n.now and not b.now
    );
end
$$;
