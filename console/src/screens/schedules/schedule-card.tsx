import { Link } from 'wouter-preact'
import { api, ask, type Schedule } from '../../api'
import { seesAll } from '../../auth/session'
import { ActionButton, Age, Badge, Button, formatExact, Icon, Id, toast } from '../../ui'
import { describeCron } from './cron'

/** What a schedule runs: an agent or a workflow. */
export function workOf(schedule: Schedule): string {
  return schedule.agent_type || schedule.workflow_id || ''
}

interface Props {
  schedule: Schedule
  onChanged: (schedule: Schedule) => void
  onDelete: () => void
}

export function ScheduleCard({ schedule, onChanged, onDelete }: Props) {
  const work = workOf(schedule)
  const address =
    schedule.kind === 'workflow' ? `/workflows/${work.split('@')[0]}` : `/playground/${encodeURIComponent(work)}`
  const setActive = async (active: boolean) => {
    const path = { schedule_id: schedule.schedule_id }
    onChanged(await ask(api.PATCH('/api/agents/schedules/{schedule_id}', { params: { path }, body: { active } })))
    toast(active ? 'Schedule resumed' : 'Schedule paused', 'good')
  }
  const words = describeCron(schedule.cron)
  return (
    <article class="card schedule" aria-label={`${work}, ${schedule.cron}`}>
      <div class="schedule-main">
        <h2>
          <Icon name={schedule.kind === 'workflow' ? 'workflow' : 'play'} />
          <Link href={address}>{work}</Link>
          <Badge status={schedule.active ? 'active' : 'paused'} label={schedule.active ? 'Active' : 'Paused'} />
        </h2>
        <p>
          {words && `${words}, `}
          <code>{schedule.cron}</code> <span class="quiet">in {schedule.timezone}</span>
        </p>
        <p class="quiet small">
          {schedule.last_run_id ? (
            <>
              Last run <Link href={`/runs/${schedule.last_run_id}`}>{schedule.last_run_id.slice(0, 8)}</Link>{' '}
              <Age time={schedule.last_run_at} />
            </>
          ) : (
            'It has not run yet.'
          )}
          {seesAll.value && schedule.user_id && (
            <>
              {' · user '}
              <Id value={schedule.user_id} />
            </>
          )}
        </p>
        {schedule.last_error && (
          <p class="error-text" role="note">
            Last time it started no run: {schedule.last_error}
          </p>
        )}
      </div>
      <Times schedule={schedule} />
      <div class="actions schedule-actions">
        {schedule.active ? (
          <ActionButton icon="pause" small action={() => setActive(false)}>
            Pause
          </ActionButton>
        ) : (
          <ActionButton icon="play" small action={() => setActive(true)}>
            Resume
          </ActionButton>
        )}
        <Button icon="trash" small kind="ghost" aria-label={`Delete the schedule of ${work}`} onClick={onDelete}>
          Delete
        </Button>
      </div>
    </article>
  )
}

/** The next times, each in the reader's zone; the schedule's own zone on hover. */
function Times({ schedule }: { schedule: Schedule }) {
  if (!schedule.active) return <p class="schedule-times quiet">Paused: it starts nothing until it is resumed.</p>
  const [first, ...later] = schedule.next_runs
  return (
    <div class="schedule-times">
      <p>
        <span class="quiet">Next </span>
        <strong>
          <Age time={first} />
        </strong>
      </p>
      <ol aria-label="Next times">
        {[first, ...later].map((time) =>
          time ? (
            <li key={time}>
              <time dateTime={time} title={formatExact(time, undefined, schedule.timezone)}>
                {shortTime(time)}
              </time>
            </li>
          ) : null,
        )}
      </ol>
    </div>
  )
}

function shortTime(time: string): string {
  const options: Intl.DateTimeFormatOptions = {
    weekday: 'short',
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
  }
  return new Intl.DateTimeFormat(undefined, options).format(new Date(time))
}
