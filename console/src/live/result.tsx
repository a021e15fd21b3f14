import { Link } from 'wouter-preact'
import { api, ask } from '../api'
import { liveText, useLiveRun } from './run'
import './result.css'
import {
  ActionButton,
  Badge,
  between,
  Duration,
  Empty,
  ErrorState,
  Id,
  JsonView,
  Loading,
  Rendered,
  Tabs,
  useNow,
  useResource,
} from '../ui'

/** A run that is watched: its text while it is written, then its result. */
export function RunResult({ id, prose }: { id: string | null; prose: boolean }) {
  const { view, error, ended } = useLiveRun(id)
  const facts = useResource(
    async (signal) =>
      id === null
        ? null
        : ask(api.GET('/api/agents/runs/{request_id}', { params: { path: { request_id: id } }, signal })),
    [id, ended],
  )
  const now = useNow(1000, id !== null && !ended)
  if (id === null)
    return (
      <Empty title="Nothing has run yet" icon="play">
        Fill in the form, and run it.
      </Empty>
    )
  if (error) return <ErrorState error={error} />
  if (!view) return <Loading />
  const run = facts.data
  const text = liveText(view)
  const result = view.result ?? run?.result
  return (
    <div class="stack">
      <div class="result-head">
        <Badge status={view.status} />
        {run && <Duration ms={between(run.created_at, run.finished_at, now)} />}
        {run?.provider && (
          <span class="quiet">{run.provider === 'fallback' ? 'by rules' : `${run.provider} ${run.model ?? ''}`}</span>
        )}
        {view.retryingWith && <Badge status="warning" label={`Retrying with ${view.retryingWith}`} />}
        <span class="spacer" />
        <Id value={id} />
        <Link href={`/runs/${id}`}>Open the run</Link>
        {!ended && (
          <ActionButton
            small
            icon="stop"
            action={() =>
              ask(api.POST('/api/agents/runs/{request_id}/cancel', { params: { path: { request_id: id } } }))
            }
          >
            Cancel
          </ActionButton>
        )}
      </div>
      {!ended && (
        <div class="stream" role="log" aria-live="polite" aria-busy="true" aria-label="Live reply">
          {text ? (
            <div class={prose ? 'plain-text' : 'plain-text code-text'}>
              {text}
              <span class="caret" aria-hidden="true" />
            </div>
          ) : (
            <p class="quiet">{view.status === 'queued' ? 'Waiting for a worker…' : 'Thinking…'}</p>
          )}
        </div>
      )}
      {view.error && (
        <p class="error-text" role="alert">
          {view.error} {view.errorCode && <code>{view.errorCode}</code>}
        </p>
      )}
      {ended && view.status === 'completed' && (
        <Tabs
          label="Forms of the result"
          tabs={[
            { name: 'reply', label: 'Reply', content: () => <Rendered value={result} /> },
            { name: 'json', label: 'JSON', content: () => <JsonView value={result} label="Result" /> },
          ]}
        />
      )}
    </div>
  )
}
