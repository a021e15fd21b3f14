-- The figures of agents and of models, from the roll-ups.

-- The sums of each period: p_bounds are the beginnings of the periods, in order, and the end of the last. `place` is
-- the number of the period, from 1 on. A null p_user_id means all users.
create function internal.figures(p_kind text, p_user_id uuid, p_bounds timestamptz[])
returns table (
    place integer, name text, detail text, outcome text, many bigint, completed bigint, failed bigint,
    cancelled bigint, by_rules bigint, timed bigint, took numeric, tokens_in bigint, tokens_out bigint
)
language plpgsql stable rows 1000
set search_path = ''
set work_mem = '32MB'
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
#variable_conflict use_column
declare
    v_since timestamptz := (select s.since from internal.figure_state as s where s.kind = p_kind);
    v_from timestamptz := p_bounds[1];
    v_to timestamptz := p_bounds[cardinality(p_bounds)];
begin
    return query
    select
        width_bucket(f.at, p_bounds), f.name, f.detail, f.outcome, sum(f.many), sum(f.completed), sum(f.failed),
        sum(f.cancelled), sum(f.by_rules), sum(f.timed), sum(f.took), sum(f.tokens_in)::bigint,
        sum(f.tokens_out)::bigint
    from (
        select
            c.at, c.name, c.detail, c.outcome, c.many, c.completed, c.failed, c.cancelled, c.by_rules, c.timed, c.took,
            c.tokens_in, c.tokens_out
        from internal.figure_cells as c
        where c.everybody = (p_user_id is null) and c.kind = p_kind
            and ((p_user_id is null and c.user_id is null) or c.user_id = p_user_id)
            and c.at >= v_from and c.at < v_to
        union all
        select
            c.at, c.name, c.detail, c.outcome, c.many, c.completed, c.failed, c.cancelled, c.by_rules, c.timed,
            c.took * c.timed, c.tokens_in::bigint, c.tokens_out::bigint
        from internal.figure_changes as c
        where c.kind = p_kind and (p_user_id is null or c.user_id = p_user_id)
            and c.at >= greatest(v_from, v_since) and c.at < v_to
        union all
        select
            c.at, c.name, c.detail, c.outcome, c.many, c.completed, c.failed, c.cancelled, c.by_rules, c.timed,
            c.took * c.timed, c.tokens_in::bigint, c.tokens_out::bigint
        from internal.figure_facts as c
        where c.kind = p_kind and (p_user_id is null or c.user_id = p_user_id)
            and c.at >= v_from and c.at < least(v_to, v_since)
    ) as f
    group by 1, 2, 3, 4;
end
$$;

