-- What the agency sells, and the campaigns that make it cheaper. Money is numeric in major units of its currency.

create table public.pricing_packages (
    id uuid primary key default gen_random_uuid(),
    name text not null unique check (char_length(name) between 1 and 100),
    description text check (char_length(description) <= 4000),
    price numeric(14, 2) not null check (price >= 0),
    currency text not null default 'usd' check (currency ~ '^[a-z]{3}$'),
    billing_interval text not null default 'month' check (billing_interval in ('once', 'month', 'year')),
    features jsonb not null default '[]' check (jsonb_typeof(features) = 'array'),
    stripe_price_id text unique check (char_length(stripe_price_id) <= 255),
    active boolean not null default true,
    position integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.pricing_packages is 'Packages that can be bought.';

create table public.pricing_campaigns (
    id uuid primary key default gen_random_uuid(),
    code text not null check (code ~ '^[A-Za-z0-9_-]{3,50}$'),
    description text check (char_length(description) <= 1000),
    discount_type text not null check (discount_type in ('percentage', 'fixed')),
    discount_value numeric(14, 2) not null check (discount_value > 0),
    currency text check (currency ~ '^[a-z]{3}$'),
    package_ids uuid[],
    max_uses integer check (max_uses > 0),
    uses integer not null default 0 check (uses >= 0),
    starts_at timestamptz,
    ends_at timestamptz,
    active boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (discount_type <> 'percentage' or discount_value <= 100),
    check (discount_type <> 'fixed' or currency is not null),
    check (max_uses is null or uses <= max_uses),
    check (ends_at is null or starts_at is null or ends_at > starts_at)
);

comment on table public.pricing_campaigns is 'Discount codes: percentage or fixed, with dates and a bound on uses.';

create unique index pricing_campaigns_code on public.pricing_campaigns (lower(code));

create trigger pricing_packages_touch before update on public.pricing_packages
for each row execute function public.touch_updated_at();

create trigger pricing_campaigns_touch before update on public.pricing_campaigns
for each row execute function public.touch_updated_at();

alter table public.pricing_packages enable row level security;
alter table public.pricing_campaigns enable row level security;
revoke all on public.pricing_packages, public.pricing_campaigns from public, anon, authenticated;

-- Prices are public; codes are told to those who were given them.
grant select on public.pricing_packages to anon, authenticated;
grant select on public.pricing_campaigns to authenticated;
grant all on public.pricing_packages, public.pricing_campaigns to service_role;

create policy pricing_packages_offered on public.pricing_packages for select to anon, authenticated using (active);
