-- The objects of a new Supabase project that our migrations rely on. Idempotent.
-- The default privileges are copied as they are: Supabase grants everything in `public` to every API role, so a
-- migration that did not revoke would be as open here as it is there.

do $$
begin
    if not exists (select from pg_roles where rolname = 'anon') then
        create role anon nologin noinherit;
    end if;
    if not exists (select from pg_roles where rolname = 'authenticated') then
        create role authenticated nologin noinherit;
    end if;
    if not exists (select from pg_roles where rolname = 'service_role') then
        create role service_role nologin noinherit bypassrls;
    end if;
    if not exists (select from pg_roles where rolname = 'authenticator') then
        create role authenticator login noinherit;
    end if;
end
$$;

grant anon, authenticated, service_role to authenticator;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

create schema if not exists extensions;
grant usage on schema extensions to anon, authenticated, service_role;
grant usage on schema public to anon, authenticated, service_role;

-- Once, for what the user of the migrations creates: the migrations change them.
do $$
begin
    if to_regnamespace('auth') is null then
        alter default privileges in schema public
        grant all on tables to anon, authenticated, service_role;
        alter default privileges in schema public
        grant all on functions to anon, authenticated, service_role;
        alter default privileges in schema public
        grant all on sequences to anon, authenticated, service_role;
    end if;
end
$$;

create schema if not exists auth;
grant usage on schema auth to anon, authenticated, service_role;

create table if not exists auth.users (
    instance_id uuid,
    id uuid primary key,
    aud varchar(255),
    role varchar(255),
    email varchar(255) unique,
    encrypted_password varchar(255),
    email_confirmed_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_super_admin boolean,
    created_at timestamptz,
    updated_at timestamptz,
    phone text unique,
    banned_until timestamptz,
    deleted_at timestamptz,
    is_anonymous boolean not null default false
);
alter table auth.users enable row level security;

-- The further columns of hosted Supabase, for triggers and views that name them.
alter table auth.users
add column if not exists invited_at timestamptz,
add column if not exists confirmation_token varchar(255) default '',
add column if not exists confirmation_sent_at timestamptz,
add column if not exists recovery_token varchar(255) default '',
add column if not exists recovery_sent_at timestamptz,
add column if not exists email_change_token_new varchar(255) default '',
add column if not exists email_change varchar(255) default '',
add column if not exists email_change_sent_at timestamptz,
add column if not exists phone_confirmed_at timestamptz,
add column if not exists phone_change text default '',
add column if not exists phone_change_token varchar(255) default '',
add column if not exists phone_change_sent_at timestamptz,
add column if not exists confirmed_at timestamptz generated always as (
    least(email_confirmed_at, phone_confirmed_at)
) stored,
add column if not exists email_change_token_current varchar(255) default '',
add column if not exists email_change_confirm_status smallint default 0,
add column if not exists reauthentication_token varchar(255) default '',
add column if not exists reauthentication_sent_at timestamptz,
add column if not exists is_sso_user boolean not null default false;

do $$
begin
    if to_regtype('auth.aal_level') is null then
        create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
    end if;
end
$$;

create table if not exists auth.sessions (
    id uuid primary key,
    user_id uuid not null references auth.users (id) on delete cascade,
    created_at timestamptz,
    updated_at timestamptz,
    factor_id uuid,
    aal auth.aal_level,
    not_after timestamptz,
    refreshed_at timestamp,
    user_agent text,
    ip inet,
    tag text
);
create index if not exists sessions_user_id_idx on auth.sessions (user_id);
alter table auth.sessions enable row level security;

create table if not exists auth.refresh_tokens (
    instance_id uuid,
    id bigserial primary key,
    token varchar(255) unique,
    user_id varchar(255),
    revoked boolean,
    created_at timestamptz,
    updated_at timestamptz,
    parent varchar(255),
    session_id uuid references auth.sessions (id) on delete cascade
);
create index if not exists refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);
alter table auth.refresh_tokens enable row level security;

create table if not exists auth.mfa_amr_claims (
    session_id uuid not null references auth.sessions (id) on delete cascade,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    authentication_method text not null,
    id uuid primary key,
    unique (session_id, authentication_method)
);
alter table auth.mfa_amr_claims enable row level security;

create or replace function auth.uid() returns uuid
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;

create or replace function auth.role() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
    )::text
$$;

create or replace function auth.email() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.email', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')
    )::text
$$;

create or replace function auth.jwt() returns jsonb
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;

grant execute on function auth.uid(), auth.role(), auth.email(), auth.jwt() to anon, authenticated, service_role;
