import { useState } from 'preact/hooks'
import { api, ask, type Schedule } from '../../api'
import { seesAll } from '../../auth/session'
import {
  Button,
  Confirm,
  Empty,
  ErrorState,
  Filters,
  Heading,
  Loading,
  TextFilter,
  toast,
  useFilters,
  usePages,
} from '../../ui'
import { isUuid } from '../failures/filters'
import { NewSchedule } from './new-schedule'
import { ScheduleCard, workOf } from './schedule-card'
import './schedules.css'

/** Runs by the clock: their next times, pausing, resuming, deleting, and new ones. */
export default function Schedules() {
  const [filters, setFilters] = useFilters(['user'])
  const [creating, setCreating] = useState(false)
  const [deleting, setDeleting] = useState<Schedule | null>(null)
  const user = isUuid(filters.user) ? filters.user : undefined
  const pages = usePages<Schedule>(
    (cursor, signal) => ask(api.GET('/api/agents/schedules', { params: { query: { cursor, user_id: user } }, signal })),
    [user],
  )
  const replace = (changed: Schedule) =>
    pages.update((items) => items.map((one) => (one.schedule_id === changed.schedule_id ? changed : one)))
  const remove = async (schedule: Schedule) => {
    const path = { schedule_id: schedule.schedule_id }
    await ask(api.DELETE('/api/agents/schedules/{schedule_id}', { params: { path } }))
    pages.update((items) => items.filter((one) => one.schedule_id !== schedule.schedule_id))
    toast('Schedule deleted', 'good')
  }
  const create = (
    <Button kind="primary" icon="plus" onClick={() => setCreating(true)}>
      New schedule
    </Button>
  )
  return (
    <>
      <Heading title="Schedules" lead="Runs that start by the clock.">
        {create}
      </Heading>
      {seesAll.value && (
        <Filters onClear={filters.user ? () => setFilters({ user: '' }) : undefined}>
          <TextFilter
            label="User id"
            value={filters.user}
            onChange={(value) => setFilters({ user: value.trim() })}
            placeholder="Of everybody"
          />
        </Filters>
      )}
      <List
        pages={pages}
        empty={
          <Empty title="No schedules yet" icon="clock">
            <p>A schedule runs an agent or a workflow every morning, every Monday, or whenever you say.</p>
          </Empty>
        }
        onChanged={replace}
        onDelete={setDeleting}
      />
      {creating && (
        <NewSchedule
          onClose={() => setCreating(false)}
          onCreated={() => {
            setCreating(false)
            pages.reload()
          }}
        />
      )}
      {deleting && (
        <Confirm
          title="Delete this schedule?"
          text={`${workOf(deleting)} starts no more runs by it. Runs that it started go on.`}
          verb="Delete"
          danger
          action={() => remove(deleting)}
          onClose={() => setDeleting(null)}
        />
      )}
    </>
  )
}

function List({
  pages,
  empty,
  onChanged,
  onDelete,
}: {
  pages: ReturnType<typeof usePages<Schedule>>
  empty: preact.ComponentChildren
  onChanged: (schedule: Schedule) => void
  onDelete: (schedule: Schedule) => void
}) {
  const { items, error, loading, more, loadMore, reload } = pages
  if (items === undefined) return error ? <ErrorState error={error} retry={reload} /> : <Loading rows={6} />
  if (items.length === 0) return <>{empty}</>
  return (
    <>
      <ul class="schedules" aria-label="Schedules">
        {items.map((schedule) => (
          <li key={schedule.schedule_id}>
            <ScheduleCard schedule={schedule} onChanged={onChanged} onDelete={() => onDelete(schedule)} />
          </li>
        ))}
      </ul>
      {more && (
        <div class="paging">
          {error && <span class="error-text">{error.message}</span>}
          <Button busy={loading} onClick={loadMore}>
            Show more
          </Button>
        </div>
      )}
    </>
  )
}
