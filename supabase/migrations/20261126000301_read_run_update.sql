-- Return a run's current state as its events have it, or null if there is no such run.
create function public.read_run_update(p_run_id uuid) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    r public.runs;
begin
    select * into r from public.runs where id = p_run_id;
    return case when found then internal.run_update(r) end;
end
$$;
