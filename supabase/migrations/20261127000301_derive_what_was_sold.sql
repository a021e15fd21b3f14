-- A purchase is derived from what was sold: later changes of packages and campaigns do not alter it. A subscription
-- whose first payment failed continues if it is paid later.

-- The prices that packages have at Stripe, and had: subscriptions remain on a price that is no longer sold.
create table public.package_prices (
    stripe_price_id text primary key check (char_length(stripe_price_id) <= 255),
    package_id uuid not null references public.pricing_packages (id) on delete cascade
);

comment on table public.package_prices is 'The present and earlier prices of packages at Stripe.';

create index package_prices_package on public.package_prices (package_id);
alter table public.package_prices enable row level security;

insert into public.package_prices (stripe_price_id, package_id)
select
    p.stripe_price_id,
    p.id
from public.pricing_packages as p
where p.stripe_price_id is not null;

-- Earlier prices, as far as purchases show them.
insert into public.package_prices (stripe_price_id, package_id)
select distinct on (u.stripe_price_id)
    u.stripe_price_id,
    u.package_id
from public.user_subscriptions as u
where u.stripe_price_id is not null and u.package_id is not null
order by u.stripe_price_id asc, u.start_date desc
on conflict (stripe_price_id) do nothing;

insert into public.package_prices (stripe_price_id, package_id)
select distinct on (o.body -> 'metadata' ->> 'price_id')
    o.body -> 'metadata' ->> 'price_id' as stripe_price_id,
    p.id as package_id
from public.stripe_objects as o
inner join public.pricing_packages as p on p.id = internal.uuid_or_null(o.body -> 'metadata' ->> 'package_id')
where o.kind = 'checkout' and o.body -> 'metadata' ->> 'price_id' is not null
order by o.body -> 'metadata' ->> 'price_id' asc, o.event_at desc
on conflict (stripe_price_id) do nothing;

-- A price under which a package was sold cannot become that of another: its subscriptions would change their package.
create function internal.store_package_price() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    -- A bulk load may have left out this trigger.
    if tg_op = 'UPDATE' and old.stripe_price_id is not null then
        insert into public.package_prices (stripe_price_id, package_id) values (old.stripe_price_id, old.id)
        on conflict (stripe_price_id) do nothing;
    end if;
    if new.stripe_price_id is null then
        return null;
    end if;
    if exists (
        select 1
        from public.package_prices as t
        inner join public.user_subscriptions as u
            on t.package_id = u.package_id and t.stripe_price_id = u.stripe_price_id
        where t.stripe_price_id = new.stripe_price_id and t.package_id <> new.id
    ) then
        raise unique_violation using message = 'another package was sold at this price';
    end if;
    insert into public.package_prices (stripe_price_id, package_id) values (new.stripe_price_id, new.id)
    on conflict (stripe_price_id) do update set package_id = excluded.package_id;
    return null;
end
$$;

create trigger pricing_packages_price_added after insert on public.pricing_packages
for each row when (new.stripe_price_id is not null) execute function internal.store_package_price();

create trigger pricing_packages_price_changed after update of stripe_price_id on public.pricing_packages
for each row when (new.stripe_price_id is distinct from old.stripe_price_id)
execute function internal.store_package_price();

-- The package that has this price, else the one that had it.
create function internal.package_of_price(p_price text) returns uuid
language sql stable
set search_path = ''
as $$
    select coalesce(
        (select p.id from public.pricing_packages as p where p.stripe_price_id = p_price),
        (select t.package_id from public.package_prices as t where t.stripe_price_id = p_price)
    )
$$;

-- The packages that the redemption's coupon covers, as the campaign was when it was redeemed; null for all.
alter table public.campaign_redemptions add column covered_package_ids uuid[];

update public.campaign_redemptions as r set covered_package_ids = c.package_ids
from public.pricing_campaigns as c
where c.id = r.campaign_id and c.package_ids is not null;

