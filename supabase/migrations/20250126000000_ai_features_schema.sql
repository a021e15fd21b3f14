-- The data the agents work on: leads, conversations and their messages, and what the agents leave behind.
-- user_id has no foreign key to auth.users: a service may name users that this database never saw. What a visitor of
-- the website left without signing in has no user_id, but the visitor_id of their session. What a browser may insert
-- belongs to its user by default.

-- Functions that only other functions and triggers call: PostgREST does not expose this schema.
create schema internal;
grant usage on schema internal to service_role;

-- What the API's roles may do with what these files make: the backend everything, others only what is granted by name.
-- (Supabase grants everything in `public` to every role, and Postgres the execution of functions to all.)
alter default privileges revoke execute on functions from public;
alter default privileges in schema public revoke execute on functions from anon, authenticated;
alter default privileges in schema public revoke all on tables from anon, authenticated;
alter default privileges in schema public grant all on tables to service_role;
alter default privileges in schema public grant execute on functions to service_role;
alter default privileges in schema internal grant execute on functions to service_role;

create table public.leads (
    id uuid primary key default gen_random_uuid(),
    user_id uuid default auth.uid(),
    visitor_id uuid,
    name text not null check (char_length(name) between 1 and 200),
    email text check (char_length(email) <= 320),
    phone text check (char_length(phone) <= 50),
    company text check (char_length(company) <= 200),
    industry text check (char_length(industry) <= 100),
    budget numeric(16, 3) check (budget >= 0),
    currency text not null default 'usd' check (currency ~ '^[a-z]{3}$'),
    timeline text check (char_length(timeline) <= 200),
    message text check (char_length(message) <= 10000),
    -- What the people who work on it write down, and which user that is.
    notes text check (char_length(notes) <= 10000),
    assigned_to uuid,
    source text not null default 'api' check (char_length(source) <= 100),
    status text not null default 'new'
    check (status in ('new', 'contacted', 'qualified', 'unqualified', 'converted', 'lost')),
    score smallint check (score between 0 and 100),
    analysis jsonb,
    analysis_id uuid,
    analyzed_at timestamptz,
    metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 16384),
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    -- What a search looks through, and its runs of up to three characters (a trigger writes them), by which it finds
    -- the few rows to look at.
    search_text text generated always as (
        lower(name || ' ' || coalesce(company, '') || ' ' || coalesce(email, '') || ' ' || coalesce(message, ''))
    ) stored,
    search_grams text[],
    check (user_id is null or visitor_id is null)
);

comment on table public.leads is 'People and companies that may become customers; an agent scores them.';

create index leads_owner on public.leads (user_id, created_at desc, id desc) where deleted_at is null;
create index leads_newest on public.leads (created_at desc, id desc) where deleted_at is null;
-- Without the list of pending entries, which every search would have to read.
create index leads_search on public.leads using gin (search_grams) with (fastupdate = off) where deleted_at is null;
create index leads_best on public.leads (score desc nulls last, created_at desc) where deleted_at is null;

create table public.conversations (
    id uuid primary key default gen_random_uuid(),
    user_id uuid default auth.uid(),
    visitor_id uuid,
    lead_id uuid references public.leads (id) on delete set null,
    title text check (char_length(title) <= 200),
    status text not null default 'active' check (status in ('active', 'closed')),
    metadata jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 16384),
    version integer not null default 1,
    last_message_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    -- Of the title, as those of leads.
    search_grams text[],
    check (user_id is null or visitor_id is null)
);

comment on table public.conversations is 'Chats between a person and an agent.';

create index conversations_owner on public.conversations (user_id, created_at desc, id desc) where deleted_at is null;
create index conversations_newest on public.conversations (created_at desc, id desc) where deleted_at is null;
create index conversations_search on public.conversations using gin (search_grams) with (fastupdate = off)
where deleted_at is null;
create index conversations_lead on public.conversations (lead_id) where lead_id is not null;

create table public.messages (
    id uuid primary key default gen_random_uuid(),
    conversation_id uuid not null references public.conversations (id) on delete cascade,
    user_id uuid default auth.uid(),
    role text not null check (role in ('user', 'assistant', 'system')),
    content text not null check (char_length(content) between 1 and 32000),
    run_id uuid,
    -- The step of that run which got the question, or which replied.
    step text check (char_length(step) <= 100),
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz not null default now(),
    -- What agents leave beside a reply is bounded by their schemas.
    check (role <> 'user' or octet_length(metadata::text) <= 16384)
);

