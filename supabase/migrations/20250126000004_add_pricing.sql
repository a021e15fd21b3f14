-- What the agency sells, and the campaigns that make it cheaper. Money is numeric in major units of its currency.

-- How many decimals of a major unit the smallest unit of a currency is, as Stripe counts; a test compares this with the
-- table of pixelbloom.payments.money, which names its source.
create function internal.currency_digits(p_currency text) returns integer
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
create function internal.charge_digits(p_currency text) returns integer
language sql immutable parallel safe
set search_path = ''
as $$
    select case when p_currency in ('isk', 'ugx') then 0 else least(internal.currency_digits(p_currency), 2) end
$$;

-- An amount in major units as a text for people: 1,234.50 USD, 4,900 JPY, 18.600 KWD.
create function internal.money_text(p_amount numeric, p_currency text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
    select to_char(
        p_amount,
        'FM999,999,999,999,990' || case
            when internal.charge_digits(p_currency) = 0 then ''
            else '.' || repeat('0', internal.currency_digits(p_currency))
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
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (price = round(price, internal.charge_digits(currency)))
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
    -- How long a discount of a subscription lasts: its first invoice, so many months, or as long as it does.
    duration text not null default 'once' check (duration in ('once', 'repeating', 'forever')),
    duration_months integer check (duration_months between 1 and 120),
    max_uses integer check (max_uses > 0),
    max_uses_per_user integer check (max_uses_per_user > 0),
    uses integer not null default 0 check (uses >= 0),
    starts_at timestamptz,
    ends_at timestamptz,
    active boolean not null default true,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((duration = 'repeating') = (duration_months is not null)),
    check (discount_type <> 'percentage' or discount_value <= 100),
    check (discount_type <> 'fixed' or currency is not null),
    check (discount_type <> 'fixed' or discount_value = round(discount_value, internal.charge_digits(currency))),
    check (max_uses is null or uses <= max_uses),
    check (ends_at is null or starts_at is null or ends_at > starts_at)
);

comment on table public.pricing_campaigns is 'Discount codes: percentage or fixed, with dates and a bound on uses.';

create unique index pricing_campaigns_code on public.pricing_campaigns (lower(code));

create trigger pricing_packages_touch before update on public.pricing_packages
for each row execute function internal.touch_version();

-- A use is no change of the campaign.
create trigger pricing_campaigns_touch before update on public.pricing_campaigns
for each row when (old.uses = new.uses) execute function internal.touch_version();

-- Checkouts as they were asked for, under the key of the request: a repeat of the very same request has the same one.
-- Each attempt at Stripe has its number; a use of a code belongs to one attempt.
create table public.checkouts (
    request_key text primary key check (char_length(request_key) between 1 and 200),
    request_hash text not null check (char_length(request_hash) = 64),
    attempt integer not null default 1,
    stripe_session_id text unique check (char_length(stripe_session_id) <= 255),
    url text check (char_length(url) <= 4096),
    created_at timestamptz not null default now()
);

comment on table public.checkouts is 'Checkout sessions by the key of the request that made them.';

-- Each use of a code. An open one belongs to a checkout that is not paid yet; one that was not paid is released.
create table public.campaign_redemptions (
    id uuid primary key default gen_random_uuid(),
    campaign_id uuid not null references public.pricing_campaigns (id) on delete cascade,
    package_id uuid references public.pricing_packages (id) on delete set null,
    user_id uuid,
    -- The customer whose uses are counted together: the user's id, or an e-mail address without a user.
    customer text check (char_length(customer) <= 400),
    redemption_key text not null unique check (char_length(redemption_key) between 1 and 255),
    -- The HTTP request that took it; no other may give it back when it fails.
    taken_by uuid,
    stripe_session_id text check (char_length(stripe_session_id) <= 255),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '35 minutes',
    completed_at timestamptz,
    released_at timestamptz
);

comment on table public.campaign_redemptions is 'Uses of discount codes; released ones have released_at.';

create index campaign_redemptions_campaign on public.campaign_redemptions (campaign_id, created_at desc);
create index campaign_redemptions_used on public.campaign_redemptions (created_at) where released_at is null;
create index campaign_redemptions_unpaid on public.campaign_redemptions (expires_at)
where released_at is null and completed_at is null;
create index campaign_redemptions_package on public.campaign_redemptions (package_id);
create index campaign_redemptions_customer on public.campaign_redemptions (campaign_id, customer)
where released_at is null;
create unique index campaign_redemptions_open on public.campaign_redemptions (campaign_id, customer)
where released_at is null and completed_at is null;

alter table public.pricing_packages enable row level security;
alter table public.pricing_campaigns enable row level security;
alter table public.checkouts enable row level security;
alter table public.campaign_redemptions enable row level security;

-- Prices are public; codes are visible only to those who have them.
grant select on public.pricing_packages to anon, authenticated;
grant select on public.pricing_campaigns, public.campaign_redemptions to authenticated;

create policy pricing_packages_offered on public.pricing_packages for select to anon, authenticated using (active);

-- Why a campaign gives nothing off this package now; null where it does. `p_used` is how often the customer used it.
create function internal.campaign_refusal(
    p_campaign public.pricing_campaigns, p_package public.pricing_packages, p_at timestamptz, p_used integer default 0
) returns text
language sql immutable parallel safe
set search_path = ''
as $$
    select case
        when p_campaign.id is null then 'unknown'
        when not p_campaign.active then 'inactive'
        when p_at < p_campaign.starts_at then 'not_started'
        when p_at >= p_campaign.ends_at then 'expired'
        when not p_package.id = any(p_campaign.package_ids) then 'wrong_package'
        when p_campaign.discount_type = 'fixed' and p_campaign.currency <> p_package.currency then 'wrong_currency'
        when p_used >= p_campaign.max_uses_per_user then 'used_up_by_user'
        when p_campaign.uses >= p_campaign.max_uses then 'used_up'
    end
$$;

-- What a package costs with a campaign; p_refusal says why that gives nothing off. `periods` says what each period
-- costs: a discount that repeats is on each invoice of its months, the first of which is due at once.
create function internal.quote_json(
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
        'periods', jsonb_build_array(
            jsonb_build_object('first', 1, 'last', q.discounted, 'price', p_package.price - q.discount)
        ) || case
            when q.discounted is null or p_package.billing_interval = 'once' then '[]'::jsonb
            else jsonb_build_array(
                jsonb_build_object('first', q.discounted + 1, 'last', null, 'price', p_package.price)
            )
        end,
        'campaign', case when p_code is not null then jsonb_build_object(
            'campaign_id', p_campaign.id,
            'code', coalesce(p_campaign.code, p_code),
            'applies', p_refusal is null,
            'reason', p_refusal,
            'discount_type', p_campaign.discount_type,
            'discount_value', p_campaign.discount_value,
            'duration', p_campaign.duration,
            'duration_months', p_campaign.duration_months
        ) end
    )
    from (
        select case
            when p_package.billing_interval = 'once' then 1
            when p_code is null or p_refusal is not null then null
            when p_campaign.duration = 'once' then 1
            when p_campaign.duration = 'repeating' then ceil(
                p_campaign.duration_months / case p_package.billing_interval when 'year' then 12.0 else 1.0 end
            )::integer
        end as discounted,
        case
            when p_code is null or p_refusal is not null then 0.00
            when p_campaign.discount_type = 'percentage'
                then round(
                    p_package.price * p_campaign.discount_value / 100, internal.charge_digits(p_package.currency)
                )
            else least(p_campaign.discount_value, p_package.price)
        end as discount
    ) as q
$$;

-- Return an account's verified e-mail address, in lower case. An unverified address, or one asserted by an identity
-- provider (SSO), could belong to someone else. Only ASCII letters are folded: another letter is another mailbox.
create function internal.verified_email(p_user_id uuid) returns text
language sql stable security definer
set search_path = ''
as $$
    select lower(u.email collate "C") from auth.users as u
    where
        u.id = p_user_id and u.email_confirmed_at is not null and u.deleted_at is null
        and not u.is_anonymous and not u.is_sso_user
$$;

-- The account of an address, by the same rule. Supabase Auth stores addresses in lower case and has an index of them.
create function internal.verified_user(p_email text) returns uuid
language sql stable security definer
set search_path = ''
as $$
    select u.id from auth.users as u
    where
        u.email = lower(p_email collate "C") collate "default"
        and not u.is_sso_user and internal.verified_email(u.id) is not null
    order by u.id limit 1
$$;

-- The names under which the uses of one customer are counted: an account's id, and `email:` with its address, which
-- may have bought before it signed in.
create function internal.customer_names(p_customer text) returns text[]
language sql stable
set search_path = ''
as $$
    select case
        when p_customer like 'email:%'
            then array[p_customer, internal.verified_user(substr(p_customer, 7))::text]
        else array[p_customer, 'email:' || internal.verified_email(p_customer::uuid)]
    end
$$;

-- Return the current price of a package, with a code if given, and why the code does not apply. Null without such a
-- package. The uses of `p_customer` count against the campaign's limit per user.
create function public.quote_package(
    p_package_id uuid, p_code text, p_customer text default null, p_at timestamptz default now()
) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    p public.pricing_packages;
    c public.pricing_campaigns;
    v_used integer;
begin
    select * into p from public.pricing_packages where id = p_package_id and active;
    if not found then
        return null;
    end if;
    select * into c from public.pricing_campaigns where lower(code) = lower(p_code);
    -- An open use is replaced by the next checkout, so it does not count.
    select count(*) into v_used from public.campaign_redemptions as r
    where
        r.campaign_id = c.id and r.customer = any(internal.customer_names(p_customer))
        and r.released_at is null and r.completed_at is not null;
    return internal.quote_json(p, p_code, c, internal.campaign_refusal(c, p, p_at, v_used));
end
$$;

-- Release an unpaid use. Returns whether there was one. The campaign's row is locked first, as everywhere.
create function internal.release_campaign(p_key text) returns boolean
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

-- Record the state of a use's checkout at Stripe: `expired` and `failed` release the use, `paid` and `open` (paid
-- later) complete it. A use that was released although its checkout was paid is counted again if the limits allow.
create function public.record_redemption(p_key text, p_state text) returns void
language plpgsql
set search_path = ''
as $$
declare
    v_campaign_id uuid;