-- Begin an attempt at a checkout, and reserve one use of a code if given. Returns {"state"}:
-- `made` and `conflict` as above; `gone`: no such package; `refused`: the code does not apply, see "quote"; `open`: the
-- customer has another open checkout with this code ("redemption_key", "stripe_session_id"), which must be ended first;
-- `begun`: "attempt", and with a code "quote", "redemption_key", "expires_at" (seconds) and "applies_to", the prices
-- of the packages that the redemption covers.
-- `p_request_id` identifies the HTTP request, so that repeating this call reserves nothing twice.
create or replace function public.begin_checkout(
    p_request_key text,
    p_request_hash text,
    p_request_id uuid,
    p_package_id uuid default null,
    p_code text default null,
    p_user_id uuid default null,
    p_customer text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    k public.checkouts;
    p public.pricing_packages;
    c public.pricing_campaigns;
    r public.campaign_redemptions;
    o public.campaign_redemptions;
    v_made jsonb;
    v_refusal text;
    v_used integer;
    v_customers text[] := internal.customer_names(p_customer);
begin
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || p_request_key, 0));
    v_made := public.find_checkout(p_request_key, p_request_hash);
    if v_made is not null then
        return v_made;
    end if;
    select * into k from public.checkouts where request_key = p_request_key;
    k.attempt := coalesce(k.attempt, 1);
    if p_code is not null then
        select * into c from public.pricing_campaigns where lower(code) = lower(p_code) for update;
        select * into r from public.campaign_redemptions
        where redemption_key = 'checkout:' || p_request_key || ':' || k.attempt;
        if
            r.released_at is null and r.stripe_session_id is null
            and r.expires_at < clock_timestamp() + interval '32 minutes'
        then
            -- Its session was never returned, and Stripe creates none that expires so soon: this is a new attempt.
            perform internal.release_campaign(r.redemption_key);
            r.released_at := clock_timestamp();
            select * into c from public.pricing_campaigns where id = c.id;
        end if;
        if r.released_at is not null then
            k.attempt := k.attempt + 1;
            r := null;
        end if;
        select * into p from public.pricing_packages where id = p_package_id and (active or r.id is not null);
        if p.id is null then
            return '{"state": "gone"}';
        end if;
        if r.id is null then
            v_refusal := internal.campaign_refusal(c, p, clock_timestamp());
            if v_refusal is null and c.max_uses_per_user is not null and p_customer is null then
                v_refusal := 'needs_user';
            end if;
            if v_refusal is null or v_refusal = 'used_up' then
                select * into o from public.campaign_redemptions as x
                where
                    x.campaign_id = c.id
                    -- Who only names an address does not end the checkout of its account.
                    and (x.customer = p_customer or (p_user_id is not null and x.customer = any(v_customers)))
                    and x.released_at is null and x.completed_at is null
                limit 1
                for update;
                if o.stripe_session_id is not null then
                    return jsonb_build_object(
                        'state', 'open', 'redemption_key', o.redemption_key, 'stripe_session_id', o.stripe_session_id
                    );
                elsif o.id is not null then
                    -- Its URL was never returned, so it cannot be paid: the newer request replaces it.
                    perform internal.release_campaign(o.redemption_key);
                    select * into c from public.pricing_campaigns where id = c.id;
                end if;
                select count(*) into v_used from public.campaign_redemptions as x
                where x.campaign_id = c.id and x.customer = any(v_customers) and x.released_at is null;
                v_refusal := internal.campaign_refusal(c, p, clock_timestamp(), v_used);
            end if;
            if v_refusal is not null then
                return jsonb_build_object('state', 'refused', 'quote', internal.quote_json(p, p_code, c, v_refusal));
            end if;
            insert into public.campaign_redemptions (
                campaign_id, package_id, covered_package_ids, user_id, customer, redemption_key, taken_by, created_at,
                expires_at
            ) values (
                c.id, p.id, c.package_ids, p_user_id, p_customer, 'checkout:' || p_request_key || ':' || k.attempt,
                p_request_id, clock_timestamp(), clock_timestamp() + interval '35 minutes'
            ) returning * into r;
            update public.pricing_campaigns set uses = uses + 1 where id = c.id;
        end if;
    end if;
    insert into public.checkouts (request_key, request_hash, attempt) values (p_request_key, p_request_hash, k.attempt)
    on conflict (request_key) do update set attempt = excluded.attempt;
    return jsonb_build_object('state', 'begun', 'attempt', k.attempt) || case
        when r.id is null then '{}'::jsonb
        else jsonb_build_object(
            'quote', internal.quote_json(p, p_code, c, null),
            'redemption_key', r.redemption_key,
            'expires_at', floor(extract(epoch from r.expires_at)),
            'applies_to', (
                select jsonb_agg(t.stripe_price_id order by t.stripe_price_id) from public.pricing_packages as t
                where t.id = any(r.covered_package_ids) and t.stripe_price_id is not null
            )
        )
    end;
end
$$;

