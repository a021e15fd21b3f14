-- Changes of leads, conversations and subscriptions are written to the outbox in the same transaction, whether by the
-- backend or by a browser under its user's rights. See ..09 for notifications.

-- Leave an event. As the owner of the table: those who write leads may not write events.
create function internal.publish_event(p_type text, p_user_id uuid, p_payload jsonb) returns void
language sql security definer
set search_path = ''
as $$
    insert into public.event_outbox (type, topic, user_id, payload)
    values (
        p_type,
        coalesce('user:' || p_user_id, 'admins'),
        p_user_id,
        p_payload || jsonb_build_object('user_id', p_user_id)
    );
    select internal.wake_beat(clock_timestamp());
$$;

-- Live figures must be recomputed; clients get no event.
create function internal.publish_change(p_subject text, p_row_id uuid, p_user_id uuid) returns void
language sql
set search_path = ''
as $$
    select internal.publish_event('data_changed', p_user_id, jsonb_build_object(
        'subject', p_subject, 'row_id', p_row_id, 'changed_at', internal.iso_utc(clock_timestamp())
    ))
$$;

create function internal.publish_lead() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        perform internal.publish_event('lead_created', new.user_id, jsonb_build_object(
            'lead_id', new.id, 'created_at', internal.iso_utc(new.created_at)
        ));
    elsif tg_op = 'DELETE' then
        perform internal.publish_change('leads', old.id, old.user_id);
    elsif new.analysis_id is not null and new.analysis_id is distinct from old.analysis_id then
        perform internal.publish_event('lead_analyzed', new.user_id, jsonb_build_object(
            'lead_id', new.id,
            'analysis_id', new.analysis_id,
            'completed_at', internal.iso_utc(coalesce(new.analyzed_at, now()))
        ));
    elsif (new.status, new.deleted_at, new.created_at) is distinct from (old.status, old.deleted_at, old.created_at) then
        perform internal.publish_change('leads', new.id, new.user_id);
    end if;
    return null;
end
$$;

create trigger leads_published after insert or update or delete on public.leads
for each row execute function internal.publish_lead();

create function internal.publish_message() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    -- The assistant's messages belong to the conversation's owner.
    v_owner uuid := coalesce(
        new.user_id, (select c.user_id from public.conversations as c where c.id = new.conversation_id)
    );
begin
    perform internal.publish_event('message_created', v_owner, jsonb_build_object(
        'conversation_id', new.conversation_id,
        'message_id', new.id,
        'created_at', internal.iso_utc(new.created_at)
    ));
    return null;
end
$$;

create trigger messages_published after insert on public.messages
for each row execute function internal.publish_message();

create function internal.publish_conversation() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if tg_op = 'DELETE' then
        if old.deleted_at is null then
            perform internal.publish_event('conversation_deleted', old.user_id, jsonb_build_object(
                'conversation_id', old.id, 'deleted_at', internal.iso_utc(clock_timestamp())
            ));
        end if;
    elsif tg_op = 'INSERT' then
        perform internal.publish_change('conversations', new.id, new.user_id);
    elsif new.deleted_at is not null and old.deleted_at is null then
        perform internal.publish_event('conversation_deleted', new.user_id, jsonb_build_object(
            'conversation_id', new.id, 'deleted_at', internal.iso_utc(new.deleted_at)
        ));
    elsif (new.status, new.deleted_at) is distinct from (old.status, old.deleted_at) then
        perform internal.publish_change('conversations', new.id, new.user_id);
    end if;
    return null;
end
$$;

create trigger conversations_published after insert or update or delete on public.conversations
for each row execute function internal.publish_conversation();

create function internal.publish_subscription() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if tg_op = 'INSERT' then
        perform internal.publish_event('subscription_created', new.user_id, jsonb_build_object(
            'subscription_id', new.id,
            'plan', internal.subscription_plan(new),
            'created_at', internal.iso_utc(new.created_at)
        ));
    elsif tg_op = 'DELETE' then
        perform internal.publish_change('subscriptions', old.id, old.user_id);
    elsif to_jsonb(new) - 'updated_at' is distinct from to_jsonb(old) - 'updated_at' then
        perform internal.publish_event('subscription_updated', new.user_id, jsonb_build_object(
            'subscription_id', new.id,
            'plan', internal.subscription_plan(new),
            'updated_at', internal.iso_utc(clock_timestamp())
        ));
    end if;
    return null;
end
$$;

create trigger user_subscriptions_published after insert or update or delete on public.user_subscriptions
for each row execute function internal.publish_subscription();

-- What was paid or returned is part of the figures. The trigger names the columns that matter.
create function internal.publish_money() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if tg_op = 'DELETE' then
        perform internal.publish_change('subscriptions', old.id, old.user_id);
    elsif tg_op = 'INSERT' or exists (
        select 1 from unnest(tg_argv) as c (name)
        where to_jsonb(new) -> c.name is distinct from to_jsonb(old) -> c.name
    ) then
        perform internal.publish_change('subscriptions', new.id, new.user_id);
    end if;
    return null;
end
$$;

create trigger invoices_published after insert or update or delete on public.invoices
for each row execute function internal.publish_money('status', 'amount_paid', 'paid_at');
