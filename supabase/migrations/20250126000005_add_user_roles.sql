-- Who is an administrator. The role is not the user's own to write.

create table public.user_profiles (
    user_id uuid primary key default auth.uid(),
    display_name text check (char_length(display_name) <= 200),
    avatar_url text check (char_length(avatar_url) <= 2000 and avatar_url ~* '^https?://[^[:space:][:cntrl:]]+$'),
    role text not null default 'user' check (role in ('user', 'admin')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

comment on table public.user_profiles is 'A user as the application knows them; role decides what they may see.';

create trigger user_profiles_touch before update on public.user_profiles
for each row execute function internal.touch_updated_at();

-- SECURITY DEFINER: the policies of user_profiles itself call it, and would recurse otherwise.
create function public.is_admin() returns boolean
language sql stable security definer
set search_path = ''
as $$
    select
        coalesce(auth.jwt() -> 'app_metadata' ->> 'role' = 'admin', false)
        or exists (
            select 1 from public.user_profiles as p
            where p.user_id = auth.uid() and p.role = 'admin'
        )
$$;

comment on function public.is_admin() is 'Whether the caller of this request is an administrator.';
grant execute on function public.is_admin() to authenticated;

-- Which of these users user_profiles makes administrators.
create function public.admins_among(p_users uuid[]) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(p.user_id), '[]') from public.user_profiles as p
    where p.user_id = any(p_users) and p.role = 'admin'
$$;

alter table public.user_profiles enable row level security;
grant select on public.user_profiles to authenticated;
grant insert (user_id, display_name, avatar_url) on public.user_profiles to authenticated;
grant update (display_name, avatar_url) on public.user_profiles to authenticated;

create policy user_profiles_own on public.user_profiles for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

create policy user_profiles_admin on public.user_profiles for select to authenticated
using ((select public.is_admin()));

-- Administrators read all that the earlier files made.
create policy leads_admin on public.leads for select to authenticated using ((select public.is_admin()));

create policy conversations_admin on public.conversations for select to authenticated
using ((select public.is_admin()));

create policy messages_admin on public.messages for select to authenticated using ((select public.is_admin()));

create policy agent_logs_admin on public.agent_logs for select to authenticated using ((select public.is_admin()));

create policy service_recommendations_admin on public.service_recommendations for select to authenticated
using ((select public.is_admin()));

create policy generated_content_admin on public.generated_content for select to authenticated
using ((select public.is_admin()));

create policy model_metrics_admin on public.model_metrics for select to authenticated
using ((select public.is_admin()));

create policy pricing_packages_admin on public.pricing_packages for select to authenticated
using ((select public.is_admin()));

create policy pricing_campaigns_admin on public.pricing_campaigns for select to authenticated
using ((select public.is_admin()));

create policy campaign_redemptions_admin on public.campaign_redemptions for select to authenticated
using ((select public.is_admin()));
