import { api, ask, type Schedule } from '../../api'
import { Age, Heading, PagedTable, usePages } from '../../ui'

export default function Schedules() {
  const pages = usePages<Schedule>(
    (cursor, signal) => ask(api.GET('/api/agents/schedules', { params: { query: { cursor } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Schedules" />
      <PagedTable
        label="Schedules"
        pages={pages}
        empty="No schedules yet"
        rowKey={(schedule) => schedule.schedule_id}
        columns={[
          { name: 'What', kind: 'wide', cell: (schedule) => schedule.agent_type || schedule.workflow_id },
          { name: 'Cron', cell: (schedule) => <code>{schedule.cron}</code> },
          { name: 'Next', cell: (schedule) => <Age time={schedule.next_run_at} /> },
        ]}
      />
    </>
  )
}
