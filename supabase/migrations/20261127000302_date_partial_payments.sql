-- Money counts on the day on which it moved, and for the package that it was paid for: an invoice may be paid in parts,
-- and a subscription may have had another package.

alter table public.invoices
-- What it is for, at which price. If the price is null, that is unknown, and the subscription's package counts.
add column package_id uuid references public.pricing_packages (id) on delete set null,
add column stripe_price_id text check (char_length(stripe_price_id) <= 255),
-- The part of amount_paid that is in invoice_parts.
add column paid_in_parts numeric(16, 3) not null default 0 check (paid_in_parts >= 0);

create index invoices_package on public.invoices (package_id) where package_id is not null;

update public.invoices as i set package_id = u.package_id, stripe_price_id = u.stripe_price_id
from public.user_subscriptions as u
where u.id = i.subscription_id and u.stripe_price_id is not null;

create table public.invoice_parts (
    invoice_id uuid not null references public.invoices (id) on delete cascade,
    received_at timestamptz not null,
    amount numeric(16, 3) not null check (amount > 0),
    primary key (invoice_id, received_at)
);

comment on table public.invoice_parts is 'Partial payments of invoices that were not yet paid in full.';

create index invoice_parts_received on public.invoice_parts (received_at);
alter table public.invoice_parts enable row level security;
grant select on public.invoice_parts to authenticated;

-- Readable by everyone who can read the invoice.
create policy invoice_parts_of_invoices on public.invoice_parts for select to authenticated
using (
    exists (
        select 1 from public.invoices as i
        where i.id = invoice_parts.invoice_id
    )
);

create policy invoice_parts_scope_read on public.invoice_parts as restrictive for select to authenticated
using ((select public.has_scope('payments:read')));

-- The partial payments of a purchase's invoices that were not yet paid in full, in the smallest unit, dated by the
-- events that first reported them.
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
    ),

    -- An amount that a later event lowers was not received.
    lasting as (
        select
            r.*,
            min(r.amount) over (
                partition by r.invoice order by r.at, r.rank, r.amount, r.id
                rows between current row and unbounded following
            ) as lasts
        from reports as r
    ),

    steps as (
        select
            r.invoice,
            r.at,
            r.lasts - lag(r.lasts, 1, 0::numeric) over (
                partition by r.invoice order by r.at, r.rank, r.amount, r.id
            ) as amount
        from lasting as r
    )

    select s.invoice, s.at, sum(s.amount)
    from steps as s
    inner join public.stripe_objects as o on o.id = s.invoice and o.body ->> 'status' <> 'deleted'
    group by s.invoice, s.at
    having sum(s.amount) > 0
$$;

-- The rows of a purchase's invoices. A draft that was deleted has none.
create or replace function internal.derive_invoices(p_subject text, p_purchase_id uuid) returns void
language plpgsql
set search_path = ''
as $$
declare
    v_parts jsonb := (
        select coalesce(jsonb_agg(to_jsonb(p)), '[]') from internal.received_parts(p_subject) as p
    );
begin
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
        select
            p.invoice,
            sum(p.amount) as amount
        from jsonb_to_recordset(v_parts) as p (invoice text, amount numeric)
        group by p.invoice
    )

    insert into public.invoices as i (
        user_id, subscription_id, package_id, stripe_price_id, stripe_invoice_id, status, currency, amount_due,
        amount_paid, paid_in_parts, amount_refunded, issued_at, paid_at
    )
    select
        u.user_id,
        u.id,
        case
            when o.body ->> 'price' = u.stripe_price_id then u.package_id
            else internal.package_of_price(o.body ->> 'price')
        end,
        o.body ->> 'price',
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
        -- An event without lines does not change what is known.
        package_id = case when excluded.stripe_price_id is null then i.package_id else excluded.package_id end,
        stripe_price_id = coalesce(excluded.stripe_price_id, i.stripe_price_id),
        status = excluded.status,
        currency = excluded.currency,
        amount_due = excluded.amount_due,
        amount_paid = excluded.amount_paid,
        paid_in_parts = excluded.paid_in_parts,
        amount_refunded = excluded.amount_refunded,
        issued_at = excluded.issued_at,
        paid_at = excluded.paid_at
    where (
        i.user_id, i.subscription_id, i.package_id, i.stripe_price_id, i.status, i.currency, i.amount_due,
        i.amount_paid, i.paid_in_parts, i.amount_refunded, i.issued_at, i.paid_at
    ) is distinct from (
        excluded.user_id,
        excluded.subscription_id,
        case when excluded.stripe_price_id is null then i.package_id else excluded.package_id end,
        coalesce(excluded.stripe_price_id, i.stripe_price_id),
        excluded.status,
        excluded.currency,
        excluded.amount_due,
        excluded.amount_paid,
        excluded.paid_in_parts,
        excluded.amount_refunded,
        excluded.issued_at,
        excluded.paid_at
    );
    delete from public.invoice_parts as t
    using public.invoices as i
    where
        i.id = t.invoice_id and i.subscription_id = p_purchase_id
        and not exists (
            select 1 from jsonb_to_recordset(v_parts) as p (invoice text, received_at timestamptz)
            where p.invoice = i.stripe_invoice_id and p.received_at = t.received_at
        );
    insert into public.invoice_parts as t (invoice_id, received_at, amount)
    select
        i.id,
        p.received_at,
        internal.major_units(to_jsonb(p.amount), i.currency)
    from jsonb_to_recordset(v_parts) as p (invoice text, received_at timestamptz, amount numeric)
    inner join public.invoices as i on i.stripe_invoice_id = p.invoice
    on conflict (invoice_id, received_at) do update set amount = excluded.amount
    where t.amount <> excluded.amount;
end
$$;

drop trigger invoices_published on public.invoices;
create trigger invoices_published after insert or update or delete on public.invoices
for each row execute function internal.publish_money(
    'status', 'amount_paid', 'paid_at', 'paid_in_parts', 'package_id', 'stripe_price_id'
);

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
            -- Of two states of an invoice in one second, the one with the larger payment is the later.
            else
                (o.event_at, o.event_rank, coalesce((o.body ->> 'amount_paid')::numeric, 0), o.event_id)
                < (
                    excluded.event_at,
                    excluded.event_rank,
                    coalesce((excluded.body ->> 'amount_paid')::numeric, 0),
                    excluded.event_id
                )
        end;
    return v_ambiguous;
end
$$;

create or replace view public.money_movements with (security_invoker = true) as
select
    i.user_id,
    case when i.stripe_price_id is null then s.package_id else i.package_id end as package_id,
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
    case when i.stripe_price_id is null then s.package_id else i.package_id end as package_id,
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
    case when i.stripe_price_id is null then s.package_id else i.package_id end as package_id,
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
        or (s.status = 'trialing' and coalesce(s.billed_from, s.start_date) <= now())
        or (s.status = 'cancelled' and s.end_date is not null)
    )
    and (s.end_date is null or s.end_date >= s.start_date)
    and (s.end_date is null or s.billed_from is null or s.end_date > s.billed_from);
