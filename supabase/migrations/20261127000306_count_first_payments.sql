-- Derive the row of a purchase from the states of its checkout and its subscription. Only a completed checkout makes
-- one. Returns its id, or null.
create or replace function internal.derive_purchase(p_subject text) returns uuid
language plpgsql
set search_path = ''
as $$
declare
    c jsonb;
    s jsonb;
    v_session text;
    v_user uuid;
    v_package public.pricing_packages;
    v_campaign uuid;
    v_covered boolean;
    v_price text;
    v_currency text;
    v_original numeric;
    v_discount numeric;
    v_paid timestamptz;
    v_refunded timestamptz;
    v_unpaid boolean;
    v_trial_end text;
    v_id uuid;
begin
    select o.body, o.id, o.event_at into c, v_session, v_paid from public.stripe_objects as o
    where o.subject = p_subject and o.kind = 'checkout' and o.body ->> 'state' <> 'expired'
    order by o.event_at, o.id limit 1;
    if c is null then
        return null;
    end if;
    select o.body into s from public.stripe_objects as o where o.id = p_subject and o.kind = 'subscription';

    v_user := internal.checkout_user(c);
    v_price := coalesce(s ->> 'price', c -> 'metadata' ->> 'price_id');
    select * into v_package from public.pricing_packages as p
    where
        p.id = internal.uuid_or_null(c -> 'metadata' ->> 'package_id')
        -- Not after a change to another price.
        and coalesce(s ->> 'price' = c -> 'metadata' ->> 'price_id', true);
    if v_package.id is null then
        select * into v_package from public.pricing_packages as p where p.id = internal.package_of_price(v_price);
    end if;
    -- What was granted counts, not what the campaign covers today.
    select
        k.id,
        coalesce(
            v_package.id = any(case when r.id is null then k.package_ids else r.covered_package_ids end),
            v_package.id is not null
        )
    into v_campaign, v_covered
    from public.pricing_campaigns as k
    left join public.campaign_redemptions as r on r.redemption_key = c -> 'metadata' ->> 'redemption_key'
    where k.id = internal.uuid_or_null(c -> 'metadata' ->> 'campaign_id');

    v_currency := coalesce(s ->> 'currency', c ->> 'currency');
    v_original := internal.major_units(coalesce(s -> 'amount', c -> 'amount_subtotal'), v_currency);
    -- A campaign's discount is that of the present price, as long as Stripe has one on the subscription and the
    -- campaign is for this package; another discount is known for the price of the checkout only.
    v_discount := case
        when not coalesce((s ->> 'discounted')::boolean, true) then 0
        when v_campaign is not null and s is not null and not v_covered then 0
        when c -> 'metadata' ->> 'discount_type' = 'percentage' then round(
            v_original * (c -> 'metadata' ->> 'discount_value')::numeric / 100, internal.charge_digits(v_currency)
        )
        when s is null or s -> 'amount' = c -> 'amount_subtotal'
            then internal.major_units(c -> 'amount_discount', c ->> 'currency')
        when c -> 'metadata' ->> 'discount_type' = 'fixed' then (c -> 'metadata' ->> 'discount_value')::numeric
        else 0
    end;
    v_discount := least(coalesce(v_discount, 0), v_original);
    -- A single purchase ends once it is fully refunded.
    if s is null then
        select case when sum(r.amount) >= (c ->> 'notified_amount')::numeric then max(r.refunded_at) end into v_refunded
        from internal.returned_money(p_subject) as r
        where r.amount > 0 and r.status not in ('failed', 'cancelled');
    end if;
    -- The checkout's own invoice reports its payment, where it is sent. Checkouts stored earlier do not have its id.
    if c ->> 'state' <> 'paid' or exists (
        select 1 from public.stripe_objects as o
        where o.subject = p_subject and o.kind = 'invoice' and (c ->> 'invoice' is null or o.id = c ->> 'invoice')
    ) then
        v_paid := null;
    end if;

    -- A later trial replaces the first one at Stripe; the events before it have its end.
    if s -> 'later_trial' = 'true' then
        select e.payload -> 'body' ->> 'trial_end' into v_trial_end from public.stripe_events as e
        where
            e.subject = p_subject and e.payload ->> 'id' = p_subject and e.status <> 'failed'
            and e.payload -> 'body' ? 'trial_end'
        order by (e.payload ->> 'at')::bigint desc, (e.payload ->> 'rank')::integer desc, e.id desc limit 1;
    end if;
    -- One that ended before its first payment was never paid for.
    v_unpaid := s ->> 'status' = 'cancelled'
    and not (c ->> 'state' = 'paid' and (c ->> 'notified_amount')::numeric > 0)
    and exists (
        select 1 from public.stripe_objects as o
        where
            o.subject = p_subject and o.kind = 'invoice' and (o.body ->> 'amount_due')::numeric > 0
            and o.body ->> 'status' not in ('draft', 'deleted')
    ) and not exists (
        select 1 from public.stripe_objects as o
        where o.subject = p_subject and o.kind = 'invoice' and (o.body ->> 'amount_paid')::numeric > 0
    );

    insert into public.user_subscriptions as u (
        user_id, package_id, campaign_id, status, start_date, end_date, currency, original_price, discount_amount,
        final_price, billing_interval, billing_interval_count, items_monthly, billed_from, amount_paid, paid_at,
        stripe_customer_id, stripe_subscription_id, stripe_checkout_session_id, stripe_price_id, cancel_at_period_end,
        cancel_at, current_period_end
    ) values (
        v_user,
        v_package.id,
        v_campaign,
        case
            -- A subscription whose first payment failed may be paid later.
            when s is not null then s ->> 'status'
            when v_refunded is not null or c ->> 'state' = 'failed' then 'cancelled'
            when c ->> 'state' = 'paid' then 'active'
            else 'incomplete'
        end,
        internal.moment(coalesce(s ->> 'start', c ->> 'created')),
        case
            when s is not null then internal.moment(s ->> 'ended')
            when c ->> 'state' = 'failed' then internal.moment(c ->> 'created')
            else v_refunded
        end,
        v_currency,
        v_original,
        v_discount,
        v_original - v_discount,
        coalesce(
            s ->> 'interval', case c ->> 'mode' when 'payment' then 'once' else v_package.billing_interval end, 'month'
        ),
        coalesce((s ->> 'interval_count')::integer, 1),
        internal.items_monthly(s -> 'items', v_currency),
        case
            when s -> 'never_paid' = 'true' or v_unpaid then internal.moment(coalesce(s ->> 'ended', s ->> 'start'))
            else internal.moment(coalesce(s ->> 'trial_end', v_trial_end))
        end,
        case when v_paid is not null then internal.major_units(c -> 'notified_amount', c ->> 'currency') else 0 end,
        v_paid,
        coalesce(s ->> 'customer', c ->> 'customer'),
        case when c ->> 'mode' = 'subscription' then p_subject end,
        v_session,
        v_price,
        coalesce((s ->> 'cancel_at_period_end')::boolean, false),
        internal.moment(coalesce(
            s ->> 'cancel_at', case when (s ->> 'cancel_at_period_end')::boolean then s ->> 'period_end' end
        )),
        internal.moment(s ->> 'period_end')
    )
    on conflict (stripe_checkout_session_id) do update set
        -- The owner never changes, even if another account has the address later.
        user_id = coalesce(u.user_id, excluded.user_id),
        package_id = excluded.package_id,
        campaign_id = excluded.campaign_id,
        status = excluded.status,
        start_date = excluded.start_date,
        end_date = excluded.end_date,
        currency = excluded.currency,
        original_price = excluded.original_price,
        discount_amount = excluded.discount_amount,
        final_price = excluded.final_price,
        billing_interval = excluded.billing_interval,
        billing_interval_count = excluded.billing_interval_count,
        items_monthly = excluded.items_monthly,
        billed_from = excluded.billed_from,
        amount_paid = excluded.amount_paid,
        paid_at = excluded.paid_at,
        stripe_customer_id = excluded.stripe_customer_id,
        stripe_price_id = excluded.stripe_price_id,
        cancel_at_period_end = excluded.cancel_at_period_end,
        cancel_at = excluded.cancel_at,
        current_period_end = excluded.current_period_end
    where (
        u.user_id, u.package_id, u.campaign_id, u.status, u.start_date, u.end_date, u.currency, u.original_price,
        u.discount_amount, u.final_price, u.billing_interval, u.billing_interval_count, u.items_monthly,
        u.billed_from, u.amount_paid, u.paid_at, u.stripe_customer_id, u.stripe_price_id,
        u.cancel_at_period_end, u.cancel_at, u.current_period_end
    ) is distinct from (
        coalesce(u.user_id, excluded.user_id), excluded.package_id, excluded.campaign_id, excluded.status,
        excluded.start_date, excluded.end_date, excluded.currency, excluded.original_price,
        excluded.discount_amount, excluded.final_price, excluded.billing_interval, excluded.billing_interval_count,
        excluded.items_monthly, excluded.billed_from, excluded.amount_paid, excluded.paid_at,
        excluded.stripe_customer_id, excluded.stripe_price_id, excluded.cancel_at_period_end, excluded.cancel_at,
        excluded.current_period_end
    );
    select u.id into v_id from public.user_subscriptions as u where u.stripe_checkout_session_id = v_session;
    return v_id;
end
$$;
