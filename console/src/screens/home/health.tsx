import { ApiError, api, askPath, type components } from '../../api'
import { Badge, Card, formatDuration, humanize, Loaded, useResource } from '../../ui'
import { useEvery } from './every'

type Ready = components['schemas']['ReadyBody']
interface Providers {
  models: Record<string, { status: string; detail: string | null }>
  answering: string
  stripe: string
}

const REFRESH_MS = 15_000
const STRIPE: Record<string, [string, string]> = {
  off: ['off', 'Not set up'],
  local: ['ok', 'A stand-in on this machine'],
  test: ['ok', 'Test mode'],
  live: ['ok', 'Live'],
}
const PROVIDERS: Record<string, string> = { ollama: 'Ollama', huggingface: 'HuggingFace' }

/** The health of each part. */
export function Health() {
  const ready = useResource<Ready>(async (signal) => {
    // 503 has the same body: it says which part is down.
    const { data, error, response } = await api.GET('/readyz', { signal })
    const body = (data ?? error) as Ready | undefined
    if (!body?.checks) throw ApiError.of(response, error)
    return body
  }, [])
  const providers = useResource((signal) => askPath<Providers>('/console/status', signal), [])
  useEvery(REFRESH_MS, () => {
    ready.reload()
    providers.reload()
  })
  return (
    <Card title="Health" class="health">
      <Loaded of={ready}>
        {({ checks, warnings }) => (
          <>
            <ul class="list">
              <Part name="Web" status="ok" detail="Reachable" />
              {Object.entries(checks).map(([name, check]) => (
                <Part key={name} name={humanize(name)} status={check.status} detail={detailOf(name, check)} />
              ))}
              {providers.data && <Models {...providers.data} />}
            </ul>
            {warnings.length > 0 && (
              <ul class="warnings" aria-label="Warnings">
                {warnings.map((warning) => (
                  <li key={warning}>{warning}</li>
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
    </Card>
  )
}

function Models({ models, answering, stripe }: Providers) {
  const [status, detail] = STRIPE[stripe] ?? ['ok', stripe]
  return (
    <>
      {Object.entries(models).map(([name, { status: state, detail: said }]) => (
        <Part
          key={name}
          name={PROVIDERS[name] ?? name}
          status={state === 'unavailable' ? 'off' : state}
          detail={said ?? ''}
        />
      ))}
      <Part
        name="Rules"
        status="ok"
        detail={
          answering === 'fallback'
            ? 'In use: no model can be reached'
            : `In use where ${PROVIDERS[answering]} is unavailable`
        }
      />
      <Part name="Stripe" status={status} detail={detail} />
    </>
  )
}

function Part({ name, status, detail }: { name: string; status: string; detail: string }) {
  return (
    <li class="part">
      <span class="part-name">{name}</span>
      <span class="quiet part-detail">{detail}</span>
      <Badge
        status={status}
        label={status === 'ok' ? 'Up' : status === 'off' ? 'Off' : status === 'warning' ? 'Warning' : 'Down'}
      />
    </li>
  )
}

function detailOf(name: string, check: Ready['checks'][string]): string {
  if (name === 'workers' && check.queues)
    return Object.entries(check.queues)
      .map(([queue, count]) => `${queue} ${count}`)
      .join(', ')
  if (name === 'beat' && check.ages?.sweep_runs !== undefined)
    return `Swept ${formatDuration(check.ages.sweep_runs * 1000)} ago`
  return check.detail ?? (check.status === 'ok' ? 'Reachable' : '')
}
