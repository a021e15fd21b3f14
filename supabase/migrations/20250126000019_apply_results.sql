-- Agents' results are stored on the rows that they worked on, once, in the transaction that completes their step.

-- An agent qualified a stored lead of the run's user, or of any user if a service named no user.
create function internal.apply_lead_result(p_user_id uuid, p_run_id uuid, p_output jsonb) returns void
language sql
set search_path = ''
as $$
    update public.leads
    set
        score = (p_output ->> 'score')::smallint,
        status = case
            when status not in ('new', 'contacted', 'qualified', 'unqualified') then status
            when p_output ->> 'tier' = 'cold' then 'unqualified'
            else 'qualified'
        end,
        analysis = p_output,
        analysis_id = p_run_id,
        analyzed_at = now()
    where
        id = (p_output ->> 'lead_id')::uuid
        and deleted_at is null
        and (p_user_id is null or user_id = p_user_id)
$$;

create function internal.apply_recommendations(p_user_id uuid, p_run_id uuid, p_output jsonb) returns void
language sql
set search_path = ''
as $$
    insert into public.service_recommendations (user_id, run_id, service, reason, priority, confidence)
    select
        p_user_id,
        p_run_id,
        r.item ->> 'service',
        left(r.item ->> 'reason', 4000),
        (r.item ->> 'rank')::smallint,
        round((r.item ->> 'score')::numeric / 100, 3)
    from jsonb_array_elements(p_output -> 'recommendations') as r (item)
$$;

-- Store a message, once per step, in a conversation of the run's user; without a user (a service, or a visitor with a
-- checked right to it) in any conversation.
create function internal.add_message(
    p_conversation_id uuid, p_user_id uuid, p_role text, p_content text, p_run_id uuid, p_step text,
    p_metadata jsonb, p_id uuid
) returns void
language sql
set search_path = ''
as $$
    insert into public.messages (id, conversation_id, user_id, role, content, run_id, step, metadata, created_at)
    select p_id, c.id, c.user_id, p_role, p_content, p_run_id, p_step, p_metadata, clock_timestamp()
    from public.conversations as c
    where
        c.id = p_conversation_id
        and c.deleted_at is null
        and (p_user_id is null or c.user_id = p_user_id)
        and char_length(p_content) > 0
    on conflict do nothing
$$;

-- The conversation that an input names. It was checked to be a UUID, in any form that is one.
create function internal.named_conversation(p_input jsonb) returns uuid
language sql immutable parallel safe
set search_path = ''
as $$ select replace(lower(p_input ->> 'conversation_id'), 'urn:uuid:', '')::uuid $$;

-- The question of an agent run is stored in the conversation when the run is stored, under the run's id.
create function internal.add_question() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    perform internal.add_message(
        internal.named_conversation(new.input), r.user_id, 'user',
        left(btrim(new.input ->> 'message', E' \t\r\n'), 32000), r.id, new.key, '{}', r.id
    )
    from public.runs as r where r.id = new.run_id and r.kind = 'agent';
    return null;
end
$$;

create trigger run_steps_question after insert on public.run_steps
for each row when (new.writes = 'reply' and new.input ->> 'conversation_id' is not null)
execute function internal.add_question();

-- The reply; and the question of a workflow's step, which was not known before.
create function internal.apply_reply(p_user_id uuid, p_step public.run_steps) returns void
language plpgsql
set search_path = ''
as $$
declare
    v_conversation_id uuid := internal.named_conversation(p_step.input);
begin
    if v_conversation_id is null then
        return;
    end if;
    perform internal.add_message(
        v_conversation_id, p_user_id, 'user', left(btrim(p_step.input ->> 'message', E' \t\r\n'), 32000),
        p_step.run_id, p_step.key, '{}', gen_random_uuid()
    );
    perform internal.add_message(
        v_conversation_id, p_user_id, 'assistant', p_step.output ->> 'reply', p_step.run_id, p_step.key,
        p_step.output - 'reply' || jsonb_build_object('provider', p_step.provider, 'model', p_step.model),
        gen_random_uuid()
    );
end
$$;

-- What was said before a step's question, oldest first, at most so many. Null where the conversation is out of reach.
create function public.conversation_history(
    p_conversation_id uuid, p_user_id uuid, p_run_id uuid, p_step text, p_limit integer
) returns jsonb
language sql stable
set search_path = ''
as $$
    select (
        select coalesce(
            jsonb_agg(jsonb_build_object('role', h.role, 'content', h.content) order by h.created_at, h.id), '[]'
        )
        from (
            select m.id, m.role, m.content, m.created_at
            from public.messages as m
            where
                m.conversation_id = c.id
                and m.role in ('user', 'assistant')
                and (m.run_id, m.step) is distinct from (p_run_id, p_step)
                and m.created_at <= coalesce((
                    select q.created_at from public.messages as q
                    where q.run_id = p_run_id and q.step = p_step and q.role = 'user'
                ), 'infinity')
            order by m.created_at desc, m.id desc
            limit least(greatest(p_limit, 1), 200)
        ) as h
    )
    from public.conversations as c
    where c.id = p_conversation_id and c.deleted_at is null and (p_user_id is null or c.user_id = p_user_id)
$$;

create function internal.apply_step_result() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    v_user_id uuid := (select r.user_id from public.runs as r where r.id = new.run_id);
begin
    case new.writes
        when 'lead_analysis' then
            perform internal.apply_lead_result(v_user_id, new.run_id, new.output);
        when 'reply' then
            perform internal.apply_reply(v_user_id, new);
        when 'recommendations' then
            perform internal.apply_recommendations(v_user_id, new.run_id, new.output);
        when 'content' then
            insert into public.generated_content (user_id, run_id, kind, title, body)
            values (v_user_id, new.run_id, new.agent_type, left(new.output ->> 'title', 300), new.output);
    end case;
    return null;
end
$$;

create trigger run_steps_applied after update of status on public.run_steps
for each row when (new.writes is not null and new.status = 'completed' and old.status <> 'completed')
execute function internal.apply_step_result();
