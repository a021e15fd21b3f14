-- Notifications that an administrator sends to some or to all users: one row here, sent in batches by a worker.

create table public.broadcasts (
    id uuid primary key default gen_random_uuid(),
    -- Null means all users.
    user_ids uuid[] check (cardinality(user_ids) between 1 and 1000),
    notification jsonb not null check (jsonb_typeof(notification) = 'object'),
    status text not null default 'sending' check (status in ('sending', 'sent')),
    -- Users are served in the order of their ids; those up to this one have it.
    sent_up_to uuid,
    sent integer not null default 0,
    created_by uuid,
    created_at timestamptz not null default now(),
    finished_at timestamptz
);

comment on table public.broadcasts is 'Notifications to many users.';

create index broadcasts_open on public.broadcasts (created_at) where status = 'sending';

create trigger broadcasts_due after insert on public.broadcasts
for each row execute function internal.wake_beat_for_row('created_at');

alter table public.broadcasts enable row level security;
grant select on public.broadcasts to authenticated;

create policy broadcasts_admin on public.broadcasts for select to authenticated
using ((select public.is_admin()));

-- Send the next batch of a broadcast. Returns {"left": whether there is more, "sent": the number in this batch}. Safe
-- to repeat, also concurrently: the row is locked, and a user gets it once.
create function public.send_broadcast(p_id uuid, p_limit integer) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    b public.broadcasts;
    v_users uuid[];
    v_user uuid;
begin
    select * into b from public.broadcasts where id = p_id and status = 'sending' for update;
    if not found then
        return jsonb_build_object('left', false, 'sent', 0);
    end if;
    select array_agg(u.id order by u.id) into v_users
    from (
        select u.id from (
            select unnest(b.user_ids) as id
            union
            select a.id from auth.users as a where b.user_ids is null
            union
            select p.user_id from public.user_profiles as p where b.user_ids is null
        ) as u
        where b.sent_up_to is null or u.id > b.sent_up_to
        order by u.id
        limit p_limit
    ) as u;
    foreach v_user in array coalesce(v_users, '{}') loop
        perform public.notify_user(
            v_user,
            b.notification ->> 'notification_type',
            b.notification ->> 'severity',
            b.notification ->> 'title',
            b.notification ->> 'message',
            b.notification ->> 'action_url',
            b.notification -> 'metadata',
            'broadcast:' || b.id || ':' || v_user
        );
    end loop;
    if coalesce(cardinality(v_users), 0) < p_limit then
        update public.broadcasts
        set status = 'sent', finished_at = now(), sent = sent + coalesce(cardinality(v_users), 0) where id = b.id;
        return jsonb_build_object('left', false, 'sent', coalesce(cardinality(v_users), 0));
    end if;
    update public.broadcasts
    set sent_up_to = v_users[cardinality(v_users)], sent = sent + cardinality(v_users) where id = b.id;
    return jsonb_build_object('left', true, 'sent', cardinality(v_users));
end
$$;