begin
    if p_state in ('expired', 'failed') then
        perform internal.release_campaign(p_key);
        return;
    end if;
    select c.id into v_campaign_id
    from public.campaign_redemptions as r
    inner join public.pricing_campaigns as c on c.id = r.campaign_id
    where r.redemption_key = p_key
    for update of c;
    update public.campaign_redemptions set completed_at = clock_timestamp()
    where redemption_key = p_key and completed_at is null;
    update public.pricing_campaigns as c set uses = c.uses + 1
    from public.campaign_redemptions as r
    where
        c.id = v_campaign_id and r.redemption_key = p_key and r.released_at is not null
        and (c.max_uses is null or c.uses < c.max_uses)
        and (
            c.max_uses_per_user is null or c.max_uses_per_user > (
                select count(*) from public.campaign_redemptions as x
                where
                    x.campaign_id = c.id and x.customer = any(internal.customer_names(r.customer))
                    and x.released_at is null
            )
        );
    if found then
        update public.campaign_redemptions set released_at = null where redemption_key = p_key;
    end if;
end
$$;

-- What was made for a request before: {"state": "made", "id", "url"}, or "conflict" where the key was used for another
-- request; null where nothing was made.
create function public.find_checkout(p_request_key text, p_request_hash text) returns jsonb
language sql stable
set search_path = ''
as $$
    select case
        when k.request_hash <> p_request_hash then '{"state": "conflict"}'::jsonb
        when k.stripe_session_id is not null
            then jsonb_build_object('state', 'made', 'id', k.stripe_session_id, 'url', k.url)
    end
    from public.checkouts as k
    where k.request_key = p_request_key
