-- A user's newest purchase that is not over, else the newest of all; or the one of this id. What the account bought
-- itself comes before what was bought for its address.
create or replace function public.current_subscription(p_user_id uuid, p_id uuid default null) returns jsonb
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
    left join public.stripe_objects as o on u.stripe_checkout_session_id = o.id
    where u.user_id = p_user_id and (p_id is null or u.id = p_id)
    order by
        (u.status <> 'cancelled' and u.billing_interval <> 'once') desc,
        -- Anyone may buy something for an address: that hides nothing that the account bought itself.
        (
            o.id is null
            or lower(coalesce(o.body ->> 'user', o.body -> 'metadata' ->> 'user_id', '')) = u.user_id::text
        ) desc,
        u.start_date desc,
        u.id desc
    limit 1
$$;
