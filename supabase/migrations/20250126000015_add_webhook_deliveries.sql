-- Completion webhooks: deliveries to callers' servers, and their outcomes.

create table public.webhook_deliveries (
    id uuid primary key default gen_random_uuid(),
    run_id uuid not null references public.runs (id) on delete cascade,
    user_id uuid,
    url text not null check (char_length(url) <= 2048),
    event text not null check (event in ('run.completed', 'run.failed', 'run.cancelled')),
    status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default clock_timestamp(),
    -- No attempt begins after this.
    expires_at timestamptz not null default clock_timestamp() + interval '24 hours',
    -- Grows with each attempt that is begun: an attempt that took too long records nothing any more.
    lease_token bigint not null default 0,
    last_status_code integer,
    last_error text check (char_length(last_error) <= 500),
    -- The newest twenty: {"at", "status_code", "error", "duration_ms"}.
    outcomes jsonb not null default '[]' check (jsonb_typeof(outcomes) = 'array'),
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    -- An attempt is in flight, or its message is on the way to a worker.
    leased_until timestamptz,
    -- The owner of a shared limit: a user, or all services together.
    owner text not null generated always as (coalesce(user_id::text, 'service')) stored,
    -- Of the URL, without its port.
    host text not null generated always as (
        coalesce(rtrim(lower(substring(url from '^[A-Za-z]+://(\[[^]]*\]|[^/?#:]*)')), '.'), '')
    ) stored,
    check ((status = 'pending') = (finished_at is null))
);

comment on table public.webhook_deliveries is 'One row per webhook of a run that ended.';

create index webhook_deliveries_due on public.webhook_deliveries (owner, next_attempt_at, id) where status = 'pending';
create index webhook_deliveries_next on public.webhook_deliveries (next_attempt_at) where status = 'pending';
create index webhook_deliveries_leased on public.webhook_deliveries (leased_until) where leased_until is not null;
create index webhook_deliveries_expiry on public.webhook_deliveries (expires_at) where status = 'pending';
create index webhook_deliveries_run on public.webhook_deliveries (run_id);
create index webhook_deliveries_owner on public.webhook_deliveries (user_id, created_at desc, id desc);
create index webhook_deliveries_newest on public.webhook_deliveries (created_at desc, id desc);

create trigger webhook_deliveries_due after insert or update of next_attempt_at on public.webhook_deliveries
for each row when (new.status = 'pending') execute function internal.wake_beat_for_row('next_attempt_at');

alter table public.webhook_deliveries enable row level security;
grant select on public.webhook_deliveries to authenticated;

create policy webhook_deliveries_own on public.webhook_deliveries for select to authenticated
using (user_id = (select auth.uid()));

create policy webhook_deliveries_admin on public.webhook_deliveries for select to authenticated
using ((select public.is_admin()));

-- The circuit breaker of each host that was unreachable recently; a reachable host has no row.
create table public.webhook_hosts (
    host text primary key,
    -- Consecutive attempts without a response.
    failures integer not null default 1,
    -- No attempt begins before this; after it one at a time, until the host responds.
    open_until timestamptz,
    open_seconds double precision,
    changed_at timestamptz not null default clock_timestamp()
);

comment on table public.webhook_hosts is 'Unreachable hosts of webhooks, and until when they are skipped.';

alter table public.webhook_hosts enable row level security;

-- Written in the transaction that ends the run.
create function internal.note_webhook() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    insert into public.webhook_deliveries (run_id, user_id, url, event)
    values (new.id, new.user_id, new.webhook_url, 'run.' || new.status);
    return new;
end
$$;

create trigger runs_webhook after update of status on public.runs
for each row
when (new.webhook_url is not null and new.finished_at is not null and old.finished_at is null)
execute function internal.note_webhook();

