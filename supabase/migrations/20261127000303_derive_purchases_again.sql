-- Re-derive purchases whose rows differ under the rules of the two migrations before.
do $$
declare
    v_subject text;
begin
    -- Workers that store states of Stripe wait.
    lock table public.stripe_objects in share row exclusive mode;
    perform public.record_redemption(
        o.body -> 'metadata' ->> 'redemption_key', internal.redemption_state(o.subject, o.body)
    )
    from public.stripe_objects as o
    where
        o.kind = 'checkout' and o.body ->> 'state' = 'failed' and o.body ->> 'mode' = 'subscription'
        and o.body -> 'metadata' ->> 'redemption_key' is not null;
    for v_subject in
        select o.subject from public.stripe_objects as o
        where
            o.subject is not null
            and case o.kind
                when 'checkout' then o.body ->> 'state' = 'failed' and o.body ->> 'mode' = 'subscription'
                when 'invoice' then
                    o.body ->> 'status' not in ('draft', 'paid', 'deleted')
                    and (o.body ->> 'amount_paid')::numeric > 0
                -- Subscriptions that ended without a payment.
                when 'subscription' then
                    o.body ->> 'status' = 'cancelled'
                    and not exists (
                        select 1 from public.stripe_objects as i
                        where
                            i.subject = o.subject and i.kind = 'invoice'
                            and (i.body ->> 'amount_paid')::numeric > 0
                    )
            end
        group by o.subject
    loop
        perform internal.derive_payments(v_subject);
    end loop;
end
$$;
