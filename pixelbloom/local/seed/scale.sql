-- Many rows, to measure on: made by the database itself, the same each time for the same seed and day. Settings of the
-- transaction: seed.number, seed.until (the day on which the data ends), seed.leads, seed.messages, seed.subscriptions,
-- seed.owner. Rows are spread evenly over the year before `until`, subscriptions over two; they are stored in the order of
-- their times, as a table that grew is.

select setseed(mod(current_setting('seed.number')::bigint, 1000000) / 1000000.0);

create temporary table scale_facts on commit drop as
select
    (current_setting('seed.until')::date + 1)::timestamp at time zone 'UTC' as until,
    current_setting('seed.number') as seed,
    500 as users;

-- Some users have many more rows than others; the owner has the most.
create or replace function pg_temp.one_of_users(p_random double precision) returns uuid
language sql immutable
as $$
    select case
        when floor(500 * p_random ^ 2) = 0 then current_setting('seed.owner')::uuid
        else md5('user:' || current_setting('seed.number') || floor(500 * p_random ^ 2))::uuid
    end
$$;

insert into public.leads (
    id, user_id, name, company, budget, currency, source, status, score, created_at, updated_at, deleted_at
)
select
    md5('lead:' || f.seed || r.n)::uuid,
    pg_temp.one_of_users(r.pick),
    'Lead ' || r.n,
    'Company ' || r.n % 20000,
    round((500 + 40000 * r.much)::numeric, 2),
    (array['usd', 'usd', 'usd', 'eur'])[1 + floor(4 * r.where_from)::integer],
    (array['website', 'referral', 'campaign', 'event', 'api'])[1 + floor(5 * r.much)::integer],
    (array['new', 'contacted', 'qualified', 'unqualified', 'converted', 'lost'])[1 + floor(6 * r.how)::integer],
    floor(101 * r.well),
    r.at,
    r.at,
    case when r.gone < 0.02 then r.at + interval '1 day' end
from scale_facts as f
cross join lateral (
    select
        n,
        f.until - random() * interval '365 days' as at,
        random() as pick,
        random() as much,
        random() as where_from,
        random() as how,
        random() as well,
        random() as gone
    from generate_series(1, current_setting('seed.leads')::integer) as n
    order by at
) as r;

-- Ten messages a conversation, within an hour.
create temporary table scale_conversations on commit drop as
select
    md5('conversation:' || f.seed || r.n)::uuid as id,
    pg_temp.one_of_users(r.pick) as user_id,
    r.at,
    r.open,
    r.gone
from scale_facts as f
cross join lateral (
    select
        n,
        f.until - random() * interval '365 days' as at,
        random() as pick,
        random() as open,
        random() as gone
    from generate_series(1, greatest(current_setting('seed.messages')::integer / 10, 1)) as n
    order by at
) as r;

insert into public.conversations (
    id, user_id, title, status, last_message_at, created_at, updated_at, deleted_at
)
select
    c.id,
    c.user_id,
    'A conversation',
    case when c.open < 0.2 then 'active' else 'closed' end,
    c.at + interval '54 minutes',
    c.at,
    c.at,
    case when c.gone < 0.02 then c.at + interval '1 day' end
from scale_conversations as c;

insert into public.messages (id, conversation_id, user_id, role, content, created_at)
select
    md5('message:' || c.id || n)::uuid,
    c.id,
    c.user_id,
    case when n % 2 = 1 then 'user' else 'assistant' end,
    'Message ' || n || ' of a conversation about a new website, its costs and when it could be done.',
    c.at + n * interval '324 seconds' as at
from scale_conversations as c
cross join generate_series(1, 10) as n
order by at
limit current_setting('seed.messages')::integer;

insert into public.pricing_packages (id, name, price, currency, billing_interval, position)
select
    md5('package:' || f.seed || n)::uuid,
    'Package ' || n || ' of ' || f.seed,
    49 * n,
    'usd',
    'month',
    n
from scale_facts as f
cross join generate_series(1, 6) as n
on conflict do nothing;

create temporary table scale_subscriptions on commit drop as
select
    r.*,
    md5('subscription:' || f.seed || r.n)::uuid as id,
    pg_temp.one_of_users(r.pick) as user_id,
    1 + floor(6 * r.which)::integer as package,
    case when r.stays < 0.6 then r.at + r.lasts * interval '720 days' end as gone_at
from scale_facts as f
cross join lateral (
    select
        n,
        f.until - random() * interval '730 days' as at,
        random() as pick,
        random() as which,
        random() as stays,
        random() as lasts,
        random() as abroad
    from generate_series(1, current_setting('seed.subscriptions')::integer) as n
    order by at
) as r;

insert into public.user_subscriptions (
    id, user_id, package_id, status, start_date, end_date, currency, original_price, final_price, billing_interval,
    created_at, updated_at
)
select
    s.id,
    s.user_id,
    md5('package:' || f.seed || s.package)::uuid,
    case when s.gone_at < f.until then 'cancelled' when s.n % 50 = 0 then 'past_due' else 'active' end,
    s.at,
    case when s.gone_at < f.until then s.gone_at end,
    case when s.abroad < 0.25 then 'eur' else 'usd' end,
    49 * s.package,
    49 * s.package,
    case when s.n % 10 = 0 then 'year' else 'month' end,
    s.at,
    s.at
