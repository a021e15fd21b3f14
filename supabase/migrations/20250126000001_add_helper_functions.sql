-- Small functions that later files use.

-- A time as the API writes it: ISO 8601 in UTC with a Z.
create function internal.iso_utc(p_at timestamptz) returns text
language sql stable parallel safe
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- Set updated_at on every write.
create function internal.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

-- Also counts versions, against lost updates.
create function internal.touch_version() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    new.version := old.version + 1;
    return new;
end
$$;

-- Every run of one, two and three characters in a text, once. (pg_trgm is not part of every Postgres.)
create function internal.grams(p_text text) returns text[]
language sql immutable parallel safe
set search_path = ''
as $$
    with threes as materialized (
        select distinct
            t.letter as one,
            t.letter || lead(t.letter) over (order by t.n) as two,
            t.letter || lead(t.letter) over (order by t.n) || lead(t.letter, 2) over (order by t.n) as three
        from unnest(string_to_array(p_text, null)) with ordinality as t (letter, n)
    )

    select coalesce(array_agg(g.gram), '{}')
    from (select one from threes union select two from threes union select three from threes) as g (gram)
    where g.gram is not null
$$;

-- The grams that every text has which contains these words, as an array for PostgREST: the longest ones, and enough of
-- them to narrow the rows down. In small letters as this database has them, whatever its locale.
create function public.search_grams(p_words text) returns text
language sql stable
set search_path = ''
as $$
    select array_agg(f.gram)::text
    from (
        select g.gram
        from unnest(internal.grams(lower(p_words))) as g (gram)
        where char_length(g.gram) = least(char_length(lower(p_words)), 3)
        order by g.gram
        limit 8
    ) as f
$$;

-- Of the columns that the trigger names, joined by spaces. A trigger, since a browser that adds a row would need the
-- right to call what a generated column calls.
create function internal.write_grams() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    v_row jsonb := to_jsonb(new);
begin
    new.search_grams := internal.grams(lower((
        select string_agg(coalesce(v_row ->> t.name, ''), ' ' order by t.n)
        from unnest(tg_argv) with ordinality as t (name, n)
    )));
    return new;
end
$$;

create trigger leads_grams before insert or update of name, company, email, message on public.leads
for each row execute function internal.write_grams('name', 'company', 'email', 'message');

create trigger conversations_grams before insert or update of title on public.conversations
for each row execute function internal.write_grams('title');

create trigger leads_touch before update on public.leads
for each row execute function internal.touch_version();

-- A new message is no change of the conversation that another change could get lost in.
create trigger conversations_touch before update of title, status, lead_id, metadata, deleted_at on public.conversations
for each row execute function internal.touch_version();

-- Set last_message_at on every write. Runs as the owner of the table: a browser may not write that column.
create function internal.touch_conversation() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    update public.conversations
    set last_message_at = greatest(last_message_at, new.created_at) where id = new.conversation_id;
    return null;
end
$$;

create trigger messages_touch after insert on public.messages
for each row execute function internal.touch_conversation();

-- Return leads that match the words of a question, best first; the caller ranks them further. A null p_user_id means
-- all users.
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
