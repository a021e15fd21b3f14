-- A redemption's coupon is limited to the products of the packages that have a price at Stripe by then. So that the
-- same packages are covered when a price is changed, a package that gets its price later is not one of them.
create function internal.narrow_redemption() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    -- Never null, which means all packages.
    select coalesce(array_agg(p.id order by p.id), '{}') into new.covered_package_ids from public.pricing_packages as p
    where p.id = any(new.covered_package_ids) and p.stripe_price_id is not null;
    return new;
end
$$;

create trigger campaign_redemptions_narrowed before insert on public.campaign_redemptions
for each row when (new.covered_package_ids is not null) execute function internal.narrow_redemption();
