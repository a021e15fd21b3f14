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
