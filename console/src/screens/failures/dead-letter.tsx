import { useEffect, useState } from 'preact/hooks'
import { api, ask, type components } from '../../api'
import { seesAll } from '../../auth/session'
import { useReloads } from '../../live/reloads'
import {
  Age,
  Button,
  Confirm,
  Empty,
  Filters,
  formatCount,
  formatNumber,
  Loaded,
  SelectFilter,
  Table,
  TextFilter,
  toast,
  useFilters,
  useResource,
} from '../../ui'
import { beginOf, isUuid, SPANS } from './filters'
import { GroupRuns } from './group-runs'
import { retryGroup } from './retry'

export type Group = components['schemas']['FailureGroup']
/** The names that filters take. */
export type AgentName = NonNullable<components['schemas']['RetryRequest']['agent_type']>

/** Of those of others no events come: the groups are read again after this many milliseconds. */
const EVERY_MS = 20_000
const PAUSE_MS = 700

/** Failed runs by what failed and why. Groups are ticked and retried together, or opened to see their runs. */
export function DeadLetter() {
  const [filters, setFilters] = useFilters(['since', 'user', 'group'])
  const [ticked, setTicked] = useState<Set<string>>(new Set())
  const [retrying, setRetrying] = useState<Group[] | null>(null)
  const [round, setRound] = useState(0)
  const user = isUuid(filters.user) ? filters.user : undefined
  const groups = useResource(
    (signal) =>
      ask(
        api.GET('/api/agents/failures', {
          params: { query: { created_after: beginOf(filters.since), user_id: user } },
          signal,
        }),
      ),
    [filters.since, user],
  )
  useFreshly(groups.reload)

  const retry = async (chosen: Group[]) => {
    let count = 0
    for (const group of chosen)
      count += await retryGroup(group, { created_after: beginOf(filters.since), user_id: user })
    toast(`${formatCount(count, 'run goes', 'runs go')} on`, 'good')
    setTicked(new Set())
    setRound(round + 1)
    groups.reload()
  }
  const narrowed = filters.since !== '' || filters.user !== ''
  return (
    <>
      <Filters onClear={narrowed ? () => setFilters({ since: '', user: '' }) : undefined}>
        <SelectFilter
          label="Created"
          value={filters.since}
          options={SPANS}
          any="At any time"
          onChange={(since) => setFilters({ since })}
        />
        {seesAll.value && (
          <TextFilter
            label="User id"
            value={filters.user}
            placeholder="Of everybody"
            onChange={(value) => setFilters({ user: value.trim() })}
          />
        )}
      </Filters>
      <Loaded of={groups}>
        {({ items, counted, more }) => {
          const chosen = items.filter(({ id }) => ticked.has(id))
          const open = items.find(({ id }) => id === filters.group)
          if (items.length === 0)
            return (
              <Empty title={narrowed ? 'Nothing has failed there' : 'Nothing has failed'} icon="check">
                <p>Runs that fail for good are collected here, with the reason.</p>
              </Empty>
            )
          return (
            <>
              <div class="bulk" aria-live="polite">
                <span>
                  <strong>{formatNumber(counted)}</strong> failed {counted === 1 ? 'run' : 'runs'} in{' '}
                  {formatCount(items.length, 'group')}
                  {more && <span class="quiet">, and older ones</span>}
                </span>
                <span class="spacer" />
                <Button
                  kind="primary"
                  icon="refresh"
                  disabled={chosen.length === 0}
                  onClick={() => setRetrying(chosen)}
                >
                  {chosen.length === 0 ? 'Retry selected' : `Retry ${formatNumber(countOf(chosen))} selected`}
                </Button>
              </div>
              <Table
                label="Failed runs by error and agent"
                rows={items}
                rowKey={({ id }) => id}
                selected={ticked}
                onSelect={setTicked}
                columns={[
                  { name: 'Runs', kind: 'number', cell: ({ count }) => <strong>{formatNumber(count)}</strong> },
                  { name: 'Error code', cell: ({ error_code: code }) => <code class="code-label">{code ?? '–'}</code> },
                  { name: 'Agent or workflow', cell: (group) => targetOf(group) },
                  {
                    name: 'Newest error',
                    kind: 'wide',
                    cell: ({ last_error: error }) => <span class="clamped">{error}</span>,
                  },
                  { name: 'Newest', cell: ({ last_at: at }) => <Age time={at} /> },
                  {
                    name: 'Actions',
                    cell: (group) => (
                      <span class="actions nowrap">
                        <Button
                          small
                          aria-expanded={open?.id === group.id}
                          aria-label={`${open?.id === group.id ? 'Hide' : 'Show'} runs of ${targetOf(group)}, ${group.error_code}`}
                          onClick={() => setFilters({ group: open?.id === group.id ? '' : group.id })}
                        >
                          {open?.id === group.id ? 'Hide runs' : 'Show runs'}
                        </Button>
                        <Button
                          small
                          icon="refresh"
                          aria-label={`Retry ${targetOf(group)}, ${group.error_code}`}
                          onClick={() => setRetrying([group])}
                        >
                          Retry
                        </Button>
                      </span>
                    ),
                  },
                ]}
              />
              {open && (
                <GroupRuns
                  key={`${open.id} ${round}`}
                  group={open}
                  createdAfter={beginOf(filters.since)}
                  user={user}
                  onRetried={groups.reload}
                />
              )}
            </>
          )
        }}
      </Loaded>
      {retrying && (
        <Confirm
          title={`Retry ${formatCount(countOf(retrying), 'run')}?`}
          text={
            <>
              <p>They go on from the step that failed, with their attempts counted from the start:</p>
              <ul>
                {retrying.slice(0, 8).map((group) => (
                  <li key={group.id}>
                    {formatNumber(group.count)} × {targetOf(group)}, <code>{group.error_code}</code>
                  </li>
                ))}
                {retrying.length > 8 && <li>and {formatNumber(retrying.length - 8)} further groups</li>}
              </ul>
            </>
          }
          verb="Retry"
          action={() => retry(retrying)}
          onClose={() => setRetrying(null)}
        />
      )}
    </>
  )
}

function countOf(groups: Group[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0)
}

export function targetOf(group: Group): string {
  return group.agent_type ?? group.workflow_id ?? ''
}

/** Read again soon after an own run ended, and now and then. */
function useFreshly(reload: () => void): void {
  useReloads(
    'workflows',
    ({ data }) => ['failed', 'queued'].includes((data as { status?: string } | undefined)?.status ?? ''),
    reload,
    PAUSE_MS,
  )
  useEffect(() => {
    const every = setInterval(() => document.visibilityState === 'visible' && reload(), EVERY_MS)
    return () => clearInterval(every)
  }, [reload])
}
