-- Keeping the definitions of workflows: versions are added and never changed.

-- Add a version. The same definition as the newest one adds none. With p_seed it is one that PixelBloom brings: it
-- gives way where an administrator retired the workflow or put a version of their own in its place.
-- Returns {"version", "created"}.
create function public.add_workflow(
    p_workflow_id text, p_description text, p_definition jsonb, p_created_by text, p_seed boolean
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
    w public.workflows;
begin
    perform pg_advisory_xact_lock(hashtextextended('workflow:' || p_workflow_id, 0));
    select * into w from public.workflows where workflow_id = p_workflow_id order by version desc limit 1;
    if w.workflow_id is not null and (
        (w.definition = p_definition and w.description = p_description and w.retired_at is null)
        or (p_seed and (w.retired_at is not null or w.created_by <> p_created_by))
    ) then
        return jsonb_build_object('version', w.version, 'created', false);
    end if;
    insert into public.workflows (workflow_id, version, description, definition, created_by)
    values (p_workflow_id, coalesce(w.version, 0) + 1, p_description, p_definition, p_created_by)
    returning * into w;
    return jsonb_build_object('version', w.version, 'created', true);
end
$$;

-- Retire a workflow: no new runs of any of its versions. Returns how many versions that were.
create function public.retire_workflow(p_workflow_id text) returns integer
language plpgsql
set search_path = ''
as $$
declare
    v_count integer;
begin
    perform pg_advisory_xact_lock(hashtextextended('workflow:' || p_workflow_id, 0));
    update public.workflows set retired_at = clock_timestamp()
    where workflow_id = p_workflow_id and retired_at is null;
    get diagnostics v_count = row_count;
    return v_count;
end
$$;

-- The newest version of each workflow that may run, by name, from after p_after on.
create function public.list_workflows(p_after text, p_limit integer) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(to_jsonb(newest) order by newest.workflow_id), '[]')
    from (
        select distinct on (w.workflow_id)
            w.workflow_id, w.version, w.description, w.definition, w.created_by, w.created_at, w.retired_at
        from public.workflows as w
        where w.retired_at is null and w.workflow_id > p_after
        order by w.workflow_id, w.version desc
        limit p_limit
    ) as newest
$$;
