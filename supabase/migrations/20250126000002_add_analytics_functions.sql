-- Analytics of leads and conversations. Days are those of a time zone, given by its IANA name; both dates of a range
-- belong to it. A null p_user_id means: of everybody. Each function answers one jsonb: rows would be cut at max-rows.
--
-- They are in PL/pgSQL and ask for a plan of each call's own values: whether one user's rows or everybody's are
-- counted, and over how long, decides which index is right.

create index leads_created on public.leads (created_at) include (user_id, status);
create index conversations_created on public.conversations (created_at) include (user_id, status);

-- The moment a day begins. Where clocks are put back over midnight, midnight comes twice, and the day begins with the
-- first; `at time zone` alone takes the second. Where they leap over midnight, the day begins with the leap.
create function public.day_start(p_day date, p_zone text) returns timestamptz
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
create function public.analytics_periods(p_start date, p_end date, p_aggregation text, p_zone text)
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
        public.day_start(greatest(t.at::date, p_start), p_zone),
        public.day_start(least((t.at + ('1 ' || v_unit)::interval)::date, p_end + 1), p_zone)
    from generate_series(
        date_trunc(v_unit, p_start::timestamp), p_end::timestamp, ('1 ' || v_unit)::interval
    ) as t (at)
    order by 1;
end
$$;

-- How much more, in percent with one decimal; null where there was nothing before.
create function public.percent_change(p_now numeric, p_before numeric) returns numeric
language sql immutable parallel safe
set search_path = ''
as $$ select round(100 * (p_now - p_before) / nullif(p_before, 0), 1) $$;

-- What part of it, in percent with one decimal; null where there is nothing to be a part of.
create function public.percent_of(p_part numeric, p_whole numeric) returns numeric
language sql immutable parallel safe
set search_path = ''
as $$ select round(100 * p_part / nullif(p_whole, 0), 1) $$;

-- A count or an amount, and how it changed.
create function public.counted(p_now numeric, p_before numeric) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
    select jsonb_build_object('value', p_now, 'change', public.percent_change(p_now, p_before))
$$;

-- A rate in percent, and by how many points it changed; null where the earlier one is null or 0.
create function public.rated(p_now numeric, p_before numeric) returns jsonb
language sql immutable parallel safe
set search_path = ''
as $$
    select jsonb_build_object('value', p_now, 'change', case when p_before <> 0 then p_now - p_before end)
$$;

-- How many conversations had a message from p_from to before p_to.
create function public.conversations_active(p_user_id uuid, p_from timestamptz, p_to timestamptz) returns bigint
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    if p_user_id is null then
        return (
            select count(*)
            from (
                select distinct m.conversation_id as id
                from public.messages as m
                where m.created_at >= p_from and m.created_at < p_to
            ) as spoken
            inner join public.conversations as c on c.id = spoken.id and c.deleted_at is null
        );
    end if;
    return (
        select count(*)
        from public.conversations as c
        where
            c.user_id = p_user_id and c.deleted_at is null
            and exists (
                select 1 from public.messages as m
                where m.conversation_id = c.id and m.created_at >= p_from and m.created_at < p_to
            )
    );
end
$$;

-- The figures at the head of a dashboard: {"total_leads", "active_conversations", "conversion_rate", "total_revenue"},
-- each {"value", "change"}: against the period of as many days before it. Money is told in one currency, named by
-- `currency`, and in each by `by_currency`.
create function public.analytics_overview(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := public.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := public.day_start(p_start, p_zone);
    v_to timestamptz := public.day_start(p_end + 1, p_zone);
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
        'total_leads', public.counted(v_leads.now, v_leads.before),
        'active_conversations', public.counted(
            public.conversations_active(p_user_id, v_from, v_to),
            public.conversations_active(p_user_id, v_before, v_from)
        ),
        'conversion_rate', public.rated(
            public.percent_of(v_leads.won_now, v_leads.now),
            public.percent_of(v_leads.won_before, v_leads.before)
        ),
        'total_revenue', public.revenue_compared(p_user_id, v_before, v_from, v_to)
    );
end
$$;

revoke execute on function
public.day_start(date, text),
public.analytics_periods(date, date, text, text),
public.percent_change(numeric, numeric),
public.percent_of(numeric, numeric),
public.counted(numeric, numeric),
public.rated(numeric, numeric),
public.conversations_active(uuid, timestamptz, timestamptz),
public.analytics_overview(uuid, date, date, text)
from public, anon, authenticated;

grant execute on function
public.day_start(date, text),
public.analytics_periods(date, date, text, text),
public.percent_change(numeric, numeric),
public.percent_of(numeric, numeric),
public.counted(numeric, numeric),
public.rated(numeric, numeric),
public.conversations_active(uuid, timestamptz, timestamptz),
public.analytics_overview(uuid, date, date, text)
to service_role;
