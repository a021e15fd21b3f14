-- What people do to a run: stop it, let it go on from where it failed, decide where it waits for them.

-- Ask a run to stop. Steps not begun are cancelled now; a running one stops at its next sign of life.
-- Returns {"outcome": "cancelled" | "requested" | "finished" | "gone", "status": ...}.
create function public.cancel_run(p_run_id uuid, p_user_queue_limit integer) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    r public.runs;
    v_update jsonb;
begin
    select * into r from public.runs where id = p_run_id for update;
    if r.id is null then
        return jsonb_build_object('outcome', 'gone');
    elsif r.finished_at is not null then
        return jsonb_build_object('outcome', 'finished', 'status', r.status);
    end if;
    update public.runs set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()) where id = r.id;
    v_update := internal.advance_run(r.id);
    perform internal.wake_beat(clock_timestamp());
    return jsonb_build_object(
        'outcome', case when v_update ->> 'status' in ('cancelled', 'failed') then 'cancelled' else 'requested' end,
        'status', v_update ->> 'status',
        'update', v_update,
        'publish', internal.admit_steps(array[r.user_queue], p_user_queue_limit)
    );
end
$$;

-- Retry ended runs from the failed or cancelled steps; completed steps are not repeated, and retried steps get all
-- their attempts again. Each item ({"run_id"}) ends as retried, not_failed (with its status) or gone.
create function public.retry_runs(p_items jsonb, p_user_queue_limit integer) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '30s'
as $$
declare
    v_item jsonb;
    v_out jsonb := '[]';
    v_user_queues text[] := '{}';
    r public.runs;
    v_key text;
begin
    perform internal.lock_runs(p_items);
    for v_item in select i from jsonb_array_elements(p_items) as i loop
        select * into r from public.runs where id = (v_item ->> 'run_id')::uuid;
        if r.id is null then
            v_out := v_out || jsonb_build_object('outcome', 'gone');
            continue;
        elsif r.status not in ('failed', 'cancelled') then
            v_out := v_out || jsonb_build_object('outcome', 'not_failed', 'status', r.status);
            continue;
        end if;
        update public.run_steps as s set
            -- A map with existing items continues with them.
            status = case
                when s.kind = 'map' and exists (
                    select 1 from public.run_steps as i where i.run_id = r.id and i.parent = s.key
                ) then 'running'
                else 'pending'
            end,
            ready = false,
            finished_at = null,
            published_at = null,
            available_at = clock_timestamp(),
            max_attempts = s.attempt + s.attempts_allowed,
            max_interruptions = s.interruptions + 100,
            output = null,
            error = null,
            error_code = null
        where s.run_id = r.id and (s.status = 'cancelled' or (s.status = 'failed' and s.on_error = 'fail'));
        perform internal.release_steps(r.id, null, null);
        update public.runs set
            status = 'queued', finished_at = null, cancel_requested_at = null,
            error = null, error_code = null, result = null, retries = retries + 1
        where id = r.id;
        for v_key in
            select (array_agg(i.key order by i.position))[1] from public.run_steps as i
            inner join public.run_steps as m on m.run_id = i.run_id and m.key = i.parent
            where i.run_id = r.id and m.status = 'running'
            group by m.key
        loop
            perform internal.step_ended(r.id, v_key, false);
        end loop;
        v_user_queues := v_user_queues || r.user_queue;
        v_out := v_out || jsonb_build_object('outcome', 'retried', 'status', 'queued', 'update', internal.publish_run(r.id));
    end loop;
    perform internal.wake_beat(clock_timestamp());
    return jsonb_build_object('items', v_out, 'publish', internal.admit_steps(v_user_queues, p_user_queue_limit));
end
$$;