from scale_facts as f
cross join scale_subscriptions as s;

-- An invoice a month, or a year.
insert into public.invoices (
    id, user_id, subscription_id, status, currency, amount_due, amount_paid, amount_refunded, issued_at, paid_at,
    created_at, updated_at
)
select
    md5('invoice:' || s.id || i.at)::uuid,
    s.user_id,
    s.id,
    case when (s.n + i.number) % 40 = 39 then 'refunded' else 'paid' end,
    case when s.abroad < 0.25 then 'eur' else 'usd' end,
    49 * s.package,
    49 * s.package,
    case when (s.n + i.number) % 40 = 39 then 49 * s.package else 0 end,
    i.at,
    i.at + interval '1 minute',
    i.at,
    i.at
from scale_facts as f
cross join scale_subscriptions as s
cross join lateral (
    select t.* from generate_series(
        s.at, least(s.gone_at, f.until) - interval '1 second',
        case when s.n % 10 = 0 then interval '1 year' else interval '1 month' end
    ) with ordinality as t (at, number)
) as i
order by i.at;

insert into public.refunds (
    user_id, subscription_id, invoice_id, stripe_id, currency, amount, refunded_at, created_at, updated_at
)
select
    i.user_id,
    i.subscription_id,
    i.id,
    're_' || i.id,
    i.currency,
    i.amount_paid,
    i.paid_at + interval '3 days',
    i.paid_at + interval '3 days',
    i.paid_at + interval '3 days'
from public.invoices as i
inner join scale_subscriptions as s on i.subscription_id = s.id
where i.status = 'refunded';

-- Agents at work: a run for every fourth lead, with a call to a model, a log line and a recommendation.
create temporary table scale_runs on commit drop as
select
    md5('run:' || f.seed || r.n)::uuid as id,
    pg_temp.one_of_users(r.pick) as user_id,
    (array[
        'lead_agent', 'chat_agent', 'recommendation_agent', 'content_agent', 'analytics_agent'
    ])[1 + floor(5 * r.which)::integer] as agent_type,
    r.well < 0.95 as well,
    (array['ollama', 'ollama', 'huggingface', 'fallback'])[1 + floor(4 * r.what)::integer] as provider,
    r.at,
    r.long * interval '9 seconds' as took,
    floor(900 * r.long)::integer as tokens
from scale_facts as f
cross join lateral (
    select
        n,
        f.until - random() * interval '365 days' as at,
        random() as pick,
        random() as which,
        random() as well,
        random() as what,
        random() as long
    from generate_series(1, current_setting('seed.leads')::integer / 4) as n
    order by at
) as r;

insert into public.runs (
    id, kind, agent_type, user_id, caller, user_queue, status, progress, input, result, error, provider, attempts,
    created_at, started_at, finished_at, updated_at
)
select
    r.id,
    'agent',
    r.agent_type,
    r.user_id,
    'service',
    r.user_id,
    case when r.well then 'completed' else 'failed' end,
    1,
    '{}',
    case when r.well then '{}'::jsonb end,
    case when not r.well then 'The models timed out.' end,
    case when r.well then r.provider end,
    1,
    r.at,
    r.at,
    r.at + r.took,
    r.at + r.took
from scale_runs as r;

insert into public.run_steps (
    run_id, key, agent_type, user_queue, status, ready, attempt, input, output, error, provider, completion_tokens,
    created_at, started_at, finished_at
)
select
    r.id,
    r.agent_type,
    r.agent_type,
    r.user_id,
    case when r.well then 'completed' else 'failed' end,
    true,
    1,
    '{}',
    case when r.well then '{}'::jsonb end,
    case when not r.well then 'The models timed out.' end,
    case when r.well then r.provider end,
    r.tokens,
    r.at,
    r.at,
    r.at + r.took
from scale_runs as r;

insert into public.model_metrics (
    run_id, agent_type, provider, model, outcome, latency_ms, prompt_tokens, completion_tokens, created_at
)
select
    r.id,
    r.agent_type,
    r.provider,
    case r.provider when 'ollama' then 'llama3' else 'HuggingFaceH4/zephyr-7b-beta' end,
    case when r.well then 'ok' else 'timeout' end,
    1000 * extract(epoch from r.took),
    200,
    r.tokens,
    r.at
from scale_runs as r
where r.provider <> 'fallback';

insert into public.agent_logs (id, run_id, user_id, agent_type, level, event, detail, created_at)
select
    md5('log:' || r.id)::uuid,
    r.id,
    r.user_id,
    r.agent_type,
    case when not r.well then 'error' when r.provider = 'fallback' then 'warning' else 'info' end,
    case when r.well then 'step_completed' else 'step_failed' end,
    jsonb_build_object('step', r.agent_type, 'attempt', 1),
    r.at + r.took
from scale_runs as r;

insert into public.service_recommendations (id, user_id, run_id, service, reason, priority, confidence, created_at)
select
    md5('recommendation:' || r.id)::uuid,
    r.user_id,
    r.id,
    (array[
        'web_development', 'ecommerce', 'seo', 'brand_design', 'digital_marketing'
    ])[1 + r.tokens % 5],
    'It fits the goal.',
    1,
    round((r.tokens % 1000) / 1000.0, 3),
    r.at
from scale_runs as r;
