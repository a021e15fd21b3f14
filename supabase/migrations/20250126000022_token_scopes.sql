-- What a token's `scope` opens, straight through Supabase too. A token without the claim is not limited; an empty one
-- reaches nothing but what is public and the profile of its own user.

-- Whether the token names this scope, or has no scope claim.
create function public.has_scope(p_name text) returns boolean
language sql stable
set search_path = ''
as $$
    select case jsonb_typeof(auth.jwt() -> 'scope')
        when 'array' then auth.jwt() -> 'scope' ? p_name
        when 'string' then p_name = any(regexp_split_to_array(auth.jwt() ->> 'scope', '\s+'))
        else not coalesce(auth.jwt() ? 'scope', false)
    end
$$;

-- Whether the token names any scope, or has no scope claim.
create function public.has_any_scope() returns boolean
language sql stable
set search_path = ''
as $$
    select case jsonb_typeof(auth.jwt() -> 'scope')
        when 'array' then exists (
            select 1 from jsonb_array_elements_text(auth.jwt() -> 'scope') as s (name) where trim(s.name) <> ''
        )
        when 'string' then trim(auth.jwt() ->> 'scope') <> ''
        else not coalesce(auth.jwt() ? 'scope', false)
    end
$$;

grant execute on function public.has_scope(text), public.has_any_scope() to authenticated;

-- Rows that require the scope of their resource. These policies apply in addition to those of ownership.
do $$
declare
    v_table text;
    v_resource text;
begin
    for v_table, v_resource in
        select * from (values
            ('leads', 'leads'),
            ('conversations', 'conversations'),
            ('messages', 'conversations'),
            ('agent_logs', 'analytics'),
            ('model_metrics', 'analytics'),
            ('notifications', 'notifications'),
            ('broadcasts', 'notifications'),
            ('user_subscriptions', 'payments'),
            ('invoices', 'payments'),
            ('refunds', 'payments'),
            ('pricing_campaigns', 'payments'),
            ('campaign_redemptions', 'payments')
        ) as t (name, resource)
    loop
        execute format(
            'create policy %I on public.%I as restrictive for select to authenticated
            using ((select public.has_scope(%L)))',
            v_table || '_scope_read', v_table, v_resource || ':read'
        );
    end loop;

    -- Tables that a browser may change. A token that may read notifications may also mark and remove them.
    for v_table, v_resource in
        select * from (values
            ('leads', 'leads:write'),
            ('conversations', 'conversations:write'),
            ('messages', 'conversations:write'),
            ('notifications', 'notifications:read'),
            ('user_profiles', 'profiles:write')
        ) as t (name, resource)
    loop
        execute format(
            'create policy %I on public.%I as restrictive for insert to authenticated
            with check ((select public.has_scope(%L)))',
            v_table || '_scope_add', v_table, v_resource
        );
        execute format(
            'create policy %I on public.%I as restrictive for update to authenticated
            using ((select public.has_scope(%L)))',
            v_table || '_scope_change', v_table, v_resource
        );
        execute format(
            'create policy %I on public.%I as restrictive for delete to authenticated
            using ((select public.has_scope(%L)))',
            v_table || '_scope_remove', v_table, v_resource
        );
    end loop;

    -- Runs and what they leave behind: own ones need no scope of their own, but one that is not empty.
    foreach v_table in array array[
        'runs', 'schedules', 'webhook_deliveries', 'service_recommendations', 'generated_content'
    ]
    loop
        execute format(
            'create policy %I on public.%I as restrictive for select to authenticated using (
                (select public.has_scope(''runs:read''))
                or (user_id = (select auth.uid()) and (select public.has_any_scope()))
            )',
            v_table || '_scope_read', v_table
        );
    end loop;
end
$$;

create policy run_steps_scope_read on public.run_steps as restrictive for select to authenticated
using (
    (select public.has_scope('runs:read'))
    or (
        (select public.has_any_scope())
        and exists (
            select 1 from public.runs as r
            where r.id = run_steps.run_id and r.user_id = (select auth.uid())
        )
    )
);

create policy generated_content_scope_remove on public.generated_content as restrictive for delete to authenticated
using ((select public.has_any_scope()));

create policy workflows_scope_read on public.workflows as restrictive for select to authenticated
using ((select public.has_scope('runs:read')) or (retired_at is null and (select public.has_any_scope())));

-- What is on offer is public.
create policy pricing_packages_scope_read on public.pricing_packages as restrictive for select to authenticated
using (active or (select public.has_scope('payments:read')));

-- Their own profile is who they are.
create policy user_profiles_scope_read on public.user_profiles as restrictive for select to authenticated
using (user_id = (select auth.uid()) or (select public.has_scope('profiles:read')));
