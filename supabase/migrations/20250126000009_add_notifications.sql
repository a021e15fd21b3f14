-- What a user should know. Written by the backend; the user marks it read or removes it.

create table public.notifications (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    notification_type text not null check (char_length(notification_type) between 1 and 100),
    severity text not null default 'info' check (severity in ('info', 'success', 'warning', 'error')),
    title text not null check (char_length(title) between 1 and 200),
    message text not null check (char_length(message) <= 4000),
    -- A path of the application, or a page elsewhere; `//host` and `/\host` would be pages elsewhere too.
    action_url text check (
        char_length(action_url) <= 2000
        and action_url ~* '^(/([^/\\[:space:][:cntrl:]]|$)|https?://)[^[:space:][:cntrl:]]*$'
    ),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    read boolean not null default false,
    read_at timestamptz,
    expires_at timestamptz,
    -- The deduplication key of a notification that is sent once.
    dedupe_key text unique check (char_length(dedupe_key) <= 200),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.notifications is 'Notifications of a user, newest first.';

create index notifications_owner on public.notifications (user_id, created_at desc, id desc);
create index notifications_newest on public.notifications (created_at desc, id desc);
create index notifications_unread on public.notifications (user_id, created_at desc) where not read;
create index notifications_expiry on public.notifications (expires_at) where expires_at is not null;

-- read and read_at agree on every write.
create function internal.stamp_notification_read() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    new.read_at := case when new.read then coalesce(new.read_at, now()) end;
    return new;
end
$$;

create trigger notifications_touch before insert or update on public.notifications
for each row execute function internal.stamp_notification_read();

alter table public.notifications enable row level security;
grant select, delete on public.notifications to authenticated;
grant update (read) on public.notifications to authenticated;

create policy notifications_own on public.notifications for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

create policy notifications_admin on public.notifications for select to authenticated
using ((select public.is_admin()));

-- A notification as the API and the topic `user:<id>` show it.
create function internal.notification_json(p_row public.notifications) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'id', p_row.id,
        'notification_id', p_row.id,
        'user_id', p_row.user_id,
        'notification_type', p_row.notification_type,
        'severity', p_row.severity,
        'title', p_row.title,
        'message', p_row.message,
        'action_url', p_row.action_url,
        'created_at', internal.iso_utc(p_row.created_at),
        'read', p_row.read,
        'metadata', p_row.metadata
    )
$$;

-- Publish every new notification to its user.
create function internal.publish_notification() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.event_outbox (type, topic, user_id, payload)
    values (
        'notification_created',
        'user:' || new.user_id,
        new.user_id,
        internal.notification_json(new) - 'id'
    );
    perform internal.wake_beat(clock_timestamp());
    return null;
end
$$;

create trigger notifications_published after insert on public.notifications
for each row execute function internal.publish_notification();

create index event_outbox_notifications on public.event_outbox (user_id) where type = 'notification_created';

-- The newest unread of a user, the number of all, and which of them may not be published yet.
create function public.unread_notifications(p_user_id uuid, p_limit integer) returns jsonb
language sql stable
set search_path = ''
as $$
    with unread as materialized (
        select * from public.notifications as n
        where n.user_id = p_user_id and not n.read and (n.expires_at is null or n.expires_at > now())
    ),

    newest as (
        select * from unread order by created_at desc, id desc limit least(greatest(p_limit, 0), 200)
    )

    select jsonb_build_object(
        'items', coalesce((
            select jsonb_agg(internal.notification_json(n::public.notifications) order by n.created_at desc, n.id desc)
            from newest as n
        ), '[]'),
        'unread_count', (select count(*) from unread),
        'unpublished', coalesce((
            select jsonb_agg(o.payload -> 'notification_id')
            from public.event_outbox as o
            inner join unread as u on u.id = (o.payload ->> 'notification_id')::uuid
            where o.type = 'notification_created' and o.user_id = p_user_id
        ), '[]')
    )
$$;

create function public.count_unread(p_user_id uuid) returns bigint
language sql stable
set search_path = ''
as $$
    select count(*) from public.notifications as n
    where n.user_id = p_user_id and not n.read and (n.expires_at is null or n.expires_at > now())
$$;

