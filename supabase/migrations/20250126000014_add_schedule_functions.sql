-- Schedules: runs that start by the clock.

-- Store a schedule unless its owner (its user, or the caller if it has none) has p_limit of them. Returns
-- {"outcome": "added" | "full", "schedule"}.
create function public.add_schedule(p_schedule jsonb, p_limit integer) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    s public.schedules;
    v_owner text := coalesce(p_schedule ->> 'user_id', p_schedule ->> 'caller');
begin
    perform pg_advisory_xact_lock(hashtextextended('schedules:' || v_owner, 0));
    if (select count(*) from public.schedules where coalesce(user_id::text, caller) = v_owner) >= p_limit then
        return jsonb_build_object('outcome', 'full');
    end if;
    insert into public.schedules (user_id, caller, kind, target, input, metadata, cron, timezone, next_run_at)
    values (
        (p_schedule ->> 'user_id')::uuid, p_schedule ->> 'caller', p_schedule ->> 'kind', p_schedule ->> 'target',
        p_schedule -> 'input', p_schedule -> 'metadata', p_schedule ->> 'cron', p_schedule ->> 'timezone',
        (p_schedule ->> 'next_run_at')::timestamptz
    )
    returning * into s;
    return jsonb_build_object('outcome', 'added', 'schedule', to_jsonb(s));
end
$$;

-- A schedule has fired for the time p_expected: put it on to its next time. Where another process did so already,
-- nothing changes. Returns whether this call did it.
create function public.advance_schedule(
    p_id uuid, p_expected timestamptz, p_next timestamptz, p_run_id uuid, p_error text
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    update public.schedules set
        next_run_at = p_next,
        last_run_at = p_expected,
        last_run_id = coalesce(p_run_id, last_run_id),
        last_error = left(p_error, 1000)
    where id = p_id and next_run_at = p_expected;
    return found;
end
$$;

-- Pause or resume a schedule, which then goes on at p_next. Where it is so already, nothing changes. Returns the
-- schedule, null where there is none.
create function public.set_schedule_active(p_id uuid, p_active boolean, p_next timestamptz) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    s public.schedules;
begin
    update public.schedules set
        active = p_active,
        next_run_at = case when p_active then p_next else next_run_at end
    where id = p_id and active <> p_active;
    select * into s from public.schedules where id = p_id;
    return case when found then to_jsonb(s) end;
end
$$;

create index schedules_counted on public.schedules (coalesce(user_id::text, caller));
