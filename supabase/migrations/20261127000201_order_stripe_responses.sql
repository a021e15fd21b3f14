-- Store the newest state of an object. Returns whether only Stripe knows which state is later: another event of the
-- same second and rank conflicts, an event conflicts with a response of its second, or another state was stored between
-- a request and its response (`over` is the event_id that was stored before the request).
create or replace function internal.store_stripe_object(p_state jsonb, p_event_id text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
    v_answer boolean := coalesce((p_state ->> 'answer')::boolean, false);
    v_exact boolean := p_state ? 'over';
    v_rank smallint := (p_state ->> 'rank')::smallint;
    -- END_RANK of `pixelbloom.payments.stripe_state`: no event of that second is later.
    c_end constant smallint := 9;
    v_ended boolean := coalesce(p_state -> 'body' ->> 'status' = 'cancelled', false);
    v_ambiguous boolean := exists (
        select 1 from public.stripe_objects as o
        where
            o.id = p_state ->> 'id'
            and o.event_id <> p_event_id
            and o.body <> p_state -> 'body'
            and case
                when v_exact then o.event_id is distinct from p_state ->> 'over' and not v_ended
                else
                    o.event_at = internal.moment(p_state ->> 'at')
                    and (
                        o.event_rank = v_rank
                        or (not v_answer and o.event_id like 'response:%' and c_end not in (o.event_rank, v_rank))
                    )
            end
    );
begin
    insert into public.stripe_objects as o (id, kind, subject, body, event_at, event_rank, event_id)
    values (
        p_state ->> 'id', p_state ->> 'kind', p_state ->> 'subject', p_state -> 'body',
        internal.moment(p_state ->> 'at'), v_rank, p_event_id
    )
    on conflict (id) do update set
        subject = coalesce(excluded.subject, o.subject),
        body = excluded.body,
        -- Stripe's clock may be ahead of ours.
        event_at = greatest(o.event_at, excluded.event_at),
        event_rank = excluded.event_rank,
        event_id = excluded.event_id
    where
        case
            -- A response is the current state, unless another was stored meanwhile. The end is final.
            when v_answer
                then
                    case
                        when v_exact then o.event_id = p_state ->> 'over' or v_ended
                        else o.event_at <= excluded.event_at
                    end
                    and (
                        o.event_at < excluded.event_at
                        or o.body ->> 'status' is distinct from 'cancelled'
                        or v_ended
                    )
            -- An event of a response's second may be earlier; its caller asks Stripe.
            when o.event_id like 'response:%' and o.event_at = excluded.event_at and v_rank <> c_end then false
            else (o.event_at, o.event_rank, o.event_id) < (excluded.event_at, excluded.event_rank, excluded.event_id)
        end;
    return v_ambiguous;
end
$$;
