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
    original_price numeric(14, 2) check (original_price >= 0),
    discount_amount numeric(14, 2) not null default 0 check (discount_amount >= 0),
    final_price numeric(14, 2) not null check (final_price >= 0),
    billing_interval text not null default 'month' check (billing_interval in ('once', 'month', 'year')),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.user_subscriptions is 'Subscriptions and their prices; the backend alone writes them.';

create index user_subscriptions_owner on public.user_subscriptions (user_id, created_at desc);
create index user_subscriptions_started on public.user_subscriptions (start_date) include (end_date, status);
create index user_subscriptions_package on public.user_subscriptions (package_id);

create table public.invoices (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    subscription_id uuid references public.user_subscriptions (id) on delete set null,
    stripe_invoice_id text unique check (char_length(stripe_invoice_id) <= 255),
    status text not null check (status in ('draft', 'open', 'paid', 'void', 'uncollectible', 'refunded')),
    currency text not null check (currency ~ '^[a-z]{3}$'),
    amount_due numeric(14, 2) not null check (amount_due >= 0),
    amount_paid numeric(14, 2) not null default 0 check (amount_paid >= 0),
    issued_at timestamptz,
    paid_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.invoices is 'Invoices of subscriptions, as Stripe reported them.';

create index invoices_owner on public.invoices (user_id, created_at desc);
create index invoices_subscription on public.invoices (subscription_id);
create index invoices_paid on public.invoices (paid_at) where paid_at is not null;

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

comment on table public.stripe_events is 'Each event of Stripe once, under its own id.';

create index stripe_events_open on public.stripe_events (received_at) where status in ('received', 'failed');

create trigger user_subscriptions_touch before update on public.user_subscriptions
for each row execute function public.touch_updated_at();

create trigger invoices_touch before update on public.invoices
for each row execute function public.touch_updated_at();

alter table public.user_subscriptions enable row level security;
alter table public.invoices enable row level security;
alter table public.stripe_events enable row level security;
revoke all on public.user_subscriptions, public.invoices, public.stripe_events from public, anon, authenticated;
grant select on public.user_subscriptions, public.invoices to authenticated;
grant all on public.user_subscriptions, public.invoices, public.stripe_events to service_role;

create policy user_subscriptions_own on public.user_subscriptions for select to authenticated
using (user_id = (select auth.uid()));

create policy user_subscriptions_admin on public.user_subscriptions for select to authenticated
using ((select public.is_admin()));

create policy invoices_own on public.invoices for select to authenticated
using (user_id = (select auth.uid()));

create policy invoices_admin on public.invoices for select to authenticated
using ((select public.is_admin()));

-- Money that came in from p_from to before p_to: invoices by the moment they were paid; and a subscription or purchase
-- that no invoice belongs to (Stripe may be told to send none) by its price at its start. What was refunded is none.
create function public.payments_received(p_user_id uuid, p_from timestamptz, p_to timestamptz)
returns table (paid_at timestamptz, currency text, amount numeric, package_id uuid, user_id uuid)
language plpgsql stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
set jit = 'off'
as $$
begin
    return query
    select i.paid_at, i.currency, i.amount_paid, s.package_id, coalesce(i.user_id, s.user_id)
    from public.invoices as i
    left join public.user_subscriptions as s on s.id = i.subscription_id
    where
        i.status = 'paid' and i.paid_at >= p_from and i.paid_at < p_to
        and (p_user_id is null or i.user_id = p_user_id)
    union all
    select s.start_date, s.currency, s.final_price, s.package_id, s.user_id
    from public.user_subscriptions as s
    where
        s.status not in ('incomplete', 'trialing', 'unpaid') and s.start_date >= p_from and s.start_date < p_to
        and (p_user_id is null or s.user_id = p_user_id)
        and not exists (select 1 from public.invoices as i where i.subscription_id = s.id);
end
$$;

-- Money from p_from to before p_to against that from p_before on. Amounts of different currencies are never added: the
-- figure is in the currency of the most payments (of the earlier period where there are none now; else usd), and
-- `by_currency` has all of them.
create function public.revenue_compared(
    p_user_id uuid, p_before timestamptz, p_from timestamptz, p_to timestamptz
) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    v_all jsonb;
begin
    select jsonb_agg(
        jsonb_build_object('currency', t.currency) || public.counted(t.now, t.before)
        order by t.many_now desc, t.many_before desc, t.currency
    )
    into v_all
    from (
        select
            r.currency,
            coalesce(sum(r.amount) filter (where r.paid_at >= p_from), 0) as now,
            coalesce(sum(r.amount) filter (where r.paid_at < p_from), 0) as before,
            count(*) filter (where r.paid_at >= p_from) as many_now,
            count(*) filter (where r.paid_at < p_from) as many_before
        from public.payments_received(p_user_id, p_before, p_to) as r
        group by r.currency
    ) as t;
    return coalesce(v_all -> 0, '{"value": 0, "change": null, "currency": "usd"}'::jsonb)
        || jsonb_build_object('by_currency', coalesce(v_all, '[]'::jsonb));
end
$$;

revoke execute on function
public.payments_received(uuid, timestamptz, timestamptz),
public.revenue_compared(uuid, timestamptz, timestamptz, timestamptz)
from public, anon, authenticated;

grant execute on function
public.payments_received(uuid, timestamptz, timestamptz),
public.revenue_compared(uuid, timestamptz, timestamptz, timestamptz)
to service_role;