comment on table public.messages is 'What was said in a conversation, oldest first.';

create index messages_conversation on public.messages (conversation_id, created_at, id);
create index messages_owner on public.messages (user_id, created_at desc);
create index messages_newest on public.messages (created_at desc);
-- A step has one question and one reply.
create unique index messages_of_step on public.messages (run_id, step, role) where step is not null;

create table public.agent_logs (
    id uuid primary key default gen_random_uuid(),
    run_id uuid,
    user_id uuid,
    agent_type varchar(100) not null,
    level text not null default 'info' check (level in ('debug', 'info', 'warning', 'error')),
    event varchar(200) not null,
    detail jsonb not null default '{}' check (jsonb_typeof(detail) = 'object'),
    created_at timestamptz not null default now()
);

comment on table public.agent_logs is 'What agents report of their work, for administrators.';

create index agent_logs_newest on public.agent_logs (created_at desc, id desc);
create index agent_logs_agent on public.agent_logs (agent_type, created_at desc);
create index agent_logs_run on public.agent_logs (run_id) where run_id is not null;

create table public.service_recommendations (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    lead_id uuid references public.leads (id) on delete cascade,
    run_id uuid,
    service text not null check (char_length(service) <= 200),
    reason text check (char_length(reason) <= 4000),
    priority smallint not null default 0,
    confidence numeric(4, 3) check (confidence between 0 and 1),
    created_at timestamptz not null default now()
);

comment on table public.service_recommendations is 'Services of the agency that an agent proposed.';

create index service_recommendations_owner on public.service_recommendations (user_id, created_at desc);
create index service_recommendations_lead on public.service_recommendations (lead_id) where lead_id is not null;
create index service_recommendations_newest on public.service_recommendations (created_at desc);

create table public.generated_content (
    id uuid primary key default gen_random_uuid(),
    user_id uuid,
    run_id uuid,
    kind text not null check (char_length(kind) <= 100),
    title text check (char_length(title) <= 300),
    body jsonb not null,
    created_at timestamptz not null default now()
);

comment on table public.generated_content is 'Texts and plans that agents wrote, stored for their owner.';

create index generated_content_owner on public.generated_content (user_id, created_at desc);

alter table public.leads enable row level security;
alter table public.conversations enable row level security;
alter table public.messages enable row level security;
alter table public.agent_logs enable row level security;
alter table public.service_recommendations enable row level security;
alter table public.generated_content enable row level security;

-- What an agent found out about a lead (score, analysis) is not the browser's to write.
grant select, delete on public.leads to authenticated;
grant insert (
    id, user_id, name, email, phone, company, industry, budget, currency, timeline, message, notes,
    assigned_to, source, metadata
) on public.leads to authenticated;
grant update (
    name, email, phone, company, industry, budget, currency, timeline, message, notes, assigned_to, source, status,
    metadata, deleted_at
) on public.leads to authenticated;
grant select, delete on public.conversations to authenticated;
grant insert (id, user_id, lead_id, title, metadata) on public.conversations to authenticated;
grant update (title, status, metadata, deleted_at) on public.conversations to authenticated;
grant select, delete on public.messages to authenticated;
grant insert (id, conversation_id, user_id, role, content, metadata) on public.messages to authenticated;
grant select on public.agent_logs, public.service_recommendations, public.generated_content to authenticated;
grant delete on public.generated_content to authenticated;

create policy leads_own on public.leads for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

-- A conversation may hang only on a lead of its own owner.
create policy conversations_own on public.conversations for all to authenticated
using (user_id = (select auth.uid()))
with check (
    user_id = (select auth.uid())
    and (lead_id is null or exists (
        select 1 from public.leads as l
        where l.id = conversations.lead_id and l.user_id = (select auth.uid())
    ))
);

create policy messages_read on public.messages for select to authenticated
using (user_id = (select auth.uid()));

create policy messages_remove on public.messages for delete to authenticated
using (user_id = (select auth.uid()));

-- A browser speaks for its user only: what the assistant said is written by the backend.
create policy messages_say on public.messages for insert to authenticated
with check (
    user_id = (select auth.uid())
    and role = 'user'
    and exists (
        select 1 from public.conversations as c
        where c.id = messages.conversation_id and c.user_id = (select auth.uid()) and c.deleted_at is null
    )
);

create policy service_recommendations_own on public.service_recommendations for select to authenticated
using (user_id = (select auth.uid()));

create policy generated_content_own on public.generated_content for all to authenticated
using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
