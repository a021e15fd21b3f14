-- Roll-ups of the figures of agents and of model calls.
--
-- Triggers add a row to `internal.figure_changes` for each change of a counted row, in the same transaction. A worker
-- moves these rows into sums by quarter of an hour (`fold_figures`). Readers add both, so the figures are exact at any
-- time, and no two steps wait for the same row. Sums stay when the rows that they count are purged.
--
-- Time zones are at multiples of a quarter of an hour from UTC (since 1972), so each day consists of whole quarters.

-- Rows from this moment on are in the roll-ups; earlier ones are counted from the tables, until `fill_figures` has
-- added them too.
create table internal.figure_state (
    kind text primary key check (kind in ('agent', 'model')),
    since timestamptz not null default '-infinity'
);

insert into internal.figure_state (kind) values ('agent'), ('model');

-- One row per change that is not in the sums yet. An execution of an agent: `name` is the agent type. A model's call:
-- `name` is the provider, `detail` the model, and `completed` counts usable replies. `timed` is 1 if a duration `took`
-- (milliseconds) was added, and -1 if it was taken back.
create table internal.figure_changes (
    kind text not null,
    user_id uuid,
    at timestamptz not null,
    name text not null,
    detail text,
    outcome text,
    many integer not null default 0,
    completed integer not null default 0,
    failed integer not null default 0,
    cancelled integer not null default 0,
    by_rules integer not null default 0,
    timed integer not null default 0,
    took bigint,
    tokens_in integer not null default 0,
    tokens_out integer not null default 0
);

-- Sums by quarter of an hour: of all users (`everybody`, user_id is null), and of each user, in partitions, because
-- those of all users are few and read together. `took` is the sum of the durations; `durations` has each of them once,
-- and `occurred` how often.
create table internal.figure_cells (
    everybody boolean not null,
    kind text not null,
    user_id uuid,
    at timestamptz not null,
    name text not null,
    detail text,
    outcome text,
    many integer not null,
    completed integer not null,
    failed integer not null,
    cancelled integer not null,
    by_rules integer not null,
    timed integer not null,
    took bigint not null,
    tokens_in bigint not null,
    tokens_out bigint not null,
    durations bigint[],
    occurred integer[]
) partition by list (everybody);

create table internal.figure_cells_everybody partition of internal.figure_cells for values in (true)
with (fillfactor = 80);

create table internal.figure_cells_user partition of internal.figure_cells for values in (false)
with (fillfactor = 90);

create unique index figure_cells_key on internal.figure_cells (everybody, kind, user_id, at, name, detail, outcome)
nulls not distinct;

-- The durations of all users by day (in UTC) and by size, from which percentiles over many days are read: the totals
-- lead to the one size whose values are needed.
create table internal.figure_days (
    kind text not null,
    day timestamptz not null,
    name text not null,
    detail text,
    bin smallint not null,
    total integer not null,
    durations bigint[],
    occurred integer[]
) with (fillfactor = 80);

create unique index figure_days_key on internal.figure_days (kind, day, name, detail, bin) nulls not distinct;

grant select on internal.figure_state, internal.figure_changes, internal.figure_cells, internal.figure_days
to service_role;

-- What counts, from the rows themselves: the definition of the figures. First the executions of agents.
create view internal.step_facts with (security_invoker = true) as
select
    s.run_id,
    s.key,
    r.user_id,
    r.created_at as at,
    s.prompt_tokens as tokens_in,
    s.completion_tokens as tokens_out,
    s.agent_type::text as name,
    (s.status = 'completed')::integer as completed,
    (s.status = 'failed')::integer as failed,
    (s.status = 'cancelled')::integer as cancelled,
    (s.status = 'completed' and coalesce(s.provider = 'fallback', false))::integer as by_rules,
    (s.status = 'completed' and s.started_at is not null)::integer as timed,
    case
        when s.status = 'completed' then round(1000 * extract(epoch from s.finished_at - s.started_at))::bigint
    end as took
from public.runs as r
inner join public.run_steps as s on r.id = s.run_id
where s.kind = 'agent';

-- Executions and calls to models, with the columns of figure_changes.
create view internal.figure_facts with (security_invoker = true) as
select
    'agent' as kind,
    f.user_id,
    f.at,
    f.name,
    null::text as detail,
    null::text as outcome,
    1 as many,
    f.completed,
    f.failed,
    f.cancelled,
    f.by_rules,
    f.timed,
    f.took,
    f.tokens_in,
    f.tokens_out
