import { Link } from 'wouter-preact'
import { api, ask } from '../../api'
import { useReloads } from '../../live/reloads'
import { Age, Card, Empty, Loaded, useResource } from '../../ui'
import { useEvery } from './every'

const SHOWN = 5
const REFRESH_MS = 60_000

/** Steps that wait for the caller's decision. */
export function WaitingApprovals() {
  const waiting = useResource(
    (signal) => ask(api.GET('/api/agents/approvals', { params: { query: { limit: SHOWN } }, signal })),
    [],
  )
  useEvery(REFRESH_MS, waiting.reload)
  useReloads(
    'notifications',
    ({ type, data }) =>
      type === 'notification_created' &&
      (data as { notification_type?: string }).notification_type === 'approval_waiting',
    waiting.reload,
  )
  return (
    <Card title="Waiting for you" actions={<Link href="/approvals">All approvals</Link>}>
      <Loaded of={waiting}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing waits" icon="check" />
          ) : (
            <ul class="list waiting">
              {items.map((one) => (
                <li key={`${one.workflow_run_id} ${one.key}`}>
                  <Link href={`/runs/${one.workflow_run_id}`}>{one.message}</Link>
                  <span class="quiet">
                    {one.workflow_id}, <Age time={one.requested_at} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  )
}
