"""Statements that fill each list with rows as wide as they can be."""

COUNT = 200
CONVERSATION = "c0ffee00-0000-4000-8000-000000000001"
WIDE = "jsonb_build_object('text', repeat('é', 100000))"
#: By list, a statement that adds COUNT rows as wide as the table's checks allow, or of 600 KB in the API's JSON where
#: only the code that writes them has a bound; `%(user)s` is their owner.
FILLERS = {
    "/api/agents/runs": """
        insert into public.runs (id, kind, agent_type, user_id, caller, user_queue, input, metadata)
        select gen_random_uuid(), 'agent', 'chat_agent', %(user)s, 'test', 'test', '{}', WIDE
        from generate_series(1, 200)
    """,
    "/api/agents/workflows/runs": """
        insert into public.runs (id, kind, workflow_id, workflow_version, user_id, caller, user_queue, input, metadata)
        select gen_random_uuid(), 'workflow', 'wide_1', 1, %(user)s, 'test', 'test', '{}', WIDE
        from generate_series(1, 200)
    """,
    "/api/agents/workflows": """
        insert into public.workflows (workflow_id, version, description, definition)
        select 'wide_' || n, 1, repeat('é', 2000), jsonb_build_object('steps', jsonb_build_array(), 'inputs', WIDE)
        from generate_series(1, 200) as n
    """,
    "/api/agents/schedules": """
        insert into public.schedules (user_id, caller, kind, target, input, metadata, cron, next_run_at)
        select %(user)s, 'test', 'agent', 'chat_agent', WIDE, WIDE, '0 0 * * *', now() + interval '1 day'
        from generate_series(1, 200)
    """,
    "/api/agents/webhooks": """
        insert into public.webhook_deliveries (run_id, user_id, url, event, last_error, outcomes)
        select gen_random_uuid(), %(user)s, 'https://example.com/' || repeat('é', 2028), 'run.completed',
            repeat('é', 500), (
                select jsonb_agg(jsonb_build_object(
                    'at', now(), 'status_code', null, 'error', repeat('é', 500), 'duration_ms', 1
                )) from generate_series(1, 20)
            )
        from generate_series(1, 200)
    """,
    "/api/leads": """
        insert into public.leads (user_id, name, message, metadata, analysis, search_grams)
        select %(user)s, repeat('é', 200), repeat('é', 10000), jsonb_build_object('text', repeat('é', 8000)), WIDE,
            '{}'
        from generate_series(1, 200)
    """,
    "/api/conversations": """
        insert into public.conversations (user_id, title, metadata)
        select %(user)s, repeat('é', 200), jsonb_build_object('text', repeat('é', 8000)) from generate_series(1, 200)
    """,
    "/api/conversations/{conversation_id}/messages": """
        with one as (
            insert into public.conversations (id, user_id) values (%(conversation)s, %(user)s)
        )
        insert into public.messages (conversation_id, user_id, role, content, metadata)
        select %(conversation)s, %(user)s, 'assistant', repeat('é', 32000), WIDE from generate_series(1, 200)
    """,
    "/api/notifications": """
        insert into public.notifications (user_id, notification_type, title, message, action_url, metadata)
        select %(user)s, repeat('t', 100), repeat('é', 200), repeat('é', 4000), '/' || repeat('é', 1999), WIDE
        from generate_series(1, 200)
    """,
    "/api/analytics/conversations/list": """
        insert into public.conversations (user_id, title)
        select %(user)s, repeat('é', 200) from generate_series(1, 200)
    """,
    "/api/analytics/revenue/subscriptions/list": """
        insert into public.user_subscriptions (user_id, status, start_date, final_price)
        select %(user)s, 'active', now(), 1 from generate_series(1, 200)
    """,
    "/api/analytics/agents/logs": """
        insert into public.agent_logs (user_id, agent_type, event, detail)
        select %(user)s, 'chat_agent', repeat('é', 200), WIDE from generate_series(1, 200)
    """,
    "/api/payments/events": """
        insert into public.stripe_events (id, type, payload, status, error, occurred_at)
        select 'evt_"\\,)(' || md5(random()::text), repeat('t', 200), '{}', 'failed', repeat('é', 4000), now()
        from generate_series(1, 200)
    """,
    "/api/pricing/packages": """
        insert into public.pricing_packages (name, description, price, features, position)
        select repeat('é', 50) || '"\\,)(' || md5(random()::text), repeat('é', 4000), 1, jsonb_build_array(WIDE),
            n %% 3 - 1
        from generate_series(1, 200) as n
    """,
    "/api/pricing/catalogue": """
        insert into public.pricing_packages (name, description, price, features, active)
        select md5(random()::text), repeat('é', 4000), 1, jsonb_build_array(WIDE), false from generate_series(1, 200)
    """,
    "/api/pricing/campaigns": """
        insert into public.pricing_campaigns (code, description, discount_type, discount_value, package_ids)
        select md5(random()::text), repeat('é', 1000), 'percentage', 10, ids
        from generate_series(1, 200), (select array_agg(gen_random_uuid()) as ids from generate_series(1, 3000)) as many
    """,
    "/api/pricing/redemptions": """
        insert into public.campaign_redemptions (campaign_id, redemption_key, stripe_session_id)
        select gen_random_uuid(), md5(random()::text), repeat('s', 255) from generate_series(1, 200)
    """,
}
#: Lists that have no `user_id`.
EVERYBODYS = {
    "/api/agents/workflows",
    "/api/notifications",
    "/api/payments/events",
    "/api/pricing/packages",
    "/api/pricing/catalogue",
    "/api/pricing/campaigns",
    "/api/pricing/redemptions",
}
