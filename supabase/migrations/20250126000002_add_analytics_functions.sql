-- Analytics of leads and conversations: what its queries range over.

create index leads_created on public.leads (created_at) include (user_id, status);
create index conversations_created on public.conversations (created_at) include (user_id, status);