-- Decide where a run waits for a person. Returns {"outcome": "decided" | "already" (the same decision again) |
-- "not_waiting" | "gone", "status": the step's}.
create function public.decide_step(
    p_run_id uuid, p_key text, p_approved boolean, p_comment text, p_by text, p_user_queue_limit integer
) returns jsonb
language plpgsql
set search_path = ''
set statement_timeout = '15s'
as $$
declare
    r public.runs;
    s public.run_steps;
    v_update jsonb;
    v_decision jsonb;
begin
    select * into r from public.runs where id = p_run_id for update;
    select * into s from public.run_steps where run_id = p_run_id and key = p_key for update;
    if s.run_id is null or s.kind <> 'approval' then
        return jsonb_build_object('outcome', 'gone');
    elsif s.status <> 'waiting' then
        return jsonb_build_object(
            'outcome', case when (s.output ->> 'approved')::boolean = p_approved then 'already' else 'not_waiting' end,
            'status', s.status
        );
    end if;
    v_decision := jsonb_build_object(
        'approved', p_approved, 'comment', p_comment, 'decided_by', p_by,
        'decided_at', internal.iso_utc(clock_timestamp())
    );
    update public.run_steps set
        status = case when p_approved then 'completed' else 'failed' end,
        finished_at = clock_timestamp(),
        deadline_at = null,
        output = v_decision,
        error = case when not p_approved then left('Rejected' || coalesce(': ' || p_comment, '.'), 4000) end,
        error_code = case when not p_approved then 'REJECTED' end
    where run_id = s.run_id and key = s.key;
    perform internal.step_ended(s.run_id, s.key, false);
    v_update := internal.advance_run(r.id, s.key);
    perform internal.wake_beat(clock_timestamp());
    return jsonb_build_object(
        'outcome', 'decided',
        'status', case when p_approved then 'completed' else 'failed' end,
        'update', v_update,
        'publish', internal.admit_steps(array[r.user_queue], p_user_queue_limit)
    );
end
$$;

-- Return steps that wait for a decision, the earliest deadline first, after that (deadline, id): those of a user's
-- runs, or with null of all. Steps that only an administrator may decide are included only with p_admin. The user queue
-- of a user's steps is the user's id.
create function public.list_approvals(
    p_user_id uuid, p_admin boolean, p_limit integer, p_after timestamptz, p_after_id uuid
) returns jsonb
language sql stable
set search_path = ''
as $$
    with waiting as (
        (
            select s.run_id, s.key, s.deadline_at, s.timeout_seconds, s.input, md5(s.run_id || ':' || s.key)::uuid as id
            from public.run_steps as s
            where
                s.status = 'waiting'
                and s.user_queue = p_user_id::text
                and (p_admin or s.input ->> 'approvers' is distinct from 'admin')
                and s.deadline_at >= coalesce(p_after, '-infinity')
                and (s.deadline_at, md5(s.run_id || ':' || s.key)::uuid)
                > (coalesce(p_after, '-infinity'), coalesce(p_after_id, '00000000-0000-0000-0000-000000000000'))
            order by s.deadline_at, md5(s.run_id || ':' || s.key)::uuid
            limit least(greatest(p_limit, 1), 201)
        )
        union all
        -- Each branch has an index of its own, and the one that is not meant reads nothing.
        (
            select s.run_id, s.key, s.deadline_at, s.timeout_seconds, s.input, md5(s.run_id || ':' || s.key)::uuid as id
            from public.run_steps as s
            where
                s.status = 'waiting'
                and p_user_id is null
                and (p_admin or s.input ->> 'approvers' is distinct from 'admin')
                and s.deadline_at >= coalesce(p_after, '-infinity')
                and (s.deadline_at, md5(s.run_id || ':' || s.key)::uuid)
                > (coalesce(p_after, '-infinity'), coalesce(p_after_id, '00000000-0000-0000-0000-000000000000'))
            order by s.deadline_at, md5(s.run_id || ':' || s.key)::uuid
            limit least(greatest(p_limit, 1), 201)
        )
    )

    select coalesce(jsonb_agg(jsonb_build_object(
        'id', w.id,
        'workflow_run_id', r.id,
        'workflow_id', r.workflow_id,
        'workflow_version', r.workflow_version,
        'user_id', r.user_id,
        'key', w.key,
        'message', left(coalesce(w.input ->> 'message', ''), 2000),
        'approvers', coalesce(w.input ->> 'approvers', 'owner'),
        'requested_at', internal.iso_utc(w.deadline_at - make_interval(secs => w.timeout_seconds)),
        'deadline_at', internal.iso_utc(w.deadline_at)
    ) order by w.deadline_at, w.id), '[]')
    from waiting as w
    inner join public.runs as r on r.id = w.run_id
$$;

-- Group the newest p_most failed runs of a user, or with null of all, by what failed and why, the largest group first.
-- Returns {"items", "counted", "more"}; each item has the newest run's id, time and error.
create function public.count_failures(
    p_user_id uuid, p_after timestamptz, p_before timestamptz, p_most integer
) returns jsonb
language sql stable
set search_path = ''
as $$
    with failed as (
        (
            select id, kind, agent_type, workflow_id, error_code, created_at
            from public.runs
            where
                status = 'failed'
                and user_id = p_user_id
                and created_at > coalesce(p_after, '-infinity')
                and created_at < coalesce(p_before, 'infinity')
            order by created_at desc, id desc
            limit p_most + 1
        )
        union all
        -- Each branch has an index of its own, and the one that is not meant reads nothing.
        (
            select id, kind, agent_type, workflow_id, error_code, created_at
            from public.runs
            where
                status = 'failed'
                and p_user_id is null
                and created_at > coalesce(p_after, '-infinity')
                and created_at < coalesce(p_before, 'infinity')
            order by created_at desc, id desc
            limit p_most + 1
        )
    ),

    counted as (
        select * from failed
        order by created_at desc, id desc
        limit p_most
    ),

    grouped as (
        select
            kind,
            agent_type,
            workflow_id,
            error_code,
            count(*) as runs,
            min(created_at) as first_at,
            max(created_at) as last_at,
            (array_agg(id order by created_at desc, id desc))[1] as last_run_id
        from counted
        group by kind, agent_type, workflow_id, error_code
        order by runs desc, last_at desc
        limit 200
    )

    select jsonb_build_object(
        'items', coalesce((
            select jsonb_agg(jsonb_build_object(
                'id', md5(concat_ws(':', g.kind, g.agent_type, g.workflow_id, g.error_code))::uuid,
                'kind', g.kind,
                'agent_type', g.agent_type,
                'workflow_id', g.workflow_id,
                'error_code', g.error_code,
                'count', g.runs,
                'first_at', internal.iso_utc(g.first_at),
                'last_at', internal.iso_utc(g.last_at),
                'last_run_id', g.last_run_id,
                'last_error', left(r.error, 2000)
            ) order by g.runs desc, g.last_at desc)
            from grouped as g
            inner join public.runs as r on r.id = g.last_run_id
        ), '[]'),
        'counted', (select count(*) from counted),
        'more', (select count(*) > p_most from failed)
    )
$$;

-- Remove runs that ended before a moment, oldest first; their steps go with them.
create function public.purge_runs(p_before timestamptz, p_limit integer) returns integer
language plpgsql
set search_path = ''
set statement_timeout = '60s'
as $$
declare
    v_gone integer;
begin
    delete from public.runs as r where r.id in (
        select e.id from public.runs as e
        where e.finished_at < p_before order by e.finished_at limit p_limit
        for update skip locked
    );
    get diagnostics v_gone = row_count;
    return v_gone;
end
$$;
