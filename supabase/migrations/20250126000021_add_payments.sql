-- Payments: the newest known state of each Stripe object is stored, and the rows of subscriptions and invoices are
-- derived from these. So neither the order of events nor duplicates matter.

alter table public.user_subscriptions
add column stripe_customer_id text check (char_length(stripe_customer_id) <= 255),
add column stripe_subscription_id text unique check (char_length(stripe_subscription_id) <= 255),
add column stripe_checkout_session_id text unique check (char_length(stripe_checkout_session_id) <= 255),
add column stripe_price_id text check (char_length(stripe_price_id) <= 255),
add column cancel_at_period_end boolean not null default false,
-- When it will end, as far as that is known; null while it goes on.
add column cancel_at timestamptz,
add column current_period_end timestamptz;

create index user_subscriptions_stripe_customer on public.user_subscriptions (stripe_customer_id)
where stripe_customer_id is not null;

alter table public.invoices
add column amount_refunded numeric(16, 3) not null default 0 check (amount_refunded >= 0);

-- Events wait for a worker, again and again until they are processed; those given up are the dead letter.
alter table public.stripe_events
add column subject text check (char_length(subject) <= 255),
add column next_attempt_at timestamptz not null default now(),
add column lease_token bigint not null default 0;

drop index public.stripe_events_open;
create index stripe_events_due on public.stripe_events (next_attempt_at) where status = 'received';
create trigger stripe_events_due after insert or update of status, next_attempt_at on public.stripe_events
for each row when (new.status = 'received') execute function internal.wake_beat_for_row('next_attempt_at');

create index stripe_events_subject on public.stripe_events (subject) where subject is not null;
create index stripe_events_unlinked on public.stripe_events ((payload ->> 'id')) where subject is null;
create index stripe_events_newest on public.stripe_events (received_at desc, id desc);

-- The newest state of an object of Stripe, reduced to what rows are derived from (`pixelbloom.payments.stripe_state`).
create table public.stripe_objects (
    id text primary key check (char_length(id) <= 255),
    kind text not null check (kind in ('checkout', 'subscription', 'invoice', 'charge', 'refund', 'dispute')),
    -- The subscription that it belongs to; of a single purchase the checkout session.
    subject text check (char_length(subject) <= 255),
    body jsonb not null check (jsonb_typeof(body) = 'object'),
    -- By which event: newer ones win; of the same second those of the higher rank, then of the greater id.
    event_at timestamptz not null,
    event_rank smallint not null,
    event_id text not null
);

comment on table public.stripe_objects is 'The newest known states of Stripe objects.';

create index stripe_objects_subject on public.stripe_objects (subject, kind) where subject is not null;
create index stripe_objects_payment on public.stripe_objects ((body ->> 'payment_intent'), kind);
create index stripe_objects_redemption on public.stripe_objects ((body -> 'metadata' ->> 'redemption_key'));
create index stripe_objects_invoice on public.stripe_objects ((body ->> 'invoice'), kind);
create index stripe_objects_email on public.stripe_objects (lower((body ->> 'email') collate "C"))
where kind = 'checkout';
create index stripe_objects_charge on public.stripe_objects ((body ->> 'charge'), kind);

alter table public.stripe_objects enable row level security;

-- What a subscription's plan is called: its package's name, else the price that was bought.
create function internal.subscription_plan(p_row public.user_subscriptions) returns text
language sql stable
set search_path = ''
as $$
    select coalesce(
        (select p.name from public.pricing_packages as p where p.id = p_row.package_id),
        p_row.stripe_price_id,
        p_row.metadata ->> 'stripe_price_id',
        ''
    )
$$;

-- Convert from the smallest unit of a currency, as in Stripe, to major units, as we store money.
create function internal.major_units(p_amount jsonb, p_currency text) returns numeric
language sql immutable parallel safe
set search_path = ''
as $$ select round(p_amount::text::numeric / power(10::numeric, internal.currency_digits(p_currency)), 3) $$;

create function internal.uuid_or_null(p_text text) returns uuid
language sql immutable parallel safe
set search_path = ''
as $$
    select case when p_text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_text::uuid end
$$;

create function internal.moment(p_seconds text) returns timestamptz
language sql immutable parallel safe
set search_path = ''
as $$ select to_timestamp(p_seconds::double precision) $$;

