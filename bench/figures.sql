-- Rows of the last 180 days: `figures.rows` runs, each with a log line, a call to a model, a lead and a recommendation, and
-- as many messages and invoices. The user `figures.owner` has a twentieth. Made without triggers; the roll-ups are filled
-- afterwards.
create function pg_temp.a_user() returns uuid
language sql volatile
as $$
    select case when random() < 0.05 then current_setting('figures.owner')::uuid
    else md5('user:' || floor(2000 * random()))::uuid end
$$;

create temporary table made as
select
    gen_random_uuid() as id,
    floor(1000000 * random())::integer as sample,
    pg_temp.a_user() as user_id,
    t.at,
    (array['lead_agent', 'chat_agent', 'recommendation_agent', 'content_agent', 'analytics_agent'])
    [1 + floor(5 * random())::integer] as agent_type,
    random() < 0.95 as well,
    (array['ollama', 'ollama', 'huggingface', 'fallback'])[1 + floor(4 * random())::integer] as provider,
    make_interval(secs => round((0.2 * 10 ^ (2.5 * random()))::numeric, 3)::double precision) as took
from (
    select now() - interval '180 days' * n / current_setting('figures.rows')::double precision as at
    from generate_series(current_setting('figures.rows')::integer, 1, -1) as n
) as t;

insert into public.runs (
    id, kind, agent_type, user_id, caller, user_queue, status, progress, input, result, error, provider, attempts,
    created_at, started_at, finished_at, updated_at
)
select
    m.id, 'agent', m.agent_type, m.user_id, 'service', m.user_id, case when m.well then 'completed' else 'failed' end,
    1, '{}', case when m.well then '{}'::jsonb end, case when not m.well then 'x' end, m.provider, 1, m.at, m.at,
    m.at + m.took, m.at + m.took
from made as m;

insert into public.run_steps (
    run_id, key, agent_type, user_queue, status, ready, attempt, input, output, error, provider, prompt_tokens,
    completion_tokens, created_at, started_at, finished_at
)
select
    m.id, m.agent_type, m.agent_type, m.user_id, case when m.well then 'completed' else 'failed' end, true, 1, '{}',
    case when m.well then '{}'::jsonb end, case when not m.well then 'x' end, m.provider, 200, 300, m.at, m.at,
    m.at + m.took
from made as m;

insert into public.agent_logs (run_id, user_id, agent_type, level, event, detail, created_at)
select
    m.id, m.user_id, m.agent_type, case when m.well then 'info' else 'error' end,
    case when m.well then 'step_completed' else 'step_failed' end,
    jsonb_build_object('step', m.agent_type, 'attempt', 1), m.at + m.took
from made as m;

insert into public.model_metrics (
    run_id, agent_type, provider, model, outcome, latency_ms, prompt_tokens, completion_tokens, created_at
)
select
    m.id, m.agent_type, m.provider, case m.provider when 'ollama' then 'llama3' else 'zephyr' end,
    case when m.well then 'ok' else 'timeout' end, 1000 * extract(epoch from m.took), 200, 300, m.at
from made as m;

insert into public.leads (user_id, name, budget, source, status, score, created_at, updated_at)
select
    m.user_id, 'Ada', 1000 * random(), (array['website', 'referral', 'campaign', 'event', 'api'])
    [1 + floor(5 * random())::integer],
    (array['new', 'contacted', 'qualified', 'unqualified', 'converted', 'lost'])[1 + floor(6 * random())::integer],
    floor(101 * random()), m.at, m.at
from made as m;

insert into public.conversations (id, user_id, title, last_message_at, created_at, updated_at)
select m.id, m.user_id, 'T', m.at, m.at, m.at from made as m where m.sample % 10 = 0;

insert into public.messages (conversation_id, user_id, role, content, created_at)
select m.id, m.user_id, 'user', 'Hello', m.at + n * interval '1 minute'
from made as m cross join generate_series(1, 10) as n
where m.sample % 10 = 0;

insert into public.service_recommendations (user_id, run_id, service, confidence, created_at)
select
    m.user_id, m.id, (array['web_development', 'ecommerce', 'seo', 'brand_design'])[1 + floor(4 * random())::integer],
    round(random()::numeric, 3), m.at
from made as m;

insert into public.user_subscriptions (id, user_id, status, start_date, final_price, created_at)
select m.id, m.user_id, 'active', m.at, 49, m.at from made as m where m.sample % 10 = 0;

insert into public.invoices (user_id, subscription_id, status, currency, amount_due, amount_paid, paid_at, created_at)
select m.user_id, m.id, 'paid', 'usd', 49, 49, m.at + n * interval '1 day', m.at
from made as m cross join generate_series(1, 10) as n
where m.sample % 10 = 0;

drop table made;