-- Return a page of a user's notifications, newest first, and the number of unread ones; with null, of all users,
-- without that number.
create function public.list_notifications(
    p_user_id uuid, p_limit integer, p_unread_only boolean, p_type text, p_before timestamptz, p_before_id uuid
) returns jsonb
language sql stable
set search_path = ''
as $$
    with page as (
        (
            select * from public.notifications as n
            where
                n.user_id = p_user_id
                and (n.expires_at is null or n.expires_at > now())
                and (not p_unread_only or not n.read)
                and (p_type is null or n.notification_type = p_type)
                and (n.created_at, n.id)
                < (coalesce(p_before, 'infinity'), coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            order by n.created_at desc, n.id desc
            limit least(greatest(p_limit, 1), 201)
        )
        union all
        -- Each branch has an index of its own, and the one that is not meant reads nothing.
        (
            select * from public.notifications as n
            where
                p_user_id is null
                and (n.expires_at is null or n.expires_at > now())
                and (not p_unread_only or not n.read)
                and (p_type is null or n.notification_type = p_type)
                and (n.created_at, n.id)
                < (coalesce(p_before, 'infinity'), coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
            order by n.created_at desc, n.id desc
            limit least(greatest(p_limit, 1), 201)
        )
    )

    select jsonb_build_object(
        'items', coalesce((
            select jsonb_agg(internal.notification_json(n::public.notifications) order by n.created_at desc, n.id desc)
            from page as n
        ), '[]'),
        'unread_count', case when p_user_id is not null then public.count_unread(p_user_id) end
    )
$$;

-- Return a notification of the user, or with a null user of any user; null if there is none.
create function public.find_notification(p_user_id uuid, p_id uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select internal.notification_json(n) from public.notifications as n
    where n.id = p_id and (p_user_id is null or n.user_id = p_user_id)
        and (n.expires_at is null or n.expires_at > now())
$$;

-- Mark some of a user's notifications, or with null all, as read. Returns how many were unread, and how many still are.
create function public.mark_notifications_read(p_user_id uuid, p_ids uuid[]) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    v_marked bigint;
begin
    update public.notifications set read = true
    where user_id = p_user_id and not read and (p_ids is null or id = any(p_ids));
    get diagnostics v_marked = row_count;
    return jsonb_build_object('marked', v_marked, 'unread_count', public.count_unread(p_user_id));
end
$$;

-- Remove a notification of the user, or with a null user of any user. Returns whether there was one.
create function public.remove_notification(p_user_id uuid, p_id uuid) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    delete from public.notifications where id = p_id and (p_user_id is null or user_id = p_user_id);
    return found;
end
$$;

-- Remove at most p_limit notifications that expired or were read before a time. Returns the number removed.
create function public.purge_notifications(p_read_before timestamptz, p_limit integer) returns integer
language plpgsql
set search_path = ''
as $$
declare
    v_gone integer;
begin
    delete from public.notifications where id in (
        (select id from public.notifications where expires_at <= now() limit p_limit)
        union all
        (select id from public.notifications where read and read_at < p_read_before limit p_limit)
        limit p_limit
    );
    get diagnostics v_gone = row_count;
    return v_gone;
end
$$;

create index notifications_read on public.notifications (read_at) where read;

-- Create a notification, with a key only once. Returns its id, or null if the key exists.
create function public.notify_user(
    p_user_id uuid,
    p_type text,
    p_severity text,
    p_title text,
    p_message text,
    p_action_url text default null,
    p_metadata jsonb default '{}',
    p_key text default null
) returns uuid
language plpgsql security definer
set search_path = ''
as $$
declare
    v_id uuid;
begin
    insert into public.notifications
        (user_id, notification_type, severity, title, message, action_url, metadata, dedupe_key)
    values (
        p_user_id, p_type, p_severity, left(p_title, 200), left(p_message, 4000), p_action_url, p_metadata, p_key
    )
    on conflict (dedupe_key) do nothing
    returning id into v_id;
    return v_id;
end
$$;

-- The texts of notifications, by what happened. %1$s, %2$s and %3$s are the values of `internal.notify`.
create table internal.notification_texts (
    event text primary key,
    notification_type text not null,
    severity text not null,
    title text not null,
    message text not null,
    action_url text not null
);

insert into internal.notification_texts values
-- Runs: the name of the agent or workflow, the error, the run's id.
('run.completed', 'run_completed', 'success', '%1$s is done', 'The result is ready.', '/runs/%3$s'),
('run.failed', 'run_failed', 'error', '%1$s has failed', '%2$s', '/runs/%3$s'),
('run.cancelled', 'run_cancelled', 'info', '%1$s was cancelled', 'It was cancelled.', '/runs/%3$s'),
-- Steps that wait: the name of the workflow, the step, the run's id.
(
    'approval.owner', 'approval_waiting', 'warning', '%1$s waits for you',
    'The step %2$s goes on when you approve it.', '/approvals'
),
(
    'approval.admin', 'approval_waiting', 'warning', '%1$s waits for an administrator',
    'The step %2$s goes on when an administrator approves it.', '/runs/%3$s'
),
-- Leads: the name, the score, the id.
('lead.hot', 'lead_qualified', 'success', '%1$s is a hot lead', 'It scored %2$s of 100.', '/leads/%3$s'),
-- Events of Stripe: the amount.
('invoice.paid', 'payment_succeeded', 'success', 'Payment received', 'We received %1$s. Thank you!', '/billing'),
('checkout.paid', 'payment_succeeded', 'success', 'Payment received', 'We received %1$s. Thank you!', '/billing'),
(
    'invoice.payment_failed', 'payment_failed', 'error', 'Payment failed',
    'We could not collect %1$s; check your payment method.', '/billing'
),
(
    'checkout.session.async_payment_failed', 'payment_failed', 'error', 'Payment failed',
    'We could not collect %1$s; nothing was bought.', '/billing'
),
('charge.refunded', 'payment_refunded', 'info', 'Payment refunded', 'We gave %1$s back.', '/billing'),
('trial.priced', 'trial_ending', 'warning', 'Your trial ends soon', 'After it, %1$s is due.', '/billing'),
(
    'trial.unpriced', 'trial_ending', 'warning', 'Your trial ends soon',
    'After it, the price of your subscription is due.', '/billing'
),
(
    'trial.last', 'trial_ending', 'warning', 'Your trial ends soon',
    'Your subscription ends with it; nothing is due.', '/billing'
),
(
    'customer.subscription.deleted', 'subscription_ended', 'info', 'Your subscription has ended',
    'You are not charged any more.', '/billing'
),
(
    'charge.dispute.created', 'payment_disputed', 'error', 'A payment is disputed', 'A customer disputes %1$s.',
    '/billing'
);

-- From which value something happens. Agents use the same numbers; a test compares them.
create table internal.thresholds (name text primary key, value numeric not null);

insert into internal.thresholds values ('hot_lead_score', 70);

-- Notify a user of what happened, with the texts for it, or another message; once per key.
create function internal.notify(
    p_event text, p_user_id uuid, p_values text[], p_metadata jsonb, p_key text, p_message text default null
) returns void
language sql security definer
set search_path = ''
as $$
    select public.notify_user(
        p_user_id, t.notification_type, t.severity, format(t.title, variadic p_values),
        coalesce(p_message, format(t.message, variadic p_values)), format(t.action_url, variadic p_values),
        p_metadata, p_key
    )
    from internal.notification_texts as t where t.event = p_event
$$;

-- What an agent or a workflow is called in a sentence: `some_agent` is Some agent.
create function internal.run_name(p_run public.runs) returns text
language sql immutable
set search_path = ''
as $$
    select upper(left(n.name, 1)) || replace(substr(n.name, 2), '_', ' ')
    from (select coalesce(p_run.workflow_id, p_run.agent_type) as name) as n
$$;

-- Notify the user of a run of its end, except for chats, whose reply is visible. `"notify": false` in the run's
-- metadata disables it.
create function internal.notify_run_end() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if new.kind = 'agent' and exists (
        select 1 from public.run_steps as s where s.run_id = new.id and s.writes = 'reply'
    ) then
        return null;
    end if;
    perform internal.notify(
        'run.' || new.status,
        new.user_id,
        array[internal.run_name(new), new.error, new.id::text],
        jsonb_build_object('run_id', new.id, 'kind', new.kind, 'name', coalesce(new.workflow_id, new.agent_type)),
        'run:' || new.id || ':' || new.rev
    );
    return null;
end
$$;

create trigger runs_notified after update of status on public.runs
for each row when (
    new.user_id is not null
    and new.status in ('completed', 'failed', 'cancelled')
    and old.status not in ('completed', 'failed', 'cancelled')
    and new.metadata -> 'notify' is distinct from 'false'::jsonb
)
execute function internal.notify_run_end();

-- Notify those who may decide an approval.
create function internal.notify_approval() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    r public.runs;
begin
    select * into r from public.runs where id = new.run_id;
    if r.user_id is not null then
        perform internal.notify(
            case new.input ->> 'approvers' when 'admin' then 'approval.admin' else 'approval.owner' end,
            r.user_id,
            array[internal.run_name(r), new.key, r.id::text],
            jsonb_build_object(
                'run_id', r.id, 'step', new.key, 'message', new.input ->> 'message',
                'deadline_at', internal.iso_utc(new.deadline_at)
            ),
            'approval:' || r.id || ':' || new.key || ':' || r.rev,
            nullif(new.input ->> 'message', '')
        );
    end if;
    return null;
end
$$;

create trigger run_steps_notified after update of status on public.run_steps
for each row when (new.status = 'waiting' and old.status <> 'waiting')
execute function internal.notify_approval();

-- A lead that became hot is worth a call at once.
create function internal.notify_lead() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform internal.notify(
        'lead.hot',
        new.user_id,
        array[left(new.name, 150), new.score::text, new.id::text],
        jsonb_build_object('lead_id', new.id, 'score', new.score),
        'lead:' || new.id || ':' || new.version
    )
    from internal.thresholds as t
    where t.name = 'hot_lead_score' and new.score >= t.value and coalesce(old.score, 0) < t.value;
    return null;
end
$$;

create trigger leads_notified after update of score on public.leads
for each row when (new.user_id is not null and new.deleted_at is null and new.score is distinct from old.score)
execute function internal.notify_lead();
