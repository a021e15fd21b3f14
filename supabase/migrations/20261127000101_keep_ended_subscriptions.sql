-- Store the newest state of an object. Returns whether another event of the same second and rank conflicts: only Stripe
-- knows which of them is later.
create or replace function internal.store_stripe_object(p_state jsonb, p_event_id text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
    v_ambiguous boolean := exists (
        select 1 from public.stripe_objects as o
        where
            o.id = p_state ->> 'id'
            and (o.event_at, o.event_rank) = (internal.moment(p_state ->> 'at'), (p_state ->> 'rank')::smallint)
            and o.event_id <> p_event_id
            and o.body <> p_state -> 'body'
    );
begin
    insert into public.stripe_objects as o (id, kind, subject, body, event_at, event_rank, event_id)
    values (
        p_state ->> 'id', p_state ->> 'kind', p_state ->> 'subject', p_state -> 'body',
        internal.moment(p_state ->> 'at'), (p_state ->> 'rank')::smallint, p_event_id
    )
    on conflict (id) do update set
        subject = coalesce(excluded.subject, o.subject),
        body = excluded.body,
        event_at = excluded.event_at,
        event_rank = excluded.event_rank,
        event_id = excluded.event_id
    where
        (o.event_at, o.event_rank, o.event_id) < (excluded.event_at, excluded.event_rank, excluded.event_id)
        -- A response from Stripe is the current state, unless the subscription ended in that second: it was read before.
        or (
            coalesce((p_state ->> 'answer')::boolean, false)
            and o.event_at <= excluded.event_at
            and (o.body ->> 'status' is distinct from 'cancelled' or excluded.body ->> 'status' = 'cancelled')
        );
    return v_ambiguous;
end
$$;