$$;

-- Begin an attempt at a checkout, and reserve one use of a code if given. Returns {"state"}:
-- `made` and `conflict` as above; `gone`: no such package; `refused`: the code does not apply, see "quote"; `open`: the
-- customer has another open checkout with this code ("redemption_key", "stripe_session_id"), which must be ended first;
-- `begun`: "attempt", and with a code "quote", "redemption_key", "expires_at" (seconds) and "applies_to", the prices
-- that a campaign of some packages is for.
-- `p_request_id` identifies the HTTP request, so that repeating this call reserves nothing twice.
create function public.begin_checkout(
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
                campaign_id, package_id, user_id, customer, redemption_key, taken_by, created_at, expires_at
            ) values (
                c.id, p.id, p_user_id, p_customer, 'checkout:' || p_request_key || ':' || k.attempt, p_request_id,
                clock_timestamp(), clock_timestamp() + interval '35 minutes'
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
                where t.id = any(c.package_ids) and t.stripe_price_id is not null
            )
        )
    end;
end
$$;

-- Record the session of an attempt. Returns false if another one was created meanwhile, or if the use of its code was
-- released; the caller must then expire the session.
create function public.finish_checkout(p_request_key text, p_attempt integer, p_session_id text, p_url text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
    v_key text := 'checkout:' || p_request_key || ':' || p_attempt;
begin
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || p_request_key, 0));
    -- Locked against a concurrent release.
    perform 1 from public.campaign_redemptions where redemption_key = v_key for update;
    if exists (
        select 1 from public.campaign_redemptions where redemption_key = v_key and released_at is not null
    ) then
        return false;
    end if;
    update public.checkouts set stripe_session_id = p_session_id, url = p_url
    where request_key = p_request_key and coalesce(stripe_session_id, p_session_id) = p_session_id;
    if not found then
        return false;
    end if;
    update public.campaign_redemptions set stripe_session_id = p_session_id where redemption_key = v_key;
    return true;
end
$$;

-- Record a failed attempt without a session. The use of the code that this request reserved is released, and a repeat
-- is a new attempt. Returns whether a use was released.
create function public.fail_checkout(p_request_key text, p_attempt integer, p_request_id uuid) returns boolean
language plpgsql
set search_path = ''
as $$
declare
    v_key text := 'checkout:' || p_request_key || ':' || p_attempt;
    v_released boolean := false;
begin
    perform pg_advisory_xact_lock(hashtextextended('checkout:' || p_request_key, 0));
    if exists (
        select 1 from public.campaign_redemptions
        where redemption_key = v_key and taken_by = p_request_id and stripe_session_id is null
    ) then
        v_released := internal.release_campaign(v_key);
    end if;
    update public.checkouts set attempt = attempt + 1
    where
        request_key = p_request_key and attempt = p_attempt and stripe_session_id is null
        and not exists (
            select 1 from public.campaign_redemptions where redemption_key = v_key and released_at is null
        );
    return v_released;
end
$$;
