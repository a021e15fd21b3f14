-- Retention: rows that grow without bound are deleted when they are older than the settings say, oldest first, in
-- batches. docs/data-model.md lists what is deleted when.
--
-- The triggers of the roll-ups see by pixelbloom.purging that a purge deletes the rows: their figures stay.

-- In the order in which writers lock these tables.
create index leads_deleted on public.leads (deleted_at) where deleted_at is not null;
create index conversations_deleted_at on public.conversations (deleted_at) where deleted_at is not null;
create index stripe_events_unused on public.stripe_events (received_at) where status = 'ignored' and subject is null;
create index notifications_unread_age on public.notifications (created_at) where not read;
create index webhook_deliveries_ended on public.webhook_deliveries (finished_at) where finished_at is not null;

-- Remove runs that ended before a moment, oldest first; their steps, logs and webhooks go with them. A run with a
-- webhook that is still to be delivered waits, and so does one that is not in the roll-ups yet.
create or replace function public.purge_runs(p_before timestamptz, p_limit integer) returns integer
language plpgsql
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set statement_timeout = '60s'
as $$
declare
    v_since timestamptz := (select s.since from internal.figure_state as s where s.kind = 'agent');
    v_gone integer;
begin
    perform set_config('pixelbloom.purging', 'on', true);
    delete from public.runs as r where r.id in (
        select e.id from public.runs as e
        where e.finished_at < p_before and e.created_at >= v_since
            and not exists (
                select 1 from public.webhook_deliveries as d where d.run_id = e.id and d.status = 'pending'
            )
        order by e.finished_at limit p_limit
        for update skip locked
    );
    get diagnostics v_gone = row_count;
    perform set_config('pixelbloom.purging', '', true);
    return v_gone;
end
$$;

-- Delete at most p_limit rows of a kind that are older than p_before. Returns the number deleted.
--   agent_logs, model_metrics: by their creation. Calls to models that are not in the roll-ups yet wait.
--   unread_notifications: by their creation. (purge_notifications deletes read and expired ones.)
--   webhook_deliveries: ended ones, by their end.
--   event_outbox: events that could not be published until now.
--   stripe_events: ignored ones of no known purchase, by their arrival. All others are the record of payments.
--   leads, conversations: those that were removed, by their removal. Messages go with their conversation;
--     recommendations stay without their lead.
create function public.purge_rows(p_kind text, p_before timestamptz, p_limit integer) returns integer
language plpgsql
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set statement_timeout = '60s'
as $$
declare
    v_since timestamptz;
    v_ids uuid[];
    v_gone integer;
begin
    perform set_config('pixelbloom.purging', 'on', true);
    case p_kind
        when 'agent_logs' then
            delete from public.agent_logs where id in (
                select l.id from public.agent_logs as l
                where l.created_at < p_before order by l.created_at limit p_limit for update skip locked
            );
        when 'model_metrics' then
            v_since := (select s.since from internal.figure_state as s where s.kind = 'model');
            delete from public.model_metrics where id in (
                select m.id from public.model_metrics as m
                where m.created_at < p_before and m.created_at >= v_since
                order by m.created_at limit p_limit for update skip locked
            );
        when 'unread_notifications' then
            delete from public.notifications where id in (
                select n.id from public.notifications as n
                where not n.read and n.created_at < p_before order by n.created_at limit p_limit for update skip locked
            );
        when 'webhook_deliveries' then
            delete from public.webhook_deliveries where id in (
                select d.id from public.webhook_deliveries as d
                where d.finished_at < p_before order by d.finished_at limit p_limit for update skip locked
            );
        when 'event_outbox' then
            delete from public.event_outbox where id in (
                select o.id from public.event_outbox as o
                where o.visible_at < p_before order by o.visible_at limit p_limit for update skip locked
            );
        when 'stripe_events' then
            delete from public.stripe_events where id in (
                select e.id from public.stripe_events as e
                where e.status = 'ignored' and e.subject is null and e.received_at < p_before
                order by e.received_at limit p_limit for update skip locked
            );
        when 'leads' then
            select array_agg(l.id) into v_ids from (
                select l.id from public.leads as l
                where l.deleted_at < p_before order by l.deleted_at limit p_limit for update skip locked
            ) as l;
            update public.service_recommendations set lead_id = null where lead_id = any(v_ids);
            delete from public.leads where id = any(v_ids);
        when 'conversations' then
            delete from public.conversations where id in (
                select c.id from public.conversations as c
                where c.deleted_at < p_before order by c.deleted_at limit p_limit for update skip locked
            );
        else
            raise exception 'no such kind' using errcode = '22023';
    end case;
    get diagnostics v_gone = row_count;
    perform set_config('pixelbloom.purging', '', true);
    return v_gone;
end
$$;