-- The duration that 95 percent do not exceed, by name and detail: exactly percentile_disc(0.95) of the durations.
-- Over whole days (in UTC) of all users, the totals by size lead to the one size in which it is, and only its values
-- are read. The rest of the range, and one user's durations, are read value by value.
create function internal.figure_p95(p_kind text, p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns table (name text, detail text, took bigint)
language plpgsql stable rows 20
set search_path = ''
set work_mem = '32MB'
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
#variable_conflict use_column
declare
    v_since timestamptz := (select s.since from internal.figure_state as s where s.kind = p_kind);
    v_first timestamptz := date_bin('1 day', p_from + interval '1 day' - interval '1 microsecond', '2000-01-01 00:00Z');
    v_last timestamptz := date_bin('1 day', p_to, '2000-01-01 00:00Z');
    v_whole boolean := p_user_id is null and v_first < v_last;
begin
    if not v_whole then
        v_first := p_to;
        v_last := p_to;
    end if;
    return query
    with single as materialized (
        select t.name, t.detail, u.took, u.many
        from internal.figure_cells as t
        cross join lateral unnest(t.durations, t.occurred) as u (took, many)
        where t.everybody = (p_user_id is null) and t.kind = p_kind
            and ((p_user_id is null and t.user_id is null) or t.user_id = p_user_id)
            and t.at >= p_from and t.at < v_first
        union all
        select t.name, t.detail, u.took, u.many
        from internal.figure_cells as t
        cross join lateral unnest(t.durations, t.occurred) as u (took, many)
        where t.everybody = (p_user_id is null) and t.kind = p_kind
            and ((p_user_id is null and t.user_id is null) or t.user_id = p_user_id)
            and t.at >= v_last and t.at < p_to
        union all
        select c.name, c.detail, c.took, c.timed
        from internal.figure_changes as c
        where c.kind = p_kind and (p_user_id is null or c.user_id = p_user_id) and c.timed <> 0
            and c.at >= greatest(p_from, v_since) and c.at < p_to
        union all
        select c.name, c.detail, c.took, c.timed
        from internal.figure_facts as c
        where c.kind = p_kind and (p_user_id is null or c.user_id = p_user_id) and c.timed <> 0
            and c.at >= p_from and c.at < least(p_to, v_since)
    ),

    sized as (
        select s.name, s.detail, case when v_whole then internal.time_bin(s.took) else 0 end as bin, s.took, s.many
        from single as s
    ),

    totals as (
        select t.name, t.detail, t.bin, sum(t.many) as many
        from (
            select d.name, d.detail, d.bin, d.total as many
            from internal.figure_days as d
            where v_whole and d.kind = p_kind and d.day >= v_first and d.day < v_last
            union all
            select s.name, s.detail, s.bin, s.many from sized as s
        ) as t
        group by 1, 2, 3
    ),

    ranked as (
        select
            t.name, t.detail, t.bin,
            sum(t.many) over (partition by t.name, t.detail order by t.bin) as up_to,
            t.many,
            ceil(0.95::double precision * sum(t.many) over (partition by t.name, t.detail)) as wanted
        from totals as t
    ),

    chosen as (
        select distinct on (r.name, r.detail) r.name, r.detail, r.bin, r.wanted - (r.up_to - r.many) as wanted
        from ranked as r
        where r.wanted > 0 and r.up_to >= r.wanted
        order by r.name, r.detail, r.bin
    ),

    candidates as (
        select h.name, h.detail, h.wanted, u.took, sum(u.many) as many
        from chosen as h
        inner join (
            select d.name, d.detail, d.bin, v.took, v.many
            from internal.figure_days as d
            cross join lateral unnest(d.durations, d.occurred) as v (took, many)
            where v_whole and d.kind = p_kind and d.day >= v_first and d.day < v_last
                and d.bin in (select c.bin from chosen as c)
            union all
            select s.name, s.detail, s.bin, s.took, s.many from sized as s
        ) as u on u.name = h.name and u.bin = h.bin and u.detail is not distinct from h.detail
        group by 1, 2, 3, 4
    )

    select distinct on (c.name, c.detail) c.name, c.detail, c.took
    from (
        select
            k.name, k.detail, k.wanted, k.took,
            sum(k.many) over (partition by k.name, k.detail order by k.took) as up_to
        from candidates as k
    ) as c
    where c.up_to >= c.wanted
    order by c.name, c.detail, c.took;
end
$$;

-- What the agents did, in runs of their own and as steps of workflows, by when the run was made. An execution succeeds
-- or fails when it ends; a retry is not a new one. Executions by the rules had no available model.
create or replace function public.agent_summary(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
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
            select * from internal.figures('agent', p_user_id, array[v_before, v_from, v_to])
        ),

        compared as (
            select
                t.place,
                coalesce(sum(g.many), 0) as many,
                coalesce(sum(g.completed), 0) as completed,
                coalesce(sum(g.failed), 0) as failed,
                coalesce(sum(g.by_rules), 0) as by_rules,
                round(sum(g.took) / nullif(sum(g.timed), 0)) as took,
                coalesce(sum(g.tokens_in + g.tokens_out), 0) as tokens
            from (values (1), (2)) as t (place)
            left join grouped as g on g.place = t.place
            group by t.place
        ),

        agents as (
            select jsonb_agg(
                jsonb_build_object(
                    'agent_type', g.name, 'executions', g.many, 'completed', g.completed, 'failed', g.failed,
                    'cancelled', g.cancelled,
                    'success_rate', internal.percent_of(g.completed, g.completed + g.failed),
                    'fallback_rate', internal.percent_of(g.by_rules, g.completed),
                    'average_duration_ms', round(g.took / nullif(g.timed, 0)), 'p95_duration_ms', p.took,
                    'tokens', g.tokens_in + g.tokens_out
                )
                order by g.many desc, g.name
            ) as listed
            from grouped as g
            left join internal.figure_p95('agent', p_user_id, v_from, v_to) as p on p.name = g.name
            where g.place = 2 and g.many > 0
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
        inner join compared as b on n.place = 2 and b.place = 1
    );
end
$$;

-- What the agents did: how many executions there were, by when their run was made, and how they ended.
create or replace function public.agent_trends(
    p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text, p_agent_type text
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_days date[];
    v_bounds timestamptz[];
begin
    select array_agg(p.first_day order by p.first_day), array_agg(p.begins order by p.first_day)
    into v_days, v_bounds
    from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p;
    return (
        select jsonb_agg(
            jsonb_build_object(
                'date', p.first_day, 'value', coalesce(g.many, 0), 'completed', coalesce(g.completed, 0),
                'failed', coalesce(g.failed, 0), 'average_duration_ms', round(g.took / nullif(g.timed, 0))
            )
            order by p.place
        )
        from unnest(v_days) with ordinality as p (first_day, place)
        left join (
            select
                f.place,
                sum(f.many) as many,
                sum(f.completed) as completed,
                sum(f.failed) as failed,
                sum(f.timed) as timed,
                sum(f.took) as took
            from internal.figures('agent', p_user_id, v_bounds || internal.day_start(p_end + 1, p_zone)) as f
            where p_agent_type is null or f.name = p_agent_type
            group by f.place
        ) as g on g.place = p.place
    );
end
$$;

-- Calls to model providers: {"calls", "success_rate", "average_latency_ms", "tokens"}, each with its change;
-- {"by_model", "by_outcome"} and {"trend"} of calls, failures and tokens.
-- `truncated` is prose that was used as far as it goes: no failure.
create or replace function public.model_summary(
    p_user_id uuid, p_start date, p_end date, p_aggregation text, p_zone text
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
    v_days date[];
    v_bounds timestamptz[];
begin
    select array_agg(p.first_day order by p.first_day), array_agg(p.begins order by p.first_day)
    into v_days, v_bounds
    from internal.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p;
    return (
        -- The first period is the one before the range.
        with calls as materialized (
            select f.place > 1 as now, f.place - 1 as place, f.name, f.detail, f.outcome, f.many, f.completed as ok, f.took,
                f.tokens_in, f.tokens_out
            from internal.figures('model', p_user_id, v_before || v_bounds || v_to) as f
            where f.many > 0
        ),

        compared as (
            select
                t.now,
                coalesce(sum(c.many), 0) as many,
                coalesce(sum(c.ok), 0) as ok,
                round(sum(c.took) / nullif(sum(c.ok), 0)) as latency,
                coalesce(sum(c.tokens_in + c.tokens_out), 0) as tokens
            from (values (true), (false)) as t (now)
            left join calls as c on c.now = t.now
            group by t.now
        ),

        models as (
            select jsonb_agg(
                jsonb_build_object(
                    'provider', t.name, 'model', t.detail, 'calls', t.many, 'ok', t.ok,
                    'success_rate', internal.percent_of(t.ok, t.many),
                    'average_latency_ms', t.latency, 'p95_latency_ms', p.took,
                    'prompt_tokens', t.tokens_in, 'completion_tokens', t.tokens_out
                )
                order by t.many desc, t.name, t.detail
            ) as listed
            from (
                select
                    c.name,
                    c.detail,
                    sum(c.many) as many,
                    sum(c.ok) as ok,
                    round(sum(c.took) / nullif(sum(c.ok), 0)) as latency,
                    sum(c.tokens_in) as tokens_in,
                    sum(c.tokens_out) as tokens_out
                from calls as c
                where c.now
                group by c.name, c.detail
            ) as t
            left join internal.figure_p95('model', p_user_id, v_from, v_to) as p
                on p.name = t.name and p.detail is not distinct from t.detail
        ),

        outcomes as (
            select jsonb_agg(
                jsonb_build_object('outcome', t.outcome, 'value', t.many) order by t.many desc, t.outcome
            ) as listed
            from (
                select
                    c.outcome,
                    sum(c.many) as many
                from calls as c
                where c.now
                group by c.outcome
            ) as t
        ),

        placed as (
            select
                c.place,
                sum(c.many) as many,
                sum(c.many - c.ok) as failed,
                sum(c.tokens_in + c.tokens_out) as tokens
            from calls as c
            where c.now
            group by c.place
        ),

        trend as (
            select jsonb_agg(
                jsonb_build_object(
                    'date', p.first_day, 'value', coalesce(c.many, 0), 'failed', coalesce(c.failed, 0),
                    'tokens', coalesce(c.tokens, 0)
                )
                order by p.place
            ) as listed
            from unnest(v_days) with ordinality as p (first_day, place)
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

-- The log of one user, and what is not as usual in it.
create index agent_logs_owner on public.agent_logs (user_id, created_at desc, id desc) where user_id is not null;
create index agent_logs_unusual on public.agent_logs (level, created_at desc, id desc) where level <> 'info';

-- The figures no longer read these.
drop index public.model_metrics_created;
drop index public.model_metrics_model;
