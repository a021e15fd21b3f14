import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Link, useLocation } from 'wouter-preact'
import { api, ask } from '../../api'
import { parseJson } from '../../form'
import { ActionButton, Badge, Button, Card, Empty, formatCount, Graph, Heading, toast } from '../../ui'
import { edgesOf, nodesOf, type Step, stepsOf } from '../workflow/steps'
import { CodeArea, type CodeAreaHandle } from './code-area'
import { type AgentFields, completionAt } from './completion'
import { formatJson } from './definition'
import { dropDraft, readDraft, writeDraft } from './draft'
import { type LocatedIssue, useValidation, type Validation, type Verdict } from './validation'
import './editor.css'

interface Props {
  /** The workflow that is edited; null for a new one. */
  id: string | null
  title: string
  text: string
  agents: AgentFields[]
}

/** A definition with its issues by place and a preview of its graph, and a button that creates a version of it. */
export function Editor({ id, title, text: stored, agents }: Props) {
  const [, navigate] = useLocation()
  const [draft] = useState(() => readDraft(id))
  const [text, setText] = useState(draft ?? stored)
  const validation = useValidation(text)
  const area = useRef<CodeAreaHandle>(null)
  useEffect(() => {
    if (text === stored) dropDraft(id)
    else writeDraft(id, text)
  }, [text])

  const steps = stepsOf((validation.value as { steps?: unknown } | undefined)?.steps)
  const invalid = useMemo(() => new Set(validation.issues.map(({ line }) => line)), [validation.issues])
  const named = (validation.value as { workflow_id?: unknown } | undefined)?.workflow_id

  const create = async () => {
    const body = parseJson(text).value as { workflow_id: string; steps: unknown[] }
    const created = await ask(api.POST('/api/agents/workflows', { body }))
    dropDraft(id)
    toast(`${created.workflow_id} has version ${created.version}`, 'good')
    navigate(`/workflows/${created.workflow_id}`)
  }
  return (
    <>
      <Heading
        title={title}
        lead="A version never changes: what you create is a new one, and runs in progress stay on their version."
      >
        <Link href={id ? `/workflows/${id}` : '/workflows'} class="button">
          Cancel
        </Link>
        <Button disabled={parseJson(text).error !== null} onClick={() => setText(formatJson(parseJson(text).value))}>
          Format
        </Button>
        <ActionButton kind="primary" disabled={validation.verdict !== 'valid'} action={create}>
          Create version
        </ActionButton>
      </Heading>
      {draft !== null && text !== stored && (
        <p class="note" role="status">
          This is your unfinished draft.{' '}
          <Button small onClick={() => setText(stored)}>
            Discard it
          </Button>
        </p>
      )}
      {id && typeof named === 'string' && named !== id && (
        <p class="note">
          This creates a version of <code>{named}</code>; {id} stays as it is.
        </p>
      )}
      <div class="split">
        <Card title="Definition" actions={<VerdictBadge {...validation} />}>
          <CodeArea
            label="Definition as JSON"
            text={text}
            onText={setText}
            complete={(all, caret) => completionAt(all, caret, agents)}
            invalid={invalid}
            describedBy="editor-errors"
            handle={area}
          />
          <Issues {...validation} go={(line) => area.current?.go(line)} />
          <p class="quiet small">
            Suggestions come while you type in quotes, or with <kbd>Ctrl</kbd>+<kbd>Space</kbd>.
          </p>
        </Card>
        <Card title="Graph" class="editor-graph">
          {steps.length === 0 ? (
            <Empty title="No steps yet" icon="workflow" />
          ) : (
            <Graph
              label="Steps"
              nodes={nodesOf(steps, invalidSteps(validation, steps))}
              edges={edgesOf(steps)}
              onSelect={(key) => area.current?.go(lineOfStep(text, key))}
            />
          )}
        </Card>
      </div>
    </>
  )
}

const LABELS: Record<Verdict, [status: string, label: string]> = {
  checking: ['running', 'Checking'],
  valid: ['completed', 'Valid'],
  invalid: ['failed', 'Invalid'],
  unknown: ['waiting', 'Not checked'],
}

function VerdictBadge({ verdict, issues }: Validation) {
  const [status, label] = LABELS[verdict]
  const count = verdict === 'invalid' ? formatCount(issues.length, 'error') : label
  return (
    <span aria-live="polite">
      <Badge status={status} label={count} />
    </span>
  )
}

function Issues({ issues, problem, go }: Validation & { go: (line: number) => void }) {
  return (
    <div id="editor-errors" aria-live="polite">
      {problem && <p class="error-text">Validation failed: {problem}</p>}
      {issues.length > 0 && (
        <ul class="list editor-errors" aria-label="Errors">
          {issues.map((issue) => (
            <li key={`${issue.place} ${issue.message}`}>
              <Button small onClick={() => go(issue.line)}>
                Line {issue.line}
              </Button>
              <span class="error-text">
                {issue.place && <code>{issue.place}</code>} {issue.message}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}

/** The keys of the steps that have issues. */
function invalidSteps({ value, issues }: Validation, steps: Step[]): Set<string> {
  const all = (value as { steps?: unknown[] } | undefined)?.steps ?? []
  const keys = issues.map((issue: LocatedIssue) => {
    const at = /^steps\.(\d+)/.exec(issue.place)?.[1]
    return at === undefined ? undefined : (all[Number(at)] as { key?: unknown } | undefined)?.key
  })
  return new Set(steps.map(({ key }) => key).filter((key) => keys.includes(key)))
}

function lineOfStep(text: string, key: string): number {
  const at = text.search(new RegExp(`"key"\\s*:\\s*${JSON.stringify(key).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}`))
  return text.slice(0, Math.max(0, at)).split('\n').length
}