from internal.step_facts as f
union all
select
    'model' as kind,
    (
        select r.user_id from public.runs as r
        where r.id = m.run_id
    ) as user_id,
    m.created_at as at,
    m.provider as name,
    m.model as detail,
    m.outcome,
    1 as many,
    (m.outcome in ('ok', 'truncated'))::integer as completed,
    0 as failed,
    0 as cancelled,
    0 as by_rules,
    (m.outcome in ('ok', 'truncated'))::integer as timed,
    case when m.outcome in ('ok', 'truncated') then m.latency_ms::bigint end as took,
    m.prompt_tokens as tokens_in,
    m.completion_tokens as tokens_out
from public.model_metrics as m;

grant select on internal.step_facts, internal.figure_facts to service_role;

-- The size of a duration: exact up to 7 ms, then eight sizes for each power of two. A longer duration has no smaller
-- size.
create function internal.time_bin(p_took bigint) returns smallint
language sql immutable parallel safe
return case
    when p_took < 0 then -1
    when p_took < 8 then p_took
    else
        8 * (length(ltrim(p_took::bit(64)::text, '0')) - 1)
        + ((p_took >> (length(ltrim(p_took::bit(64)::text, '0')) - 4)) & 7)
end::smallint;

-- Add up two lists of durations with how often each occurs; null where there are none.
create function internal.merged_durations(
    p_durations bigint[], p_occurred integer[], p_more bigint[], p_more_occurred integer[],
    out durations bigint[], out occurred integer[]
)
language sql immutable
set search_path = ''
as $$
    select array_agg(s.duration), array_agg(s.many)
    from (
        select u.duration, sum(u.many)::integer as many
        from (
            select a.duration, a.many from unnest(p_durations, p_occurred) as a (duration, many)
            union all
            select b.duration, b.many from unnest(p_more, p_more_occurred) as b (duration, many)
        ) as u
        group by u.duration
        having sum(u.many) <> 0
    ) as s
$$;

-- Add changes to the sums. The caller holds the lock of fold_figures.
create function internal.add_figures(p_changes internal.figure_changes[]) returns void
language plpgsql
set search_path = ''
as $$
begin
    insert into internal.figure_cells as c (
        everybody, kind, user_id, at, name, detail, outcome, many, completed, failed, cancelled, by_rules, timed, took, tokens_in,
        tokens_out, durations, occurred
    )
    select
        s.user_id is null, s.kind, s.user_id, s.at, s.name, s.detail, s.outcome, sum(s.many), sum(s.completed), sum(s.failed),
        sum(s.cancelled), sum(s.by_rules), sum(s.timed), coalesce(sum(s.took * s.timed), 0), sum(s.tokens_in),
        sum(s.tokens_out), array_agg(s.took) filter (where s.timed <> 0),
        array_agg(s.timed) filter (where s.timed <> 0)
    from (
        select
            f.kind, w.user_id, date_bin('15 minutes', f.at, '2000-01-01 00:00:00+00') as at, f.name, f.detail,
            f.outcome, f.took, sum(f.many) as many, sum(f.completed) as completed, sum(f.failed) as failed,
            sum(f.cancelled) as cancelled, sum(f.by_rules) as by_rules, sum(f.timed)::integer as timed,
            sum(f.tokens_in) as tokens_in, sum(f.tokens_out) as tokens_out
        from unnest(p_changes) as f
        cross join lateral (select null::uuid as user_id union all select f.user_id where f.user_id is not null) as w
        group by 1, 2, 3, 4, 5, 6, 7
    ) as s
    group by 1, 2, 3, 4, 5, 6, 7
    on conflict (everybody, kind, user_id, at, name, detail, outcome) do update set
        many = c.many + excluded.many,
        completed = c.completed + excluded.completed,
        failed = c.failed + excluded.failed,
        cancelled = c.cancelled + excluded.cancelled,
        by_rules = c.by_rules + excluded.by_rules,
        timed = c.timed + excluded.timed,
        took = c.took + excluded.took,
        tokens_in = c.tokens_in + excluded.tokens_in,
        tokens_out = c.tokens_out + excluded.tokens_out,
        (durations, occurred) = (
            select m.durations, m.occurred
            from internal.merged_durations(c.durations, c.occurred, excluded.durations, excluded.occurred) as m
        );

    insert into internal.figure_days as d (kind, day, name, detail, bin, total, durations, occurred)
    select s.kind, s.day, s.name, s.detail, s.bin, sum(s.many), array_agg(s.took), array_agg(s.many)
    from (
        select
            f.kind, date_bin('1 day', f.at, '2000-01-01 00:00:00+00') as day, f.name, f.detail,
            internal.time_bin(f.took) as bin, f.took, sum(f.timed)::integer as many
        from unnest(p_changes) as f
        where f.timed <> 0
        group by 1, 2, 3, 4, 5, 6
    ) as s
    group by 1, 2, 3, 4, 5
    on conflict (kind, day, name, detail, bin) do update set
        total = d.total + excluded.total,
        (durations, occurred) = (
            select m.durations, m.occurred
            from internal.merged_durations(d.durations, d.occurred, excluded.durations, excluded.occurred) as m
        );
