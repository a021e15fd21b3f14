import { useId, useState } from 'preact/hooks'
import { type Agent, api, ask, type Workflow } from '../../api'
import { type Schema, SchemaForm } from '../../form'
import { Dialog, Loaded, SelectFilter, toast, useResource } from '../../ui'
import { describeCron, PRESETS } from './cron'

/** As many workflows as one request gives. */
const MOST = 200

/** A dialog that makes a schedule of an agent or a workflow. */
export function NewSchedule({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const choices = useResource(async (signal) => {
    const [workflows, agents] = await Promise.all([
      ask(api.GET('/api/agents/workflows', { params: { query: { limit: MOST } }, signal })),
      ask(api.GET('/api/agents', { signal })),
    ])
    return { workflows: workflows.items, agents: agents.items }
  }, [])
  return (
    <Dialog title="New schedule" onClose={onClose} wide>
      <Loaded of={choices}>{(found) => <Form {...found} onCreated={onCreated} />}</Loaded>
    </Dialog>
  )
}

function Form({ workflows, agents, onCreated }: { workflows: Workflow[]; agents: Agent[]; onCreated: () => void }) {
  const [work, setWork] = useState(
    workflows[0] ? `workflow ${workflows[0].workflow_id}` : `agent ${agents[0]?.agent_type}`,
  )
  const [cron, setCron] = useState(PRESETS[1]?.[0] ?? '')
  const [timezone, setTimezone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone)
  const [kind, name = ''] = work.split(' ')
  const workflow = workflows.find((one) => kind === 'workflow' && one.workflow_id === name)
  const agent = agents.find((one) => kind === 'agent' && one.agent_type === name)
  const schema = (workflow ? (workflow.inputs ?? { type: 'object' }) : (agent?.input_schema ?? {})) as Schema
  const id = useId()
  const zones = Intl.supportedValuesOf('timeZone')

  const create = async (input: unknown) => {
    const given = input as Record<string, unknown>
    const what = workflow ? { workflow_id: name, inputs: given } : { agent_type: name, input: given }
    await ask(api.POST('/api/agents/schedules', { body: { ...what, cron, timezone } }))
    toast('Schedule created', 'good')
    onCreated()
  }
  return (
    <>
      <SelectFilter
        label="What runs"
        value={work}
        onChange={setWork}
        options={[
          ...workflows.map((one): [string, string] => [`workflow ${one.workflow_id}`, `Workflow ${one.workflow_id}`]),
          ...agents.map((one): [string, string] => [`agent ${one.agent_type}`, `Agent ${one.title}`]),
        ]}
      />
      <div class="schedule-when">
        <SelectFilter
          label="When"
          value={PRESETS.some(([one]) => one === cron) ? cron : ''}
          onChange={(value) => value && setCron(value)}
          options={PRESETS}
          any="Another time"
        />
        <div class="filter">
          <label for={`${id}c`}>Cron expression</label>
          <input
            id={`${id}c`}
            value={cron}
            aria-describedby={`${id}w`}
            onInput={(event) => setCron(event.currentTarget.value)}
          />
        </div>
        <SelectFilter
          label="Time zone"
          value={timezone}
          onChange={setTimezone}
          options={zones.includes(timezone) ? zones : [timezone, ...zones]}
        />
      </div>
      <p class="quiet" id={`${id}w`} aria-live="polite">
        {describeCron(cron) ?? 'Minute, hour, day of month, month, day of week.'}
      </p>
      <SchemaForm
        key={work}
        schema={schema}
        value={schema.examples?.[0]}
        verb="Create schedule"
        prefix={workflow ? 'inputs' : 'input'}
        onSubmit={create}
      />
    </>
  )
}
