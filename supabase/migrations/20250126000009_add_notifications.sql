-- What a user should know. Written by the backend; the user marks it read or removes it.

create table public.notifications (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null,
    notification_type text not null check (char_length(notification_type) between 1 and 100),
    severity text not null default 'info' check (severity in ('info', 'success', 'warning', 'error')),
    title text not null check (char_length(title) between 1 and 200),
    message text not null check (char_length(message) <= 4000),
    action_url text check (char_length(action_url) <= 2000),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    read boolean not null default false,
    read_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.notifications is 'Notifications of a user, newest first.';

create index notifications_owner on public.notifications (user_id, created_at desc, id desc);
create index notifications_unread on public.notifications (user_id, created_at desc) where not read;
create index notifications_expiry on public.notifications (expires_at) where expires_at is not null;

-- read and read_at never disagree, whoever writes.
create function public.stamp_notification_read() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    new.read_at := case when new.read then coalesce(new.read_at, now()) end;
    return new;
end
$$;

revoke execute on function public.stamp_notification_read() from public, anon, authenticated;

create trigger notifications_touch before insert or update on public.notifications
for each row execute function public.stamp_notification_read();

alter table public.notifications enable row level security;
revoke all on public.notifications from public, anon, authenticated;
grant select, delete on public.notifications to authenticated;
grant update (read) on public.notifications to authenticated;
grant all on public.notifications to service_role;

create policy notifications_own on public.notifications for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

create policy notifications_admin on public.notifications for select to authenticated
using ((select public.is_admin()));

-- A notification as the API and the topic `user:<id>` show it.
create function public.notification_json(p_row public.notifications) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'id', p_row.id,
        'notification_type', p_row.notification_type,
        'severity', p_row.severity,
        'title', p_row.title,
        'message', p_row.message,
        'action_url', p_row.action_url,
        'created_at', public.iso_utc(p_row.created_at),
        'read', p_row.read,
        'metadata', p_row.metadata
    )
$$;

-- Whoever writes one, its user hears of it.
create function public.tell_notification() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.event_outbox (type, topic, user_id, payload)
    values (
        'notification_created',
        'user:' || new.user_id,
        new.user_id,
        public.notification_json(new) - 'id'
        || jsonb_build_object('notification_id', new.id, 'user_id', new.user_id)
    );
    return null;
end
$$;

create trigger notifications_told after insert on public.notifications
for each row execute function public.tell_notification();

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
            select jsonb_agg(public.notification_json(n::public.notifications) order by n.created_at desc, n.id desc)
            from newest as n
        ), '[]'),
        'unread_count', (select count(*) from unread),
        'untold', coalesce((
            select jsonb_agg(o.payload -> 'notification_id')
            from public.event_outbox as o
            inner join unread as u on u.id = (o.payload ->> 'notification_id')::uuid
            where o.type = 'notification_created' and o.user_id = p_user_id
        ), '[]')
    )
$$;

revoke execute on function
public.notification_json(public.notifications),
public.tell_notification(),
public.unread_notifications(uuid, integer)
from public, anon, authenticated;

grant execute on function public.unread_notifications(uuid, integer), public.notification_json(public.notifications)
to service_role;