-- Record an event of Stripe under its own id, once; with an error that says why it cannot be read, as dead-lettered.
-- Returns whether it is new.
create function public.record_stripe_event(
    p_id text, p_type text, p_subject text, p_payload jsonb, p_occurred_at timestamptz, p_handled boolean,
    p_error text default null
) returns boolean
language plpgsql
set search_path = ''
as $$
begin
    insert into public.stripe_events (id, type, subject, payload, occurred_at, status, error, processed_at)
    values (
        p_id, p_type, p_subject, p_payload, p_occurred_at,
        case when p_error is not null then 'failed' when p_handled then 'received' else 'ignored' end,
        left(p_error, 4000),
        case when p_error is null and not p_handled then clock_timestamp() end
    )
    on conflict (id) do nothing;
    return found;
end
$$;

-- Which events are due now.
create function public.due_stripe_events(p_limit integer) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(d.id), '[]') from (
        select e.id from public.stripe_events as e
        where e.status = 'received' and e.next_attempt_at <= clock_timestamp()
        order by e.next_attempt_at
        limit least(greatest(p_limit, 1), 1000)
    ) as d
$$;

-- Lease an event. Returns null if it is done, dead-lettered, not due, or leased elsewhere. An attempt whose worker died
-- is used up, too: after the last one the event is dead-lettered here.
create function public.begin_stripe_event(
    p_id text, p_lease_seconds double precision, p_max_attempts integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    e public.stripe_events;
begin
    update public.stripe_events set
        status = 'failed',
        error = coalesce(error, 'The worker was lost at each attempt; see its log, then replay the event.')
    where
        id = p_id and status = 'received' and next_attempt_at <= clock_timestamp() and attempts >= p_max_attempts;
    update public.stripe_events set
        attempts = attempts + 1,
        lease_token = lease_token + 1,
        next_attempt_at = clock_timestamp() + make_interval(secs => p_lease_seconds)
    where id = p_id and status = 'received' and next_attempt_at <= clock_timestamp()
    returning * into e;
    return case when e.id is not null then jsonb_build_object(
        'id', e.id, 'type', e.type, 'state', e.payload, 'attempts', e.attempts, 'token', e.lease_token
    ) end;
end
$$;

-- An attempt came to nothing: it is made again after a while, or the event is given up.
create function public.fail_stripe_event(
    p_id text, p_token bigint, p_error text, p_retry_seconds double precision, p_final boolean
) returns text
language sql
set search_path = ''
as $$
    update public.stripe_events set
        status = case when p_final then 'failed' else 'received' end,
        error = left(p_error, 4000),
        next_attempt_at = clock_timestamp() + make_interval(secs => p_retry_seconds)
    where id = p_id and lease_token = p_token and status = 'received'
    returning status
$$;

-- Process a dead-lettered or any other event again. Returns its previous status, or null.
create function public.replay_stripe_event(p_id text) returns text
language plpgsql
set search_path = ''
as $$
declare
    v_status text;
begin
    select status into v_status from public.stripe_events where id = p_id for update;
    update public.stripe_events set
        status = 'received', attempts = 0, error = null, processed_at = null, next_attempt_at = clock_timestamp()
    where id = p_id;
    return v_status;
end
$$;

-- Store the newest state of an object. Returns whether another event of the same second and rank conflicts: only Stripe
-- knows which of them is later.
create function internal.store_stripe_object(p_state jsonb, p_event_id text) returns boolean
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
        -- A response from Stripe is the current state.
        or (coalesce((p_state ->> 'answer')::boolean, false) and o.event_at <= excluded.event_at);
    return v_ambiguous;
end
$$;

-- Return the owner of a checkout: the named one, else the one in its metadata, else the account with its customer's
-- verified address.
create function internal.checkout_user(p_checkout jsonb) returns uuid
language sql stable
set search_path = ''
as $$
    select coalesce(
        internal.uuid_or_null(p_checkout ->> 'user'),
        internal.uuid_or_null(p_checkout -> 'metadata' ->> 'user_id'),
        internal.verified_user(p_checkout ->> 'email')
    )
$$;

-- What items of a subscription come to a month, each by its own interval: [{"amount", "interval", "interval_count"}].
create function internal.items_monthly(p_items jsonb, p_currency text) returns numeric
language sql immutable
set search_path = ''
as $$
    select sum(
        internal.major_units(i -> 'amount', p_currency) * case i ->> 'interval'
            when 'year' then 7
            when 'month' then 84
            when 'week' then 365
            when 'day' then 2555
        end / (84 * (i ->> 'interval_count')::integer)
    )
    from jsonb_array_elements(p_items) as t (i)
$$;

-- Money of a purchase that was returned, in the smallest unit. Refunds and disputes are objects of their own, and count
-- from when they were made; a failed or cancelled one counts nothing. What a charge reports as refunded beyond the
-- refunds that were known then is dated by the events that first reported it; it is gone when a later one reports less.
create function internal.returned_money(p_subject text)
returns table (
    stripe_id text, kind text, status text, charge text, currency text, amount numeric, refunded_at timestamptz
)
language sql stable
set search_path = ''
as $$
    with events as materialized (
        select
            e.id,
            e.payload ->> 'id' as object_id,
            e.payload ->> 'kind' as kind,
            e.payload -> 'body' as body,
            internal.moment(e.payload ->> 'at') as at,
            (e.payload ->> 'rank')::integer as rank
        from public.stripe_events as e
        where
            e.subject = p_subject
            and e.status <> 'failed'
            and e.payload ->> 'kind' in ('charge', 'refund', 'dispute')
    ),

    refunds as materialized (
        select
            o.id,
            case o.body ->> 'status' when 'canceled' then 'cancelled' else o.body ->> 'status' end as status,
            coalesce(o.body ->> 'charge', (
                select min(c.id) from public.stripe_objects as c
                where c.kind = 'charge' and c.body ->> 'payment_intent' = o.body ->> 'payment_intent'
            )) as charge,
            o.body ->> 'currency' as currency,
            (o.body ->> 'amount')::numeric as amount,
            internal.moment(o.body ->> 'created') as made_at,
            (
                select min(e.at) from events as e
                where e.object_id = o.id and e.body ->> 'status' in ('failed', 'canceled')
            ) as undone_at
        from public.stripe_objects as o
        where o.subject = p_subject and o.kind = 'refund'
    ),

    reports as (
        select
            e.object_id as charge,
            e.body ->> 'currency' as currency,
            e.at,
            e.rank,
            e.id,
            greatest((e.body ->> 'amount_refunded')::numeric - coalesce((
                select sum(r.amount) from refunds as r
                where
                    r.charge = e.object_id
                    and r.made_at <= e.at
                    and (r.undone_at is null or r.undone_at >= e.at)
            ), 0), 0) as unnamed
        from events as e
        where e.kind = 'charge'
    ),

    lasting as (
        select
            charge,
            currency,
            at,
            rank,
            id,
            min(unnamed) over (
                partition by charge order by at, rank, id rows between current row and unbounded following
            ) as unnamed
        from reports
    ),

    steps as (
        select
            charge,
            currency,
            at,
            unnamed - lag(unnamed, 1, 0::numeric) over (partition by charge order by at, rank, id) as amount
        from lasting
    ),

    disputes as (
        select
            e.object_id as id,
            (array_agg(e.body ->> 'funds' order by e.at desc, e.rank desc, e.id desc))[1] as funds,
            (array_agg(e.body order by e.at desc, e.rank desc, e.id desc))[1] as body,
            min(e.at) filter (where e.body ->> 'funds' = 'withdrawn') as at
        from events as e
        where e.kind = 'dispute' and e.body ? 'funds'
        group by e.object_id
    )

    select
        id,
        'refund',
        status,
        charge,
        currency,
        amount,
        made_at
    from refunds
    union all
    select
        charge || ':' || extract(epoch from at)::bigint,
        'refund',
        'succeeded',
        charge,
        min(currency),
        sum(amount),
        at
    from steps
    group by charge, at
    having sum(amount) > 0
    union all
    select
        id,
        'dispute',
        case funds when 'withdrawn' then 'succeeded' else 'cancelled' end,
        body ->> 'charge',
        body ->> 'currency',
        (body ->> 'amount')::numeric,
        at
    from disputes
    where at is not null
$$;

-- Derive the row of a purchase from the states of its checkout and its subscription. Only a completed checkout makes
-- one. Returns its id, or null.
create function internal.derive_purchase(p_subject text) returns uuid
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
        select * into v_package from public.pricing_packages as p where p.stripe_price_id = v_price;
    end if;
    select
        k.id,
        coalesce(v_package.id = any(k.package_ids), v_package.id is not null)
    into v_campaign, v_covered
    from public.pricing_campaigns as k
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
            when v_refunded is not null or c ->> 'state' = 'failed' then 'cancelled'
            when s is not null then s ->> 'status'
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
            when s -> 'never_paid' = 'true' then internal.moment(coalesce(s ->> 'ended', s ->> 'start'))
            else internal.moment(s ->> 'trial_end')
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

-- The invoice that a charge is for, as far as that is known.
create function internal.invoice_of_charge(p_charge text) returns text
language sql stable
set search_path = ''
as $$
    select coalesce(
        (select c.body ->> 'invoice' from public.stripe_objects as c where c.id = p_charge),
        (
            select min(r.body ->> 'invoice') from public.stripe_objects as r
            where r.body ->> 'charge' = p_charge and r.kind in ('refund', 'dispute')
        ),
        (
            select min(i.id) from public.stripe_objects as i
            where i.body ->> 'charge' = p_charge and i.kind = 'invoice'
        ),
        (
            select min(i.id)
            from public.stripe_objects as c
            inner join public.stripe_objects as i
                on c.body ->> 'payment_intent' = i.body ->> 'payment_intent' and i.kind = 'invoice'
            where c.id = p_charge or c.body ->> 'charge' = p_charge
        )
    )
$$;

-- The rows of a purchase's invoices. A draft that was deleted has none.
create function internal.derive_invoices(p_subject text, p_purchase_id uuid) returns void
language sql
set search_path = ''
as $$
    delete from public.invoices as i
    using public.stripe_objects as o
    where
        o.subject = p_subject and o.kind = 'invoice' and o.body ->> 'status' = 'deleted'
        and i.stripe_invoice_id = o.id;
    with returned as materialized (
        select
            internal.invoice_of_charge(r.charge) as invoice,
            sum(internal.major_units(to_jsonb(r.amount), r.currency)) as amount
        from internal.returned_money(p_subject) as r
        where r.kind = 'refund' and r.status not in ('failed', 'cancelled')
        group by 1
    )

    insert into public.invoices as i (
        user_id, subscription_id, stripe_invoice_id, status, currency, amount_due, amount_paid, amount_refunded,
        issued_at, paid_at
    )
    select
        u.user_id,
        u.id,
        o.id,
        case
            when o.body ->> 'status' = 'paid' and r.amount > 0
                and r.amount >= internal.major_units(o.body -> 'amount_paid', o.body ->> 'currency') then 'refunded'
            else o.body ->> 'status'
        end,
        o.body ->> 'currency',
        internal.major_units(o.body -> 'amount_due', o.body ->> 'currency'),
        internal.major_units(o.body -> 'amount_paid', o.body ->> 'currency'),
        coalesce(r.amount, 0),
        internal.moment(o.body ->> 'issued'),
        internal.moment(o.body ->> 'paid')
    from public.stripe_objects as o
    inner join public.user_subscriptions as u on u.id = p_purchase_id
    left join returned as r on r.invoice = o.id
    where o.subject = p_subject and o.kind = 'invoice' and o.body ->> 'status' <> 'deleted'
    on conflict (stripe_invoice_id) do update set
        user_id = excluded.user_id,
        subscription_id = excluded.subscription_id,
        status = excluded.status,
        currency = excluded.currency,
        amount_due = excluded.amount_due,
        amount_paid = excluded.amount_paid,
        amount_refunded = excluded.amount_refunded,
        issued_at = excluded.issued_at,
        paid_at = excluded.paid_at
    where (
        i.user_id, i.subscription_id, i.status, i.currency, i.amount_due, i.amount_paid, i.amount_refunded,
        i.issued_at, i.paid_at
    ) is distinct from (
        excluded.user_id, excluded.subscription_id, excluded.status, excluded.currency, excluded.amount_due,
        excluded.amount_paid, excluded.amount_refunded, excluded.issued_at, excluded.paid_at
    )
$$;

-- The rows of what was returned of a purchase.
create function internal.derive_refunds(p_subject text, p_purchase_id uuid) returns void
language sql
set search_path = ''
as $$
    delete from public.refunds as r
    where
        r.subscription_id = p_purchase_id
        and r.stripe_id not in (select m.stripe_id from internal.returned_money(p_subject) as m);
    insert into public.refunds as r (
        user_id, subscription_id, invoice_id, stripe_id, kind, status, currency, amount, refunded_at
    )
    select
        u.user_id,
        u.id,
        i.id,
        m.stripe_id,
        m.kind,
        m.status,
        m.currency,
        internal.major_units(to_jsonb(m.amount), m.currency),
        m.refunded_at
    from internal.returned_money(p_subject) as m
    inner join public.user_subscriptions as u on u.id = p_purchase_id
    left join public.invoices as i on i.stripe_invoice_id = internal.invoice_of_charge(m.charge)
    on conflict (stripe_id) do update set
        user_id = excluded.user_id,
        subscription_id = excluded.subscription_id,
        invoice_id = excluded.invoice_id,
        status = excluded.status,
        currency = excluded.currency,
        amount = excluded.amount,
        refunded_at = excluded.refunded_at
    where (
        r.user_id, r.subscription_id, r.invoice_id, r.status, r.currency, r.amount, r.refunded_at
    ) is distinct from (
        excluded.user_id, excluded.subscription_id, excluded.invoice_id, excluded.status, excluded.currency,
        excluded.amount, excluded.refunded_at
    )
$$;

-- What was returned is part of the figures.
create trigger refunds_published after insert or update or delete on public.refunds
for each row execute function internal.publish_money('status', 'amount', 'refunded_at');

-- Notify the user of a purchase, once for each event of Stripe; administrators are notified of disputes.
create function internal.notify_payments(p_subject text, p_purchase_id uuid) returns void
language sql
set search_path = ''
as $$
    select internal.notify(
        k.event, t.user_id, array[m.amount], jsonb_build_object('subscription_id', u.id, 'stripe_event_id', e.id),
        'stripe:' || e.id || ':' || t.user_id
    )
    from public.stripe_events as e
    inner join public.user_subscriptions as u on u.id = p_purchase_id
    cross join lateral (select e.payload -> 'body' as body) as p
    cross join lateral (
        select internal.money_text(
            internal.major_units(p.body -> 'notified_amount', p.body ->> 'currency'), p.body ->> 'currency'
        ) as amount
    ) as m
    cross join lateral (
        select case
            when p.body ->> 'mode' = 'payment' and p.body ->> 'state' = 'paid' then 'checkout.paid'
            when e.type <> 'customer.subscription.trial_will_end' then e.type
            when (p.body ->> 'ends_in_trial')::boolean then 'trial.last'
            when m.amount is null then 'trial.unpriced'
            else 'trial.priced'
        end as event
    ) as k
    cross join lateral (
        select u.user_id where e.type <> 'charge.dispute.created' and u.user_id is not null
        union all
        select a.user_id from public.user_profiles as a
        where e.type = 'charge.dispute.created' and a.role = 'admin'
    ) as t
    where
        e.subject = p_subject
        -- Not of one that waits for its attempt: what is due after a trial is asked for then.
        and e.status in ('processed', 'ignored')
        -- An invoice of zero is not shown to users.
        and (k.event not in ('invoice.paid', 'checkout.paid') or (p.body ->> 'notified_amount')::numeric > 0)
$$;

-- Update the rows of a purchase from the stored states. Returns its id, or null if there is none (yet).
create function internal.derive_payments(p_subject text) returns uuid
language plpgsql
set search_path = ''
as $$
declare
    v_id uuid := internal.derive_purchase(p_subject);
begin
    if v_id is not null then
        perform internal.derive_invoices(p_subject, v_id);
        perform internal.derive_refunds(p_subject, v_id);
        perform internal.notify_payments(p_subject, v_id);
    end if;
    return v_id;
end
$$;

-- What a refund or a dispute is about, as far as we know it.
create function internal.subject_of_charge(p_body jsonb) returns text
language sql stable
set search_path = ''
as $$
    select coalesce(
        (select o.subject from public.stripe_objects as o where o.id = p_body ->> 'invoice'),
        (select o.subject from public.stripe_objects as o where o.id = p_body ->> 'charge'),
        (
            select o.subject from public.stripe_objects as o
            where
                o.body ->> 'payment_intent' = p_body ->> 'payment_intent'
                and o.kind in ('checkout', 'invoice', 'charge')
                and o.subject is not null
            order by o.subject limit 1
        )
    )
$$;

-- Link what came before it was known what it is about, and its events, to the subject of this state.
create function internal.link_stripe_objects(p_state jsonb) returns void
language plpgsql
set search_path = ''
as $$
declare
    v_subject text := p_state ->> 'subject';
    v_payment text := p_state -> 'body' ->> 'payment_intent';
    v_linked text[] := array[p_state ->> 'id'];
    v_more text[];
begin
    update public.stripe_objects set subject = v_subject where id = p_state ->> 'id' and subject is null;
    loop
        with linked as (
            update public.stripe_objects as o set subject = v_subject
            where
                o.subject is null
                and o.kind in ('charge', 'refund', 'dispute')
                and (
                    o.body ->> 'invoice' = any(v_linked)
                    or o.body ->> 'charge' = any(v_linked)
                    or o.body ->> 'payment_intent' = v_payment
                    or o.id = p_state -> 'body' ->> 'charge'
                )
            returning o.id
        )

        select array_agg(id) into v_more from linked;
        exit when v_more is null;
        v_linked := v_linked || v_more;
    end loop;
    update public.stripe_events set subject = v_subject
    where subject is null and payload ->> 'id' = any(v_linked);
end
$$;

-- Apply an object's state: store it, derive the rows, and mark the event as processed, or as ignored if its subject is
-- unknown (a later checkout then applies it). Calls for one subject are serialized. Returns {"status",
-- "ambiguous_order"}, or null if the lease was lost.
create function public.apply_stripe_state(p_event_id text, p_state jsonb, p_token bigint default null) returns jsonb
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
    if p_state ->> 'kind' = 'checkout' and p_state -> 'body' -> 'metadata' ->> 'redemption_key' is not null then
        -- By the newest state that is known, whichever event this is.
        perform public.record_redemption(o.body -> 'metadata' ->> 'redemption_key', o.body ->> 'state')
        from public.stripe_objects as o where o.id = p_state ->> 'id';
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

-- Give an account the purchases that were made with its verified address and have no owner, at most a hundred at once.
-- Their invoices, refunds and notifications follow. Returns how many it got.
create function public.claim_purchases(p_user_id uuid) returns integer
language plpgsql
set search_path = ''
as $$
declare
    v_email text := internal.verified_email(p_user_id);
    v_subject text;
    v_id uuid;
    v_claimed integer := 0;
begin
    if v_email is null then
        return 0;
    end if;
    for v_subject in
        select o.subject
        from public.stripe_objects as o
        inner join public.user_subscriptions as u on o.id = u.stripe_checkout_session_id
        where
            o.kind = 'checkout' and lower((o.body ->> 'email') collate "C") = v_email
            and o.subject is not null and u.user_id is null
        order by o.subject limit 100
    loop
        perform pg_advisory_xact_lock(hashtextextended('stripe:' || v_subject, 0));
        v_id := internal.derive_payments(v_subject);
        if exists (select 1 from public.user_subscriptions as u where u.id = v_id and u.user_id = p_user_id) then
            v_claimed := v_claimed + 1;
        end if;
    end loop;
    return v_claimed;
end
$$;

-- A user's newest purchase that is not over, else the newest of all; or the one of this id.
create function public.current_subscription(p_user_id uuid, p_id uuid default null) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'subscription_id', u.id,
        'user_id', u.user_id,
        'package_id', u.package_id,
        'plan', internal.subscription_plan(u),
        'status', u.status,
        'start_date', internal.iso_utc(u.start_date),
        'end_date', internal.iso_utc(u.end_date),
        'current_period_end', internal.iso_utc(u.current_period_end),
        'cancel_at_period_end', u.cancel_at_period_end,
        'cancel_at', internal.iso_utc(u.cancel_at),
        'currency', u.currency,
        'original_price', u.original_price,
        'discount_amount', u.discount_amount,
        'final_price', u.final_price,
        'billing_interval', u.billing_interval,
        'billing_interval_count', u.billing_interval_count,
        'stripe_customer_id', u.stripe_customer_id,
        'stripe_subscription_id', u.stripe_subscription_id,
        'stripe_price_id', u.stripe_price_id
    )
    from public.user_subscriptions as u
    where u.user_id = p_user_id and (p_id is null or u.id = p_id)
    order by (u.status <> 'cancelled' and u.billing_interval <> 'once') desc, u.start_date desc, u.id desc
    limit 1
$$;
