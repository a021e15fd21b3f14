import { useState } from 'preact/hooks'
import { useLocation } from 'wouter-preact'
import { api, ask, type Workflow } from '../../api'
import { type Schema, SchemaForm } from '../../form'
import { Button, Empty, toast } from '../../ui'

/** Anything is taken where a workflow does not say what it takes. */
const ANYTHING: Schema = { type: 'object' }

/** A form of the workflow's inputs, which starts a run and opens it. */
export function RunForm({ workflow, named }: { workflow: Workflow; named: string }) {
  const [, navigate] = useLocation()
  const [filled, setFilled] = useState<unknown>(undefined)
  if (workflow.retired_at)
    return (
      <Empty title="Retired" icon="pause">
        <p>This workflow takes no new runs.</p>
      </Empty>
    )
  const schema = (workflow.inputs ?? ANYTHING) as Schema
  const example = schema.examples?.[0]
  const start = async (inputs: unknown) => {
    const body = { workflow_id: named, inputs: inputs as Record<string, unknown>, async: true }
    const accepted = await ask(api.POST('/api/agents/workflows/execute', { body }))
    toast('Run started', 'good')
    navigate(`/runs/${accepted.workflow_run_id}`)
  }
  return (
    <SchemaForm
      key={filled ? 'example' : 'empty'}
      schema={schema}
      value={filled}
      verb="Run workflow"
      prefix="inputs"
      onSubmit={start}
    >
      {example !== undefined && <Button onClick={() => setFilled(example)}>Fill in an example</Button>}
    </SchemaForm>
  )
}