end
$$;

-- Move at most p_limit changes into the sums. Returns how many were moved; 0 also while another call does it.
create function public.fold_figures(p_limit integer) returns integer
language plpgsql security definer
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_changes internal.figure_changes[];
    v_many integer;
begin
    if not pg_try_advisory_xact_lock(hashtext('fold_figures')) then
        return 0;
    end if;
    -- Changes of rows from before `since` are left out: those rows are counted as they are now.
    with taken as (
        delete from internal.figure_changes
        where ctid = any(array(select c.ctid from internal.figure_changes as c limit p_limit))
        returning *
    )
    select count(*), array_agg(row(t.*)::internal.figure_changes) filter (where t.at >= s.since)
    into v_many, v_changes
    from taken as t
    inner join internal.figure_state as s on s.kind = t.kind;
    perform internal.add_figures(v_changes);
    return v_many;
end
$$;

-- Add some rows from before `since` to the sums, the newest first: about p_limit runs or calls to models, and those of
-- the same moment. Returns whether there are more.
create function public.fill_figures(p_limit integer) returns boolean
language plpgsql security definer
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set statement_timeout = '15s'
as $$
declare
    v_kind text;
    v_since timestamptz;
    v_from timestamptz;
    v_changes internal.figure_changes[];
begin
    -- Before the other lock, as whoever empties these tables does it.
    lock table public.runs, public.run_steps, public.model_metrics in access share mode;
    if not pg_try_advisory_xact_lock(hashtext('fold_figures')) then
        return true;
    end if;
    select s.kind, s.since into v_kind, v_since
    from internal.figure_state as s where s.since > '-infinity' order by s.kind limit 1;
    if not found then
        return false;
    end if;
    if v_kind = 'agent' then
        select case when count(*) < p_limit then '-infinity' else min(t.created_at) end into v_from
        from (
            select r.created_at from public.runs as r
            where r.created_at < v_since order by r.created_at desc limit p_limit
        ) as t;
    else
        select case when count(*) < p_limit then '-infinity' else min(t.created_at) end into v_from
        from (
            select m.created_at from public.model_metrics as m
            where m.created_at < v_since order by m.created_at desc limit p_limit
        ) as t;
    end if;
    -- One statement, so that the rows are counted in the state that the deleted changes led to.
    with counted as (
        delete from internal.figure_changes as c
        where c.kind = v_kind and c.at >= v_from and c.at < v_since
    )
    select array_agg(row(f.*)::internal.figure_changes) into v_changes
    from internal.figure_facts as f where f.kind = v_kind and f.at >= v_from and f.at < v_since;
    perform internal.add_figures(v_changes);
    update internal.figure_state set since = v_from where kind = v_kind;
    return exists (select 1 from internal.figure_state as s where s.since > '-infinity');
end
$$;

-- Forget all sums: figures are counted from the rows, until fill_figures has added them again. For rows that were
-- loaded without triggers. What was purged is lost to the figures by that.
create function public.reset_figures() returns void
language plpgsql security definer
set search_path = ''
as $$
begin
    lock table public.runs, public.run_steps, public.model_metrics in access share mode;
    perform pg_advisory_xact_lock(hashtext('fold_figures'));
    delete from internal.figure_cells;
    delete from internal.figure_days;
    update internal.figure_state set since = greatest(clock_timestamp(), interval '1 microsecond' + case kind
        when 'agent' then (select max(r.created_at) from public.runs as r)
        else (select max(m.created_at) from public.model_metrics as m)
    end);
end
$$;

-- Count the steps of a run as executions of this user at this moment: p_by is 1, or -1 to take them back.
create function internal.count_run(p_run_id uuid, p_user_id uuid, p_at timestamptz, p_by integer) returns void
language sql
set search_path = ''
as $$
    insert into internal.figure_changes (
        kind, user_id, at, name, many, completed, failed, cancelled, by_rules, timed, took, tokens_in, tokens_out
    )
    select
        'agent', p_user_id, p_at, f.name, p_by, p_by * f.completed, p_by * f.failed, p_by * f.cancelled,
        p_by * f.by_rules, p_by * f.timed, f.took, p_by * f.tokens_in, p_by * f.tokens_out
    from internal.step_facts as f
    where f.run_id = p_run_id
