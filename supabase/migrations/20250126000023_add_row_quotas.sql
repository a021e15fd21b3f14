-- The maximum rows of a table per user, whoever writes them. Operators change the numbers with an update.
create table public.row_quotas (
    table_name text primary key check (table_name in ('leads', 'conversations', 'messages')),
    rows_per_user integer not null check (rows_per_user > 0)
);

comment on table public.row_quotas is 'The largest number of rows that one user may have in a table.';

insert into public.row_quotas (table_name, rows_per_user) values
('leads', 20000), ('conversations', 10000), ('messages', 100000);

alter table public.row_quotas enable row level security;

-- After each statement: reject it if it inserted rows of a user who now exceeds the quota. Only the API's roles are
-- limited, not the owner of the database (seeds, restores). Of messages that runs add, only the question of an
-- agent run, stored under the run's id when the run is accepted, is rejected, together with the run. Rows that a
-- run adds later are counted but not rejected, since an accepted run must be able to end.
create function internal.enforce_row_quota() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    quota integer;
    over boolean;
begin
    if coalesce(current_setting('role', true), '') not in ('authenticated', 'service_role') then
        return null;
    end if;
    select q.rows_per_user into quota from public.row_quotas as q where q.table_name = tg_table_name;
    if quota is null then
        return null;
    end if;
    execute format(
        'select exists (
            select 1
            from (select distinct i.user_id from inserted as i where i.user_id is not null %s) as u
            where exists (
                select 1 from public.%I as t where t.user_id = u.user_id order by t.created_at desc offset $1 limit 1
            )
        )',
        case tg_table_name when 'messages' then 'and (i.run_id is null or i.run_id = i.id)' else '' end, tg_table_name
    ) into over using quota;
    if over then
        raise exception 'A user may have % rows in %; permanently remove some first.', quota, tg_table_name
            using errcode = 'PT409';
    end if;
    return null;
end
$$;

-- Of a workflow's run: its steps add messages when they end, so it is refused at its acceptance where its user has no
-- more room for one. The items of a map, which are inserted while it runs, are not refused.
create function internal.enforce_message_quota() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    quota integer;
begin
    if coalesce(current_setting('role', true), '') not in ('authenticated', 'service_role') then
        return null;
    end if;
    select q.rows_per_user into quota from public.row_quotas as q where q.table_name = 'messages';
    if quota is not null and exists (
        select 1
        from public.runs as r
        inner join public.messages as m on r.user_id = m.user_id
        where r.id = new.run_id
        order by m.created_at desc
        offset quota - 1
        limit 1
    ) then
        raise exception 'A user may have % rows in messages; permanently remove some first.', quota
            using errcode = 'PT409';
    end if;
    return null;
end
$$;

create trigger leads_quota after insert on public.leads referencing new table as inserted
for each statement execute function internal.enforce_row_quota();
create trigger conversations_quota after insert on public.conversations referencing new table as inserted
for each statement execute function internal.enforce_row_quota();
create trigger messages_quota after insert on public.messages referencing new table as inserted
for each statement execute function internal.enforce_row_quota();
create trigger run_steps_message_quota after insert on public.run_steps
for each row when (
    new.writes = 'reply' and new.parent is null and new.spec -> 'input' -> 'conversation_id' is not null
)
execute function internal.enforce_message_quota();

-- What was removed (deleted_at) counts too, and the indexes of the lists leave it out.
create index leads_of_user on public.leads (user_id, created_at desc);
create index conversations_of_user on public.conversations (user_id, created_at desc);