-- Lease due deliveries; if the sender dies, they are leased again after the lease. No owner has more than p_user_limit
-- in flight and no host more than p_host_limit, so that hanging receivers delay no others. A host with an open circuit
-- gets none, and a half-open one a single delivery. Owners take turns. Deliveries older than a day end.
create function public.take_webhooks(
    p_limit integer, p_lease_seconds double precision, p_user_limit integer, p_host_limit integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    v_now timestamptz;
    v_out jsonb;
begin
    -- One at a time: each counts what the others took.
    perform pg_advisory_xact_lock(hashtext('take_webhooks'));
    v_now := clock_timestamp();
    update public.webhook_deliveries set
        status = 'failed', finished_at = v_now, leased_until = null,
        last_error = coalesce(last_error, 'The receiver was unreachable or too slow for a day.')
    where status = 'pending' and expires_at < v_now and next_attempt_at <= v_now;

    with recursive owners as (
        (select d.owner from public.webhook_deliveries as d where d.status = 'pending' order by d.owner limit 1)
        union all
        select (
            select d.owner from public.webhook_deliveries as d
            where d.status = 'pending' and d.owner > o.owner order by d.owner limit 1
        )
        from owners as o where o.owner is not null
    ),
    busy as (
        select d.owner, d.host from public.webhook_deliveries as d
        where d.status = 'pending' and d.leased_until > v_now
    ),
    rooms as (
        select
            coalesce(b.host, h.host) as host,
            case when h.open_until > v_now then 0 when h.open_until is not null then 1 else p_host_limit end
            - coalesce(b.busy, 0) as room
        from (select host, count(*) as busy from busy group by host) as b
        full join public.webhook_hosts as h on h.host = b.host
    ),
    candidates as (
        select
            c.id, c.host, c.next_attempt_at,
            row_number() over (partition by o.owner order by c.next_attempt_at, c.id) as n
        from owners as o
        cross join lateral (
            select d.id, d.host, d.next_attempt_at from public.webhook_deliveries as d
            where d.status = 'pending' and d.owner = o.owner and d.next_attempt_at <= v_now
            and not exists (select 1 from rooms as r where r.host = d.host and r.room <= 0)
            order by d.next_attempt_at, d.id
            limit greatest(p_user_limit - (select count(*) from busy where busy.owner = o.owner), 0)
        ) as c
        where o.owner is not null
    ),
    ranked as (
        select c.*, row_number() over (partition by c.host order by c.n, c.next_attempt_at, c.id) as of_host
        from candidates as c
    ),
    chosen as (
        select k.id from ranked as k
        left join rooms as r on r.host = k.host
        where k.of_host <= coalesce(r.room, p_host_limit)
        order by k.n, k.next_attempt_at limit p_limit
    ),
    taken as (
        update public.webhook_deliveries as d
        set
            lease_token = d.lease_token + 1,
            next_attempt_at = v_now + make_interval(secs => p_lease_seconds),
            leased_until = v_now + make_interval(secs => p_lease_seconds)
        from chosen
        where d.id = chosen.id and d.status = 'pending' and d.next_attempt_at <= v_now
        returning d.id, d.lease_token
    )
    select jsonb_agg(jsonb_build_object('id', id, 'token', lease_token)) into v_out from taken;
    return coalesce(v_out, '[]');
end
$$;

-- Begin an attempt. Only the newest token begins one, and only once: a message that came late, or came twice, gets null
-- and sends nothing. Returns the delivery and the token to finish it with; the lease starts anew.
create function public.begin_webhook(p_id uuid, p_token bigint, p_lease_seconds double precision) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    d public.webhook_deliveries;
begin
    update public.webhook_deliveries
    set
        lease_token = lease_token + 1,
        next_attempt_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
        leased_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where id = p_id and lease_token = p_token and status = 'pending'
    returning * into d;
    return case when d.id is not null then jsonb_build_object(
        'run_id', d.run_id, 'url', d.url, 'event', d.event, 'attempts', d.attempts, 'token', d.lease_token
    ) end;
end
$$;

-- Record how an attempt ended. It is retried after p_retry_seconds, unless it was delivered, p_final is true, or a day
-- has passed. Returns the delivery's status, or null for an attempt that is not the newest. p_responded is whether the
-- host responded at all: after p_failures consecutive attempts without a response its circuit opens for p_open_seconds,
-- then for twice as long each time, up to ten minutes.
create function public.finish_webhook(
    p_id uuid,
    p_token bigint,
    p_delivered boolean,
    p_final boolean,
    p_status_code integer,
    p_error text,
    p_duration_ms integer,
    p_retry_seconds double precision,
    p_responded boolean,
    p_failures integer,
    p_open_seconds double precision
) returns text
language plpgsql
set search_path = ''
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_status text;
    v_host text;
begin
    update public.webhook_deliveries as d set
        attempts = d.attempts + 1,
        last_status_code = p_status_code,
        last_error = left(p_error, 500),
        outcomes = case when jsonb_array_length(d.outcomes) >= 20 then d.outcomes - 0 else d.outcomes end
        || jsonb_build_array(jsonb_build_object(
            'at', internal.iso_utc(clock_timestamp()), 'status_code', p_status_code,
            'error', left(p_error, 500), 'duration_ms', p_duration_ms
        )),
        status = t.status,
        next_attempt_at = clock_timestamp() + make_interval(secs => p_retry_seconds),
        finished_at = case when t.status <> 'pending' then clock_timestamp() end,
        leased_until = null
    from (
        select case
            when p_delivered then 'delivered'
            when p_final or o.expires_at < clock_timestamp() + make_interval(secs => p_retry_seconds) then 'failed'
            else 'pending'
        end as status
        from public.webhook_deliveries as o where o.id = p_id
    ) as t
    where d.id = p_id and d.lease_token = p_token and d.status = 'pending'
    returning d.status, d.host into v_status, v_host;
    if v_status is null then
        return null;
    end if;
    if p_responded then
        delete from public.webhook_hosts where host = v_host;
        return v_status;
    end if;
    delete from public.webhook_hosts where changed_at < v_now - interval '1 day';
    insert into public.webhook_hosts as h (host) values (v_host)
    on conflict (host) do update set
        failures = h.failures + 1,
        changed_at = v_now,
        -- Those that began before it opened say nothing new.
        open_seconds = case
            when h.failures + 1 < p_failures or h.open_until > v_now then h.open_seconds
            else least(coalesce(h.open_seconds * 2, p_open_seconds), 600)
        end,
        open_until = case
            when h.failures + 1 < p_failures or h.open_until > v_now then h.open_until
            else v_now + make_interval(secs => least(coalesce(h.open_seconds * 2, p_open_seconds), 600))
        end;
    return v_status;
end
$$;

-- Try an ended delivery again, for another day and with the pauses of the first one. Returns its status before, or null
-- where there is none.
create function public.redeliver_webhook(p_id uuid) returns text
language plpgsql
set search_path = ''
as $$
declare
    v_status text;
begin
    select status into v_status from public.webhook_deliveries where id = p_id for update;
    if v_status in ('delivered', 'failed') then
        update public.webhook_deliveries set
            status = 'pending', finished_at = null, attempts = 0, next_attempt_at = clock_timestamp(),
            expires_at = clock_timestamp() + interval '24 hours'
        where id = p_id;
    end if;
    return v_status;
end
$$;
