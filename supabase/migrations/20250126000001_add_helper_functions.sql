-- Small functions that later files use.

-- A time as the API writes it: ISO 8601 in UTC with a Z.
create function public.iso_utc(p_at timestamptz) returns text
language sql immutable parallel safe
set search_path = ''
as $$ select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- Keeps updated_at true whoever writes.
create function public.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

-- Also counts versions, against lost updates.
create function public.touch_version() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    new.version := old.version + 1;
    return new;
end
$$;

revoke execute on function public.iso_utc(timestamptz), public.touch_updated_at(), public.touch_version()
from public, anon, authenticated;
grant execute on function public.iso_utc(timestamptz) to service_role;

-- Every run of three characters in a text, once. (pg_trgm is not part of every Postgres.)
create function public.trigrams(p_text text) returns text[]
language sql immutable parallel safe
set search_path = ''
as $$
    select coalesce(array_agg(distinct c.one || c.two || c.three), '{}')
    from (
        select
            t.letter as one,
            lead(t.letter) over (order by t.n) as two,
            lead(t.letter, 2) over (order by t.n) as three
        from unnest(string_to_array(p_text, null)) with ordinality as t (letter, n)
    ) as c
    where c.three is not null
$$;

-- Of the same text as search_text, which is not known yet before the row is written. A trigger, since a browser that
-- adds a lead would need the right to call what a generated column calls.
create function public.write_trigrams() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    new.search_trigrams := public.trigrams(lower(
        new.name || ' ' || coalesce(new.company, '') || ' ' || coalesce(new.email, '') || ' '
        || coalesce(new.message, '')
    ));
    return new;
end
$$;

revoke execute on function public.trigrams(text), public.write_trigrams() from public, anon, authenticated;

create trigger leads_trigrams before insert or update of name, company, email, message on public.leads
for each row execute function public.write_trigrams();

create trigger leads_touch before update on public.leads
for each row execute function public.touch_version();

-- A new message is no change of the conversation that another change could get lost in.
create trigger conversations_touch before update of title, status, lead_id, metadata, deleted_at on public.conversations
for each row execute function public.touch_version();

-- Keeps last_message_at true whoever writes. As the owner of the table: a browser may not write that column.
create function public.touch_conversation() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.conversations
    set last_message_at = greatest(last_message_at, new.created_at) where id = new.conversation_id;
    return null;
end
$$;

revoke execute on function public.touch_conversation() from public, anon, authenticated;

create trigger messages_touch after insert on public.messages
for each row execute function public.touch_conversation();

-- Leads whose words match a question, best first; lead_agent ranks them further. A null p_user_id means: of everybody.
create function public.search_leads(p_user_id uuid, p_terms text[], p_limit integer) returns setof public.leads
language sql stable
set search_path = ''
as $$
    with found as (
        select
            l.id,
            (
                select count(*)
                from unnest(p_terms) as t (term)
                where strpos(
                    l.search_text || ' ' || lower(concat_ws(' ', l.industry, l.source, l.status)), lower(t.term)
                ) > 0
            ) as hits
        from public.leads as l
        where l.deleted_at is null and (p_user_id is null or l.user_id = p_user_id)
        order by l.created_at desc
        limit 5000
    )

    select l.*
    from found
    inner join public.leads as l on l.id = found.id
    where found.hits > 0 or cardinality(p_terms) = 0
    order by found.hits desc, l.score desc nulls last, l.budget desc nulls last, l.created_at desc
    limit least(greatest(p_limit, 1), 100)
$$;

revoke execute on function public.search_leads(uuid, text[], integer) from public, anon, authenticated;
grant execute on function public.search_leads(uuid, text[], integer) to service_role;
