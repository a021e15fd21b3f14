-- Money counts on the day on which it moved, and for the package that it was paid for: an invoice may be paid in parts,
-- and a subscription may have had another package.

alter table public.invoices
-- What it was paid for; null if that is unknown: then the subscription's package counts.
add column package_id uuid references public.pricing_packages (id) on delete set null,
-- The part of amount_paid that is in invoice_parts.
add column paid_in_parts numeric(16, 3) not null default 0 check (paid_in_parts >= 0);

create index invoices_package on public.invoices (package_id) where package_id is not null;

create table public.invoice_parts (
    invoice_id uuid not null references public.invoices (id) on delete cascade,
    received_at timestamptz not null,
    amount numeric(16, 3) not null check (amount > 0),
    primary key (invoice_id, received_at)
);

comment on table public.invoice_parts is 'Payments of parts of invoices, before these were paid in full or given up.';

create index invoice_parts_received on public.invoice_parts (received_at);
alter table public.invoice_parts enable row level security;
grant select on public.invoice_parts to authenticated;

-- Who can read the invoice.
create policy invoice_parts_of_invoices on public.invoice_parts for select to authenticated
using (
    exists (
        select 1 from public.invoices as i
        where i.id = invoice_parts.invoice_id
    )
);

create policy invoice_parts_scope_read on public.invoice_parts as restrictive for select to authenticated
using ((select public.has_scope('payments:read')));

-- The parts of a purchase's invoices that were received before these were paid in full, in the smallest unit, dated by
-- the events that first reported them.
create function internal.received_parts(p_subject text)
returns table (invoice text, received_at timestamptz, amount numeric)
language sql stable
set search_path = ''
as $$
    with reports as (
        select
            e.payload ->> 'id' as invoice,
            e.id,
            internal.moment(e.payload ->> 'at') as at,
            (e.payload ->> 'rank')::integer as rank,
            (e.payload -> 'body' ->> 'amount_paid')::numeric as amount
        from public.stripe_events as e
        where
            e.subject = p_subject
            and e.status <> 'failed'
            and e.payload ->> 'kind' = 'invoice'
            and e.payload -> 'body' ->> 'status' not in ('paid', 'deleted')
        union all
        -- An invoice may have been read from Stripe without an event.
        select o.id, o.event_id, o.event_at, o.event_rank::integer, (o.body ->> 'amount_paid')::numeric
        from public.stripe_objects as o
        where o.subject = p_subject and o.kind = 'invoice' and o.body ->> 'status' not in ('paid', 'deleted')
    ),

    steps as (
        select
            r.invoice,
            r.at,
            r.amount - lag(r.amount, 1, 0::numeric) over (
                partition by r.invoice order by r.at, r.rank, r.amount, r.id
            ) as amount
        from reports as r
    )

    select s.invoice, s.at, sum(s.amount)
    from steps as s
    inner join public.stripe_objects as o on o.id = s.invoice and o.body ->> 'status' <> 'deleted'
    group by s.invoice, s.at
    having sum(s.amount) > 0
$$;

-- The rows of a purchase's invoices. A draft that was deleted has none.
create or replace function internal.derive_invoices(p_subject text, p_purchase_id uuid) returns void
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
    ),

    parts as materialized (
        select p.invoice, sum(p.amount) as amount from internal.received_parts(p_subject) as p group by p.invoice
    )

    insert into public.invoices as i (
        user_id, subscription_id, package_id, stripe_invoice_id, status, currency, amount_due, amount_paid,
        paid_in_parts, amount_refunded, issued_at, paid_at
    )
    select
        u.user_id,
        u.id,
        internal.package_of_price(o.body ->> 'price'),
        o.id,
        case
            when o.body ->> 'status' = 'paid' and r.amount > 0
                and r.amount >= internal.major_units(o.body -> 'amount_paid', o.body ->> 'currency') then 'refunded'
            else o.body ->> 'status'
        end,
        o.body ->> 'currency',
        internal.major_units(o.body -> 'amount_due', o.body ->> 'currency'),
        internal.major_units(o.body -> 'amount_paid', o.body ->> 'currency'),
        internal.major_units(to_jsonb(coalesce(p.amount, 0)), o.body ->> 'currency'),
        coalesce(r.amount, 0),
        internal.moment(o.body ->> 'issued'),
        internal.moment(o.body ->> 'paid')
    from public.stripe_objects as o
    inner join public.user_subscriptions as u on u.id = p_purchase_id
    left join returned as r on r.invoice = o.id
    left join parts as p on p.invoice = o.id
    where o.subject = p_subject and o.kind = 'invoice' and o.body ->> 'status' <> 'deleted'
    on conflict (stripe_invoice_id) do update set
        user_id = excluded.user_id,
        subscription_id = excluded.subscription_id,
        package_id = excluded.package_id,
        status = excluded.status,
        currency = excluded.currency,
        amount_due = excluded.amount_due,
        amount_paid = excluded.amount_paid,
        paid_in_parts = excluded.paid_in_parts,
        amount_refunded = excluded.amount_refunded,
        issued_at = excluded.issued_at,
        paid_at = excluded.paid_at
    where (
        i.user_id, i.subscription_id, i.package_id, i.status, i.currency, i.amount_due, i.amount_paid,
        i.paid_in_parts, i.amount_refunded, i.issued_at, i.paid_at
    ) is distinct from (
        excluded.user_id, excluded.subscription_id, excluded.package_id, excluded.status, excluded.currency,
        excluded.amount_due, excluded.amount_paid, excluded.paid_in_parts, excluded.amount_refunded,
        excluded.issued_at, excluded.paid_at
    );
    delete from public.invoice_parts as t
    using public.invoices as i
    where
        i.id = t.invoice_id and i.subscription_id = p_purchase_id
        and (i.stripe_invoice_id, t.received_at) not in (
            select p.invoice, p.received_at from internal.received_parts(p_subject) as p
        );
    insert into public.invoice_parts as t (invoice_id, received_at, amount)
    select i.id, p.received_at, internal.major_units(to_jsonb(p.amount), i.currency)
    from internal.received_parts(p_subject) as p
    inner join public.invoices as i on i.stripe_invoice_id = p.invoice
    on conflict (invoice_id, received_at) do update set amount = excluded.amount
    where t.amount <> excluded.amount