-- The state of a checkout that decides about the use of its code. A failed first payment of a subscription does not end
-- the use if the subscription continues, or was ever paid: its discount remains.
create function internal.redemption_state(p_subject text, p_checkout jsonb) returns text
language sql stable
set search_path = ''
as $$
    select case
        when p_checkout ->> 'state' = 'failed' and exists (
            select 1 from public.stripe_objects as o
            where
                o.subject = p_subject
                and case o.kind
                    when 'subscription' then o.body ->> 'status' not in ('incomplete', 'cancelled')
                    when 'invoice' then (o.body ->> 'amount_paid')::numeric > 0
                end
        ) then 'paid'
        else p_checkout ->> 'state'
    end
$$;

-- The packages that a subscription's discount covers, as it was granted: {"package_ids"}, null for all. Null if it was
-- bought without a campaign.
create function public.granted_discount(p_subscription_id uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object('package_ids', case when r.id is null then k.package_ids else r.covered_package_ids end)
    from public.user_subscriptions as u
    inner join public.pricing_campaigns as k on u.campaign_id = k.id
    left join public.stripe_objects as o on u.stripe_checkout_session_id = o.id
    left join public.campaign_redemptions as r on r.redemption_key = o.body -> 'metadata' ->> 'redemption_key'
    where u.id = p_subscription_id
$$;

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
    -- Invoices report all payments, where they are sent at all.
    if c ->> 'state' <> 'paid' or exists (
        select 1 from public.stripe_objects as o where o.subject = p_subject and o.kind = 'invoice'
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

-- Apply an object's state: store it, derive the rows, and mark the event as processed, or as ignored if its subject is
-- unknown (a later checkout then applies it). Calls for one subject are serialized. Returns {"status",
-- "ambiguous_order"}, or null if the lease was lost.
create or replace function public.apply_stripe_state(
    p_event_id text, p_state jsonb, p_token bigint default null
) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    v_subject text := p_state ->> 'subject';
    v_status text := 'ignored';
    v_ambiguous boolean;
begin
    -- Two that belong together and have no subject in common (yet) come one after the other, too.
    perform pg_advisory_xact_lock(hashtextextended('stripe:' || l.key, 0))
    from (
        select distinct k.key
        from unnest(array[
            p_state ->> 'id', p_state -> 'body' ->> 'invoice', p_state -> 'body' ->> 'charge',
            p_state -> 'body' ->> 'payment_intent'
        ]) as k (key)
        where k.key is not null and p_state ->> 'kind' <> 'subscription'
        order by k.key
    ) as l;
    v_subject := coalesce(v_subject, internal.subject_of_charge(p_state -> 'body'));
    p_state := p_state || jsonb_build_object('subject', v_subject);
    perform pg_advisory_xact_lock(hashtextextended('stripe:' || coalesce(v_subject, p_state ->> 'id'), 0));
    if p_token is not null then
        perform 1 from public.stripe_events
        where id = p_event_id and lease_token = p_token and status = 'received' for update;
        if not found then
            return null;
        end if;
        -- Ignored, as long as nothing follows from it.
        update public.stripe_events set
            subject = coalesce(v_subject, subject),
            payload = p_state,
            status = v_status
        where id = p_event_id;
    end if;
    v_ambiguous := internal.store_stripe_object(p_state, p_event_id);
    if v_subject is not null and p_state ->> 'kind' <> 'subscription' then
        perform internal.link_stripe_objects(p_state);
    end if;
    -- By the newest states that are known, whichever event this is.
    perform public.record_redemption(
        o.body -> 'metadata' ->> 'redemption_key', internal.redemption_state(o.subject, o.body)
    )
    from public.stripe_objects as o
    where
        o.body -> 'metadata' ->> 'redemption_key' is not null
        and o.kind = 'checkout'
        and (o.id = p_state ->> 'id' or (o.subject = v_subject and o.body ->> 'state' = 'failed'));
    if p_state ->> 'kind' = 'checkout' and p_state -> 'body' -> 'metadata' ->> 'redemption_key' is not null then
        v_status := 'processed';
    end if;
    if v_subject is not null and internal.derive_payments(v_subject) is not null then
        v_status := 'processed';
        -- What came before its checkout is made up for.
        update public.stripe_events set status = 'processed' where subject = v_subject and status = 'ignored';
    end if;
    update public.stripe_events set status = v_status, error = null, processed_at = clock_timestamp()
    where id = p_event_id;
    return jsonb_build_object('status', v_status, 'ambiguous_order', v_ambiguous);
end
$$;
