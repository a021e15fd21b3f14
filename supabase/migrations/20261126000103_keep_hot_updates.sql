-- Updates of the hot tables stay within their page (HOT) where no index needs the changed column, and what they leave
-- is vacuumed early. docs/capacity.md has the measured shares, and the indexes that need a column that changes.

-- A lease is renewed every few seconds, so no index may hold the time at which it expires. Few steps run at once: the
-- sweep reads all of them.
drop index public.run_steps_leases;
create index run_steps_running on public.run_steps (run_id) where status = 'running';

-- Room on each page for the next versions of its rows.
alter table public.runs set (fillfactor = 80);
alter table public.run_steps set (fillfactor = 80);
alter table public.webhook_deliveries set (fillfactor = 80);
alter table public.system_state set (fillfactor = 10);
alter table public.periodic_tasks set (fillfactor = 50);
alter table public.agent_workers set (fillfactor = 50);

-- By default a table is vacuumed when a fifth of it is dead, which takes long for one of millions of rows; a queue,
-- whose rows are all deleted soon, is vacuumed by its number of dead rows alone.
alter table public.runs set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
    toast.autovacuum_vacuum_scale_factor = 0.02
);
alter table public.run_steps set (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
    toast.autovacuum_vacuum_scale_factor = 0.02
);
alter table public.notifications set (autovacuum_vacuum_scale_factor = 0.05);
alter table public.webhook_deliveries set (autovacuum_vacuum_scale_factor = 0.05);
alter table public.agent_logs set (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05
);
alter table public.model_metrics set (
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05
);
alter table public.event_outbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000
);
alter table internal.figure_changes set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);
