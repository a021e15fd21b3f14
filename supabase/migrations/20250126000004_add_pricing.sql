-- What the agency sells, and the campaigns that make it cheaper. Money is numeric in major units of its currency.

-- How many decimals of a major unit the smallest unit of a currency is, as Stripe counts; a test compares this with the
-- table of pixelbloom.payments.money, which names its source.
create function public.currency_digits(p_currency text) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
    select case
        when p_currency in (
            'bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd', 'vuv', 'xaf', 'xof', 'xpf'
        ) then 0
        when p_currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 3
        else 2
    end
$$;

-- How many decimals an amount may have that is charged in a currency.
create function public.charge_digits(p_currency text) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
    select case when p_currency in ('isk', 'ugx') then 0 else least(public.currency_digits(p_currency), 2) end
$$;

-- An amount in major units as a text for people: 1,234.50 USD, 4,900 JPY, 18.600 KWD.
create function public.money_text(p_amount numeric, p_currency text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
    select to_char(
        p_amount,
        'FM999,999,999,999,990' || case
            when public.charge_digits(p_currency) = 0 then ''
            else '.' || repeat('0', public.currency_digits(p_currency))
        end
    ) || ' ' || upper(p_currency)
$$;

create table public.pricing_packages (
    id uuid primary key default gen_random_uuid(),
    name text not null unique check (char_length(name) between 1 and 100),
    description text check (char_length(description) <= 4000),
    price numeric(16, 3) not null check (price >= 0),
    currency text not null default 'usd' check (currency ~ '^[a-z]{3}$'),
    billing_interval text not null default 'month' check (billing_interval in ('once', 'month', 'year')),
    features jsonb not null default '[]' check (jsonb_typeof(features) = 'array'),
    stripe_price_id text unique check (char_length(stripe_price_id) <= 255),
    active boolean not null default true,
    position integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (price = round(price, public.charge_digits(currency)))
);

comment on table public.pricing_packages is 'Packages that can be bought.';

create table public.pricing_campaigns (
    id uuid primary key default gen_random_uuid(),
    code text not null check (code ~ '^[A-Za-z0-9_-]{3,50}$'),
    description text check (char_length(description) <= 1000),
    discount_type text not null check (discount_type in ('percentage', 'fixed')),
    discount_value numeric(16, 3) not null check (discount_value > 0),
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
    check (discount_type <> 'fixed' or discount_value = round(discount_value, public.charge_digits(currency))),
    check (max_uses is null or uses <= max_uses),
    check (ends_at is null or starts_at is null or ends_at > starts_at)
);

comment on table public.pricing_campaigns is 'Discount codes: percentage or fixed, with dates and a bound on uses.';

create unique index pricing_campaigns_code on public.pricing_campaigns (lower(code));

create trigger pricing_packages_touch before update on public.pricing_packages
for each row execute function public.touch_updated_at();

create trigger pricing_campaigns_touch before update on public.pricing_campaigns
for each row execute function public.touch_updated_at();

-- Each use of a code once, under a key of whoever uses it (a checkout). One that came to nothing is given back.
create table public.campaign_redemptions (
    id uuid primary key default gen_random_uuid(),
    campaign_id uuid not null references public.pricing_campaigns (id) on delete cascade,
    package_id uuid references public.pricing_packages (id) on delete set null,
    user_id uuid,
    redemption_key text not null unique check (char_length(redemption_key) between 1 and 255),
    created_at timestamptz not null default now(),
    released_at timestamptz
);

comment on table public.campaign_redemptions is 'Uses of discount codes; those that were given back have released_at.';

create index campaign_redemptions_campaign on public.campaign_redemptions (campaign_id);
create index campaign_redemptions_used on public.campaign_redemptions (created_at) where released_at is null;
create index campaign_redemptions_package on public.campaign_redemptions (package_id);

alter table public.pricing_packages enable row level security;
alter table public.pricing_campaigns enable row level security;
alter table public.campaign_redemptions enable row level security;
revoke all on public.pricing_packages, public.pricing_campaigns, public.campaign_redemptions
from public, anon, authenticated;

-- Prices are public; codes are told to those who were given them.
grant select on public.pricing_packages to anon, authenticated;
grant select on public.pricing_campaigns, public.campaign_redemptions to authenticated;
grant all on public.pricing_packages, public.pricing_campaigns, public.campaign_redemptions to service_role;

create policy pricing_packages_offered on public.pricing_packages for select to anon, authenticated using (active);

-- Why a campaign gives nothing off this package now; null where it does.
create function public.campaign_refusal(
    p_campaign public.pricing_campaigns, p_package public.pricing_packages, p_at timestamptz
) returns text
language sql immutable parallel safe
set search_path = ''
as $$
    select case
        when p_campaign.id is null then 'unknown'
        when not p_campaign.active then 'inactive'
        when p_at < p_campaign.starts_at then 'not_started'
        when p_at >= p_campaign.ends_at then 'expired'
        when p_campaign.uses >= p_campaign.max_uses then 'used_up'
        when not p_package.id = any(p_campaign.package_ids) then 'wrong_package'
        when p_campaign.discount_type = 'fixed' and p_campaign.currency <> p_package.currency then 'wrong_currency'
    end
$$;

-- What a package costs with a campaign; p_refusal says why that gives nothing off.
create function public.quote_json(
    p_package public.pricing_packages, p_code text, p_campaign public.pricing_campaigns, p_refusal text
) returns jsonb
language sql immutable
set search_path = ''
as $$
    select jsonb_build_object(
        'package_id', p_package.id,
        'name', p_package.name,
        'currency', p_package.currency,
        'billing_interval', p_package.billing_interval,
        'original_price', p_package.price,
        'discount_amount', q.discount,
        'final_price', p_package.price - q.discount,
        'campaign', case when p_code is not null then jsonb_build_object(
            'campaign_id', p_campaign.id,
            'code', coalesce(p_campaign.code, p_code),
            'applies', p_refusal is null,
            'reason', p_refusal,
            'discount_type', p_campaign.discount_type,
            'discount_value', p_campaign.discount_value
        ) end
    )
    from (
        select case
            when p_code is null or p_refusal is not null then 0.00
            when p_campaign.discount_type = 'percentage'
                then round(
                    p_package.price * p_campaign.discount_value / 100, public.charge_digits(p_package.currency)
                )
            else least(p_campaign.discount_value, p_package.price)
        end as discount
    ) as q
$$;

-- What a package costs now, with a code where one is given, and why that does not apply. Null without such a package.
create function public.quote_package(p_package_id uuid, p_code text, p_at timestamptz default now()) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    p public.pricing_packages;
    c public.pricing_campaigns;
begin
    select * into p from public.pricing_packages where id = p_package_id and active;
    if not found then
        return null;
    end if;
    select * into c from public.pricing_campaigns where lower(code) = lower(p_code);
    return public.quote_json(p, p_code, c, public.campaign_refusal(c, p, p_at));
end
$$;

-- Use a code for a package, once a key: answers the quote. The campaign's row is locked, so the last use is used once.
create function public.redeem_campaign(p_package_id uuid, p_code text, p_user_id uuid, p_key text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    p public.pricing_packages;
    c public.pricing_campaigns;
    v_refusal text;
begin
    select * into p from public.pricing_packages where id = p_package_id and active;
    if not found then
        return null;
    end if;
    select * into c from public.pricing_campaigns where lower(code) = lower(p_code) for update;
    if c.id is not null and exists (
        select 1 from public.campaign_redemptions as r
        where r.redemption_key = p_key and r.campaign_id = c.id and r.released_at is null
    ) then
        return public.quote_json(p, p_code, c, null);
    end if;
    v_refusal := public.campaign_refusal(c, p, clock_timestamp());
    if v_refusal is null then
        -- A key that was given back may come again.
        insert into public.campaign_redemptions (campaign_id, package_id, user_id, redemption_key)
        values (c.id, p.id, p_user_id, p_key)
        on conflict (redemption_key) do update
        set campaign_id = excluded.campaign_id, package_id = excluded.package_id, released_at = null
        where campaign_redemptions.released_at is not null;
        if found then
            update public.pricing_campaigns set uses = uses + 1 where id = c.id;
        end if;
    end if;
    return public.quote_json(p, p_code, c, v_refusal);
end
$$;

-- Give a use back whose checkout came to nothing. Answers whether there was one.
create function public.release_campaign(p_key text) returns boolean
language plpgsql
set search_path = ''
as $$
declare
    v_campaign_id uuid;
begin
    select c.id into v_campaign_id
    from public.campaign_redemptions as r
    inner join public.pricing_campaigns as c on c.id = r.campaign_id
    where r.redemption_key = p_key
    for update of c;
    update public.campaign_redemptions set released_at = clock_timestamp()
    where redemption_key = p_key and released_at is null;
    if not found then
        return false;
    end if;
    update public.pricing_campaigns set uses = uses - 1 where id = v_campaign_id;
    return true;
end
$$;

revoke execute on function
public.currency_digits(text),
public.charge_digits(text),
public.money_text(numeric, text),
public.campaign_refusal(public.pricing_campaigns, public.pricing_packages, timestamptz),
public.quote_json(public.pricing_packages, text, public.pricing_campaigns, text),
public.quote_package(uuid, text, timestamptz),
public.redeem_campaign(uuid, text, uuid, text),
public.release_campaign(text)
from public, anon, authenticated;

grant execute on function
public.currency_digits(text),
public.charge_digits(text),
public.money_text(numeric, text),
public.campaign_refusal(public.pricing_campaigns, public.pricing_packages, timestamptz),
public.quote_json(public.pricing_packages, text, public.pricing_campaigns, text),
public.quote_package(uuid, text, timestamptz),
public.redeem_campaign(uuid, text, uuid, text),
public.release_campaign(text)
to service_role;
