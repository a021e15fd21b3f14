-- Subscriptions and invoices: what revenue is computed from, and the record of Stripe's events.

create table public.user_subscriptions (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    package_id uuid references public.pricing_packages (id) on delete set null,
    campaign_id uuid references public.pricing_campaigns (id) on delete set null,
    status text not null check (
        status in ('incomplete', 'trialing', 'active', 'past_due', 'paused', 'unpaid', 'cancelled')
    ),
    start_date timestamptz not null default now(),
    end_date timestamptz,
    currency text not null default 'usd' check (currency ~ '^[a-z]{3}$'),
    original_price numeric(16, 3) check (original_price >= 0),
    discount_amount numeric(16, 3) not null default 0 check (discount_amount >= 0),
    final_price numeric(16, 3) not null check (final_price >= 0),
    billing_interval text not null default 'month' check (
        billing_interval in ('once', 'day', 'week', 'month', 'year')
    ),
    billing_interval_count integer not null default 1 check (billing_interval_count between 1 and 1200),
    -- The price before discounts that items of different intervals come to a month; null where there is one interval.
    items_monthly numeric check (items_monthly >= 0),
    -- What the price is a month. A year has 12 months and 365 days, so a week has 84/365 of a month.
    monthly_price numeric generated always as (
        case
            when items_monthly is not null then items_monthly * final_price / nullif(original_price, 0)
            when billing_interval = 'year' then final_price / (12 * billing_interval_count)
            when billing_interval = 'month' then final_price / billing_interval_count
            when billing_interval = 'week' then final_price * 365 / (84 * billing_interval_count)
            when billing_interval = 'day' then final_price * 365 / (12 * billing_interval_count)
        end
    ) stored,
    -- From when on it is paid for, where that is not its start: the end of a trial. One that ended before was never
    -- paid.
    billed_from timestamptz,
    -- What was paid at checkout and no invoice reports: a single purchase, or a subscription without invoices.
    amount_paid numeric(16, 3) not null default 0 check (amount_paid >= 0),
    paid_at timestamptz,
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.user_subscriptions is 'Subscriptions and their prices; the backend alone writes them.';

create index user_subscriptions_paid on public.user_subscriptions (paid_at) where paid_at is not null;
create index user_subscriptions_billed on public.user_subscriptions (coalesce(billed_from, start_date));

create index user_subscriptions_owner on public.user_subscriptions (user_id, created_at desc);
create index user_subscriptions_started on public.user_subscriptions (start_date desc, id desc);
create index user_subscriptions_package on public.user_subscriptions (package_id);

create table public.invoices (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    subscription_id uuid references public.user_subscriptions (id) on delete set null,
    stripe_invoice_id text unique check (char_length(stripe_invoice_id) <= 255),
    status text not null check (status in ('draft', 'open', 'paid', 'void', 'uncollectible', 'refunded')),
    currency text not null check (currency ~ '^[a-z]{3}$'),
    amount_due numeric(16, 3) not null check (amount_due >= 0),
    amount_paid numeric(16, 3) not null default 0 check (amount_paid >= 0),
    issued_at timestamptz,
    paid_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.invoices is 'Invoices of subscriptions, as Stripe reported them.';

create index invoices_owner on public.invoices (user_id, created_at desc);
create index invoices_subscription on public.invoices (subscription_id);
create index invoices_paid on public.invoices (paid_at) where paid_at is not null;

create table public.refunds (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    subscription_id uuid references public.user_subscriptions (id) on delete set null,
    invoice_id uuid references public.invoices (id) on delete set null,
    -- Of a refund or a dispute; of what only a charge reports, the charge's and the second: ch_123:1790000000.
    stripe_id text unique check (char_length(stripe_id) <= 300),
    kind text not null default 'refund' check (kind in ('refund', 'dispute')),
    status text not null default 'succeeded' check (
        status in ('pending', 'requires_action', 'succeeded', 'failed', 'cancelled')
    ),
    currency text not null check (currency ~ '^[a-z]{3}$'),
    amount numeric(16, 3) not null check (amount >= 0),
    refunded_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.refunds is 'Money returned, by refunds and lost disputes; failed ones returned none.';

create index refunds_owner on public.refunds (user_id, created_at desc);
create index refunds_subscription on public.refunds (subscription_id);
create index refunds_invoice on public.refunds (invoice_id);
create index refunds_moved on public.refunds (refunded_at);

create table public.stripe_events (
    id text primary key check (char_length(id) <= 255),
    type text not null check (char_length(type) <= 200),
    payload jsonb not null,
    status text not null default 'received' check (status in ('received', 'processed', 'ignored', 'failed')),
    attempts integer not null default 0 check (attempts >= 0),
    error text check (char_length(error) <= 4000),
    occurred_at timestamptz not null,
    received_at timestamptz not null default now(),
    processed_at timestamptz
);

comment on table public.stripe_events is 'Each event of Stripe once, under its own id. Never purged: figures need it.';

create index stripe_events_open on public.stripe_events (received_at) where status in ('received', 'failed');

create trigger user_subscriptions_touch before update on public.user_subscriptions
for each row execute function internal.touch_updated_at();

create trigger invoices_touch before update on public.invoices
for each row execute function internal.touch_updated_at();

create trigger refunds_touch before update on public.refunds
for each row execute function internal.touch_updated_at();

alter table public.user_subscriptions enable row level security;
alter table public.invoices enable row level security;
alter table public.refunds enable row level security;
alter table public.stripe_events enable row level security;
grant select on public.user_subscriptions, public.invoices, public.refunds to authenticated;

create policy user_subscriptions_own on public.user_subscriptions for select to authenticated
using (user_id = (select auth.uid()));

create policy user_subscriptions_admin on public.user_subscriptions for select to authenticated
using ((select public.is_admin()));

create policy invoices_own on public.invoices for select to authenticated
using (user_id = (select auth.uid()));

create policy invoices_admin on public.invoices for select to authenticated
using ((select public.is_admin()));

create policy refunds_own on public.refunds for select to authenticated
using (user_id = (select auth.uid()));

create policy refunds_admin on public.refunds for select to authenticated
using ((select public.is_admin()));

-- Money received and money returned, by the moment it moved: the one source of every figure of revenue. An amount that
-- was returned is negative, and not `received`. An invoice over nothing moves nothing.
create view public.money_movements with (security_invoker = true) as
select
    i.user_id,
    s.package_id,
    i.currency,
    i.paid_at as moved_at,
    true as received,
    i.amount_paid as amount
from public.invoices as i
left join public.user_subscriptions as s on i.subscription_id = s.id
where i.paid_at is not null and i.amount_paid > 0 and i.status in ('paid', 'refunded')
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
    s.package_id,
    r.currency,
    r.refunded_at as moved_at,
    false as received,
    -r.amount as amount
from public.refunds as r
left join public.user_subscriptions as s on r.subscription_id = s.id
where r.amount > 0 and r.status not in ('failed', 'cancelled');

comment on view public.money_movements is 'Money received and returned, by when.';

-- Recurring subscriptions, from start_date (the end of a trial, if any) to before end_date, without cancelled trials
-- and without those whose first payment never arrived. Past states are not stored: a subscription that is paused or
-- unpaid now never counts, nor does one that was cancelled at an unknown time.
create view public.recurring_subscriptions with (security_invoker = true) as
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
    and (s.status in ('active', 'past_due') or (s.status = 'cancelled' and s.end_date is not null))
    and (s.end_date is null or s.end_date >= s.start_date)
    and (s.end_date is null or s.billed_from is null or s.end_date > s.billed_from);

comment on view public.recurring_subscriptions is 'The subscriptions of monthly and yearly revenue.';

create index user_subscriptions_ended on public.user_subscriptions (end_date) where end_date is not null;

-- One figure of money out of its amounts by currency, [{"currency", "now", "before", "many_now", "many_before"}].
-- Amounts of different currencies are never added: `value` and `change` are those of the currency with the most
-- payments (or subscriptions), by those of the earlier period where there are none now; and `by_currency` has all.
create function internal.money_compared(p_amounts jsonb) returns jsonb
language plpgsql immutable
set search_path = ''
as $$
declare
    v_all jsonb;
begin
    select jsonb_agg(
        jsonb_build_object('currency', a.currency) || internal.counted(a.now, a.before)
        order by a.many_now desc, a.many_before desc, a.currency
    )
    into v_all
    from jsonb_to_recordset(p_amounts) as a (
        currency text, now numeric, before numeric, many_now bigint, many_before bigint
    );
    return coalesce(v_all -> 0, '{"value": 0, "change": null, "currency": "usd"}'::jsonb)
    || jsonb_build_object('by_currency', coalesce(v_all, '[]'::jsonb));
end
$$;

-- Money received less money returned from p_from to before p_to, against that from p_before on.
create function internal.revenue_compared(
    p_user_id uuid, p_before timestamptz, p_from timestamptz, p_to timestamptz
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return internal.money_compared((
        select jsonb_agg(to_jsonb(t))
        from (
            select
                p.currency,
                coalesce(sum(p.amount) filter (where p.moved_at >= p_from), 0) as now,
                coalesce(sum(p.amount) filter (where p.moved_at < p_from), 0) as before,
                count(*) filter (where p.received and p.moved_at >= p_from) as many_now,
                count(*) filter (where p.received and p.moved_at < p_from) as many_before
            from public.money_movements as p
            where
                p.moved_at >= p_before and p.moved_at < p_to
                and (p_user_id is null or p.user_id = p_user_id)
            group by p.currency
        ) as t
    ));
end
$$;

-- {"revenue"} of a range; {"mrr", "arr", "active_subscriptions"} at its end, against its beginning;
-- {"new_subscriptions", "ended_subscriptions"} in it, and {"churn_rate"}: what part of the subscriptions that were
-- there at its beginning ended in it.
create function public.revenue_summary(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_before timestamptz := internal.day_start(p_start - (p_end - p_start + 1), p_zone);
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
    v record;
    v_recurring jsonb;
begin
    select
        count(*) filter (where s.start_date < v_to and (s.end_date is null or s.end_date >= v_to)) as there,
        count(*) filter (where s.start_date < v_from and (s.end_date is null or s.end_date >= v_from)) as there_before,
        count(*) filter (
            where s.start_date < v_before and (s.end_date is null or s.end_date >= v_before)
        ) as there_first,
        count(*) filter (where s.start_date >= v_from and s.start_date < v_to) as new,
        count(*) filter (where s.start_date >= v_before and s.start_date < v_from) as new_before,
        count(*) filter (where s.end_date >= v_from and s.end_date < v_to) as gone,
        count(*) filter (where s.end_date >= v_before and s.end_date < v_from) as gone_before,
        count(*) filter (where s.start_date < v_from and s.end_date >= v_from and s.end_date < v_to) as lost,
        count(*) filter (where s.start_date < v_before and s.end_date >= v_before and s.end_date < v_from) as lost_before
    into v
    from public.recurring_subscriptions as s
    where p_user_id is null or s.user_id = p_user_id;

    select jsonb_agg(to_jsonb(t))
    into v_recurring
    from (
        select
            s.currency,
            coalesce(sum(s.monthly_price) filter (where s.end_date is null or s.end_date >= v_to), 0) as now,
            coalesce(
                sum(s.monthly_price) filter (
                    where s.start_date < v_from and (s.end_date is null or s.end_date >= v_from)
                ), 0
            ) as before,
            count(*) filter (where s.end_date is null or s.end_date >= v_to) as many_now,
            count(*) filter (
                where s.start_date < v_from and (s.end_date is null or s.end_date >= v_from)
            ) as many_before
        from public.recurring_subscriptions as s
        where
            (p_user_id is null or s.user_id = p_user_id)
            and s.start_date < v_to and (s.end_date is null or s.end_date >= v_from)
        group by s.currency
    ) as t
    where t.many_now + t.many_before > 0;

    return jsonb_build_object(
        'revenue', internal.revenue_compared(p_user_id, v_before, v_from, v_to),
        'mrr', internal.money_compared((
            select jsonb_agg(
                a.each || jsonb_build_object(
                    'now', round((a.each ->> 'now')::numeric, internal.currency_digits(a.each ->> 'currency')),
                    'before', round((a.each ->> 'before')::numeric, internal.currency_digits(a.each ->> 'currency'))
                )
            )
            from jsonb_array_elements(v_recurring) as a (each)
        )),
        'arr', internal.money_compared((
            select jsonb_agg(
                a.each || jsonb_build_object(
                    'now', round(12 * (a.each ->> 'now')::numeric, internal.currency_digits(a.each ->> 'currency')),
                    'before', round(12 * (a.each ->> 'before')::numeric, internal.currency_digits(a.each ->> 'currency'))
                )
            )
            from jsonb_array_elements(v_recurring) as a (each)
        )),
        'active_subscriptions', internal.counted(v.there, v.there_before),
        'new_subscriptions', internal.counted(v.new, v.new_before),
        'ended_subscriptions', internal.counted(v.gone, v.gone_before),
        'churn_rate', internal.rated(
            internal.percent_of(v.lost, v.there_before), internal.percent_of(v.lost_before, v.there_first)
        )
    );
end
$$;

-- By package and currency: revenue and payments in a range, subscriptions and their monthly revenue at its end.
-- [{"package_id", "package", "currency", "revenue", "payments", "active_subscriptions", "mrr"}]; a package of null is
-- what was sold without one.
create function public.revenue_by_package(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
begin
    return (
        with parts as (
            select
                p.package_id,
                p.currency,
                sum(p.amount) as revenue,
                count(*) filter (where p.received) as payments,
                0 as subscriptions,
                0 as mrr
            from public.money_movements as p
            where
                p.moved_at >= v_from and p.moved_at < v_to
                and (p_user_id is null or p.user_id = p_user_id)
            group by p.package_id, p.currency
            union all
            select
                s.package_id,
                s.currency,
                0,
                0,
                count(*),
                round(sum(s.monthly_price), internal.currency_digits(s.currency))
            from public.recurring_subscriptions as s
            where
                (p_user_id is null or s.user_id = p_user_id)
                and s.start_date < v_to and (s.end_date is null or s.end_date >= v_to)
            group by s.package_id, s.currency
        )

        select coalesce(jsonb_agg(
            jsonb_build_object(
                'package_id', t.package_id, 'package', k.name, 'currency', t.currency, 'revenue', t.revenue,
                'payments', t.payments, 'active_subscriptions', t.subscriptions, 'mrr', t.mrr
            )
            order by t.payments desc, t.subscriptions desc, k.name, t.currency
        ), '[]')
        from (
            select
                package_id,
                currency,
                sum(revenue) as revenue,
                sum(payments) as payments,
                sum(subscriptions) as subscriptions,
                sum(mrr) as mrr
            from parts
            group by package_id, currency
        ) as t
        left join public.pricing_packages as k on t.package_id = k.id
    );
end
$$;

-- What customers who paid in a range have paid in all until its end, less what they got back: {"customers"},
-- {"average"} in the currency of the most customers, {"by_currency"} and {"top"}, those who paid most. A customer of
-- two currencies counts in each.
create function public.customer_ltv(p_user_id uuid, p_start date, p_end date, p_zone text) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
declare
    v_from timestamptz := internal.day_start(p_start, p_zone);
    v_to timestamptz := internal.day_start(p_end + 1, p_zone);
begin
    return (
        with customers as materialized (
            select
                p.user_id,
                p.currency,
                sum(p.amount) as amount,
                count(*) filter (where p.received) as payments,
                min(p.moved_at) filter (where p.received) as first_at,
                max(p.moved_at) filter (where p.received) as last_at
            from public.money_movements as p
            where
                p.user_id is not null and p.moved_at < v_to
                and (p_user_id is null or p.user_id = p_user_id)
            group by p.user_id, p.currency
            having max(p.moved_at) filter (where p.received) >= v_from
        ),

        currencies as (
            select jsonb_agg(
                jsonb_build_object(
                    'currency', t.currency, 'customers', t.many, 'average', t.average, 'median', t.median,
                    'highest', t.highest
                )
                order by t.many desc, t.currency
            ) as listed
            from (
                select
                    c.currency,
                    count(*) as many,
                    round(avg(c.amount), internal.currency_digits(c.currency)) as average,
                    percentile_disc(0.5) within group (order by c.amount) as median,
                    max(c.amount) as highest
                from customers as c
                group by c.currency
            ) as t
        ),

        best as (
            select jsonb_agg(
                jsonb_build_object(
                    'user_id', t.user_id, 'currency', t.currency, 'value', t.amount, 'payments', t.payments,
                    'first_payment_at', internal.iso_utc(t.first_at), 'last_payment_at', internal.iso_utc(t.last_at)
                )
                order by t.place, t.currency
            ) as listed
            from (
                select
                    c.*,
                    row_number() over (partition by c.currency order by c.amount desc, c.user_id) as place
                from customers as c
            ) as t
            where t.place <= 10
        )

        select jsonb_build_object(
            'customers', (select count(distinct c.user_id) from customers as c),
            'average', jsonb_build_object(
                'value', u.listed -> 0 -> 'average', 'currency', coalesce(u.listed -> 0 ->> 'currency', 'usd')
            ),
            'by_currency', coalesce(u.listed, '[]'),
            'top', (select coalesce(b.listed, '[]') from best as b)
        )
        from currencies as u
    );
end
$$;

-- Subscriptions and purchases that began in a range, newest first.
create function public.subscription_list(
    p_user_id uuid, p_start date, p_end date, p_zone text, p_status text, p_limit integer,
    p_before timestamptz, p_before_id uuid
) returns jsonb
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return (
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'id', s.id, 'user_id', s.user_id, 'package_id', s.package_id, 'package', k.name,
                'status', s.status, 'start_date', internal.iso_utc(s.start_date),
                'end_date', internal.iso_utc(s.end_date), 'currency', s.currency,
                'original_price', s.original_price, 'discount_amount', s.discount_amount,
                'final_price', s.final_price, 'billing_interval', s.billing_interval,
                'billing_interval_count', s.billing_interval_count
            )
            order by s.start_date desc, s.id desc
        ), '[]')
        from (
            select o.*
            from public.user_subscriptions as o
            where
                (p_user_id is null or o.user_id = p_user_id)
                and (p_status is null or o.status = p_status)
                and o.start_date >= internal.day_start(p_start, p_zone)
                and o.start_date < internal.day_start(p_end + 1, p_zone)
                and (p_before is null or (o.start_date, o.id) < (p_before, p_before_id))
            order by o.start_date desc, o.id desc
            limit p_limit
        ) as s
        left join public.pricing_packages as k on s.package_id = k.id
    );
end
$$;