$$;

create or replace view public.money_movements with (security_invoker = true) as
select
    i.user_id,
    coalesce(i.package_id, s.package_id) as package_id,
    i.currency,
    i.paid_at as moved_at,
    true as received,
    (i.amount_paid - i.paid_in_parts)::numeric(16, 3) as amount
from public.invoices as i
left join public.user_subscriptions as s on i.subscription_id = s.id
where i.paid_at is not null and i.amount_paid > i.paid_in_parts and i.status in ('paid', 'refunded')
union all
select
    i.user_id,
    coalesce(i.package_id, s.package_id) as package_id,
    i.currency,
    p.received_at as moved_at,
    true as received,
    p.amount
from public.invoice_parts as p
inner join public.invoices as i on p.invoice_id = i.id
left join public.user_subscriptions as s on i.subscription_id = s.id
union all
select
    s.user_id,
    s.package_id,
    s.currency,
    s.paid_at as moved_at,
    true as received,
    s.amount_paid as amount
from public.user_subscriptions as s
where s.paid_at is not null and s.amount_paid > 0
union all
select
    r.user_id,
    coalesce(i.package_id, s.package_id) as package_id,
    r.currency,
    r.refunded_at as moved_at,
    false as received,
    -r.amount as amount
from public.refunds as r
left join public.user_subscriptions as s on r.subscription_id = s.id
left join public.invoices as i on r.invoice_id = i.id
where r.amount > 0 and r.status not in ('failed', 'cancelled');

-- Recurring subscriptions, from start_date (the end of a trial, if any) to before end_date, without cancelled trials
-- and without those that ended before their first payment. Past states are not stored: a subscription that is paused or
-- unpaid now never counts, nor does one that was cancelled at an unknown time. A trial that a paid subscription gets
-- later only moves its next payment.
create or replace view public.recurring_subscriptions with (security_invoker = true) as
select
    s.id,
    s.user_id,
    s.package_id,
    s.currency,
    s.end_date,
    coalesce(s.billed_from, s.start_date) as start_date,
    coalesce(s.monthly_price, 0) as monthly_price
from public.user_subscriptions as s
where
    s.billing_interval <> 'once'
    and (
        s.status in ('active', 'past_due')
        or (s.status = 'trialing' and s.billed_from is null)
        or (s.status = 'cancelled' and s.end_date is not null)
    )
    and (s.end_date is null or s.end_date >= s.start_date)
    and (s.end_date is null or s.billed_from is null or s.end_date > s.billed_from);

-- Purchases of which these rules say something else than their rows.
select
    public.record_redemption(
        o.body -> 'metadata' ->> 'redemption_key', internal.redemption_state(o.subject, o.body)
    )
from public.stripe_objects as o
where
    o.kind = 'checkout' and o.body ->> 'state' = 'failed' and o.body ->> 'mode' = 'subscription'
    and o.body -> 'metadata' ->> 'redemption_key' is not null;

select internal.derive_payments(s.subject)
from (
    select o.subject from public.stripe_objects as o
    where o.kind = 'checkout' and o.body ->> 'state' = 'failed' and o.body ->> 'mode' = 'subscription'
    union
    select o.subject from public.stripe_objects as o
    where
        o.kind = 'invoice' and o.body ->> 'status' not in ('draft', 'paid', 'deleted')
        and (o.body ->> 'amount_paid')::numeric > 0
) as s
where s.subject is not null;