$$;

-- Count a step of a run that exists, with the values given: p_by is 1, or -1 to take it back.
create function internal.count_step(p_step public.run_steps, p_by integer) returns void
language sql
set search_path = ''
as $$
    insert into internal.figure_changes (
        kind, user_id, at, name, many, completed, failed, cancelled, by_rules, timed, took, tokens_in, tokens_out
    )
    select
        'agent', r.user_id, r.created_at, p_step.agent_type, p_by,
        p_by * (p_step.status = 'completed')::integer,
        p_by * (p_step.status = 'failed')::integer,
        p_by * (p_step.status = 'cancelled')::integer,
        p_by * (p_step.status = 'completed' and coalesce(p_step.provider = 'fallback', false))::integer,
        p_by * (p_step.status = 'completed' and p_step.started_at is not null)::integer,
        case
            when p_step.status = 'completed'
                then round(1000 * extract(epoch from p_step.finished_at - p_step.started_at))::bigint
        end,
        p_by * p_step.prompt_tokens,
        p_by * p_step.completion_tokens
    from public.runs as r
    where r.id = p_step.run_id and p_step.kind = 'agent'
$$;

create function internal.count_added_steps() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into internal.figure_changes (
        kind, user_id, at, name, many, completed, failed, cancelled, by_rules, timed, took, tokens_in, tokens_out
    )
    select
        'agent', f.user_id, f.at, f.name, 1, f.completed, f.failed, f.cancelled, f.by_rules, f.timed, f.took,
        f.tokens_in, f.tokens_out
    from added as a
    inner join internal.step_facts as f on f.run_id = a.run_id and f.key = a.key;
    return null;
end
$$;

-- Hold back writers until this file is committed. Writers lock these tables in other orders too: the wait is shorter
-- than what the detection of deadlocks needs, and `migrate` tries again.
do $$
begin
    perform set_config('lock_timeout', '400ms', true);
    lock table public.runs, public.run_steps, public.model_metrics in share row exclusive mode;
end
$$;

create trigger run_steps_added after insert on public.run_steps referencing new table as added
for each statement execute function internal.count_added_steps();

-- A step that ends, or that is retried, is one change; what nobody does is two.
create function internal.count_changed_step() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    v_was boolean := old.status = 'completed';
    v_is boolean := new.status = 'completed';
begin
    if (v_was and v_is) or (old.kind, old.agent_type) is distinct from (new.kind, new.agent_type) then
        perform internal.count_step(old, -1);
        perform internal.count_step(new, 1);
        return null;
    end if;
    insert into internal.figure_changes (
        kind, user_id, at, name, completed, failed, cancelled, by_rules, timed, took, tokens_in, tokens_out
    )
    select
        'agent', r.user_id, r.created_at, new.agent_type,
        v_is::integer - v_was::integer,
        (new.status = 'failed')::integer - (old.status = 'failed')::integer,
        (new.status = 'cancelled')::integer - (old.status = 'cancelled')::integer,
        (v_is and coalesce(new.provider = 'fallback', false))::integer
        - (v_was and coalesce(old.provider = 'fallback', false))::integer,
        (v_is and new.started_at is not null)::integer - (v_was and old.started_at is not null)::integer,
        case
            when v_is then round(1000 * extract(epoch from new.finished_at - new.started_at))::bigint
            when v_was then round(1000 * extract(epoch from old.finished_at - old.started_at))::bigint
        end,
        new.prompt_tokens - old.prompt_tokens,
        new.completion_tokens - old.completion_tokens
    from public.runs as r
    where r.id = new.run_id;
    return null;
end
$$;

create trigger run_steps_counted
after update of status, kind, agent_type, provider, prompt_tokens, completion_tokens, started_at, finished_at
on public.run_steps
for each row when (
    (new.kind = 'agent' or old.kind = 'agent')
    and (
        (
            (old.finished_at is not null or new.finished_at is not null)
            and (old.status, old.provider, old.started_at, old.finished_at)
            is distinct from (new.status, new.provider, new.started_at, new.finished_at)
        )
        or (old.kind, old.agent_type, old.prompt_tokens, old.completion_tokens)
        is distinct from (new.kind, new.agent_type, new.prompt_tokens, new.completion_tokens)
    )
)
execute function internal.count_changed_step();

-- Rows that are deleted no longer count, except those that a purge deletes: it sets pixelbloom.purging.
create function internal.count_removed_step() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    -- The steps of a deleted run were taken back before.
    perform internal.count_step(old, -1);
    return null;
end
$$;

