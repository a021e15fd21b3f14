-- What agents found out is kept on the rows that they worked on, in the transaction in which their step is completed:
-- once, as the step is.

-- lead_agent qualified a stored lead of the run's user; or of anybody's, where a service named no user.
create function public.apply_lead_result(p_user_id uuid, p_run_id uuid, p_output jsonb) returns void
language sql
set search_path = ''
as $$
    update public.leads
    set
        score = (p_output ->> 'score')::smallint,
        status = case
            when status not in ('new', 'contacted', 'qualified', 'unqualified') then status
            when p_output ->> 'tier' = 'cold' then 'unqualified'
            else 'qualified'
        end,
        analysis = p_output,
        analysis_id = p_run_id,
        analyzed_at = now()
    where
        id = (p_output ->> 'lead_id')::uuid
        and deleted_at is null
        and (p_user_id is null or user_id = p_user_id)
$$;

create function public.apply_recommendations(p_user_id uuid, p_run_id uuid, p_output jsonb) returns void
language sql
set search_path = ''
as $$
    insert into public.service_recommendations (user_id, run_id, service, reason, priority, confidence)
    select
        p_user_id,
        p_run_id,
        r.item ->> 'service',
        left(r.item ->> 'reason', 4000),
        (r.item ->> 'rank')::smallint,
        round((r.item ->> 'score')::numeric / 100, 3)
    from jsonb_array_elements(p_output -> 'recommendations') as r (item)
$$;

create function public.apply_step_result() returns trigger
language plpgsql security definer
set search_path = ''
as $$
declare
    v_user_id uuid := (select r.user_id from public.runs as r where r.id = new.run_id);
begin
    case new.agent_type
        when 'lead_agent' then
            if new.output ->> 'lead_id' is not null then
                perform public.apply_lead_result(v_user_id, new.run_id, new.output);
            end if;
        when 'recommendation_agent' then
            perform public.apply_recommendations(v_user_id, new.run_id, new.output);
        else
            insert into public.generated_content (user_id, run_id, kind, title, body)
            values (v_user_id, new.run_id, new.agent_type, left(new.output ->> 'title', 300), new.output);
    end case;
    return null;
end
$$;

create trigger run_steps_applied after update of status on public.run_steps
for each row when (
    new.status = 'completed' and old.status <> 'completed'
    and new.agent_type in (
        'lead_agent', 'recommendation_agent', 'content_agent', 'brand_design_agent', 'digital_marketing_agent'
    )
)
execute function public.apply_step_result();

revoke execute on function
public.apply_lead_result(uuid, uuid, jsonb),
public.apply_recommendations(uuid, uuid, jsonb),
public.apply_step_result()
from public, anon, authenticated;

grant execute on function
public.apply_lead_result(uuid, uuid, jsonb),
public.apply_recommendations(uuid, uuid, jsonb)
to service_role;
