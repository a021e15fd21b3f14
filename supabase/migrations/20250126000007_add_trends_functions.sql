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
        from public.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p
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
        from public.analytics_periods(p_start, p_end, p_aggregation, p_zone) as p
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

revoke execute on function
public.lead_trends(uuid, date, date, text, text),
public.conversation_trends(uuid, date, date, text, text)
from public, anon, authenticated;

grant execute on function
public.lead_trends(uuid, date, date, text, text),
public.conversation_trends(uuid, date, date, text, text)
to service_role;