create trigger run_steps_removed after delete on public.run_steps
for each row when (old.kind = 'agent' and coalesce(current_setting('pixelbloom.purging', true), '') <> 'on')
execute function internal.count_removed_step();

-- Calls to models count for the user of their run.
create function internal.move_calls(p_run_id uuid, p_from uuid, p_to uuid) returns void
language sql
set search_path = ''
as $$
    insert into internal.figure_changes (
        kind, user_id, at, name, detail, outcome, many, completed, timed, took, tokens_in, tokens_out
    )
    select
        'model', u.user_id, m.created_at, m.provider, m.model, m.outcome, u.by, u.by * f.usable, u.by * f.usable,
        m.latency_ms, u.by * m.prompt_tokens, u.by * m.completion_tokens
    from public.model_metrics as m
    cross join lateral (select (m.outcome in ('ok', 'truncated'))::integer as usable) as f
    cross join (values (p_from, -1), (p_to, 1)) as u (user_id, by)
    where m.run_id = p_run_id and p_from is distinct from p_to
$$;

create function internal.count_removed_run() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform internal.count_run(old.id, old.user_id, old.created_at, -1);
    perform internal.move_calls(old.id, old.user_id, null);
    return old;
end
$$;

create trigger runs_removed before delete on public.runs
for each row when (coalesce(current_setting('pixelbloom.purging', true), '') <> 'on')
execute function internal.count_removed_run();

-- A run has its user and its time from the beginning; whoever changes them by hand moves its figures.
create function internal.count_moved_run() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform internal.count_run(new.id, old.user_id, old.created_at, -1);
    perform internal.count_run(new.id, new.user_id, new.created_at, 1);
    perform internal.move_calls(new.id, old.user_id, new.user_id);
    return null;
end
$$;

create trigger runs_moved after update of user_id, created_at on public.runs
for each row when ((old.user_id, old.created_at) is distinct from (new.user_id, new.created_at))
execute function internal.count_moved_run();

create function internal.count_calls() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if tg_op <> 'INSERT' then
        insert into internal.figure_changes (
            kind, user_id, at, name, detail, outcome, many, completed, timed, took, tokens_in, tokens_out
        )
        select
            'model', r.user_id, m.created_at, m.provider, m.model, m.outcome, -1, -f.usable, -f.usable, m.latency_ms,
            -m.prompt_tokens, -m.completion_tokens
        from removed as m
        left join public.runs as r on r.id = m.run_id
        cross join lateral (select (m.outcome in ('ok', 'truncated'))::integer as usable) as f;
    end if;
    if tg_op <> 'DELETE' then
        insert into internal.figure_changes (
            kind, user_id, at, name, detail, outcome, many, completed, timed, took, tokens_in, tokens_out
        )
        select
            'model', r.user_id, m.created_at, m.provider, m.model, m.outcome, 1, f.usable, f.usable, m.latency_ms,
            m.prompt_tokens, m.completion_tokens
        from added as m
        left join public.runs as r on r.id = m.run_id
        cross join lateral (select (m.outcome in ('ok', 'truncated'))::integer as usable) as f;
    end if;
    return null;
end
$$;

create trigger model_metrics_added after insert on public.model_metrics referencing new table as added
for each statement execute function internal.count_calls();

create trigger model_metrics_changed after update on public.model_metrics
referencing old table as removed new table as added
for each statement execute function internal.count_calls();

create trigger model_metrics_removed after delete on public.model_metrics referencing old table as removed
for each statement when (coalesce(current_setting('pixelbloom.purging', true), '') <> 'on')
execute function internal.count_calls();

-- A table that is emptied has no figures.
create function internal.forget_figures() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform pg_advisory_xact_lock(hashtext('fold_figures'));
    delete from internal.figure_changes where kind = tg_argv[0];
    delete from internal.figure_cells where kind = tg_argv[0];
    delete from internal.figure_days where kind = tg_argv[0];
    update internal.figure_state set since = '-infinity' where kind = tg_argv[0];
    return null;
end
$$;

create trigger run_steps_emptied after truncate on public.run_steps
for each statement execute function internal.forget_figures('agent');

create trigger model_metrics_emptied after truncate on public.model_metrics
for each statement execute function internal.forget_figures('model');

-- What is there already is counted from the rows until a worker has added it. Later rows are in the changes.
update internal.figure_state as s set since = greatest(clock_timestamp(), n.newest + interval '1 microsecond')
from (
    select
        'agent' as kind,
        max(r.created_at) as newest
    from public.runs as r
    union all
    select
        'model' as kind,
        max(m.created_at) as newest
    from public.model_metrics as m
) as n
where s.kind = n.kind and n.newest is not null;
