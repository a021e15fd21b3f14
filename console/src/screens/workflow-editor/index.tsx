import { useMemo } from 'preact/hooks'
import { type Agent, ApiError, api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { seesAll } from '../../auth/session'
import { Empty, Heading, Loaded, useFilters, useResource } from '../../ui'
import type { AgentFields } from './completion'
import { BEGINNING, definitionOf, formatJson } from './definition'
import { Editor } from './editor'

/** No workflow has this name; the editor then begins a new one. */
const NEW = '-'

/** The editor of a workflow's definition; with `?version=` it begins with that version. */
export default function WorkflowEditor({ params }: ScreenProps) {
  const id = params.id ?? NEW
  const [{ version }] = useFilters(['version'])
  const title = id === NEW ? 'New workflow' : `Edit ${id}`
  if (!seesAll.value)
    return (
      <>
        <Heading title={title} />
        <Empty title="Not allowed" icon="alert">
          <p>Administrators change workflows; you can run them.</p>
        </Empty>
      </>
    )
  return <Loader key={`${id} ${version}`} id={id} version={version} title={title} />
}

function Loader({ id, version, title }: { id: string; version: string; title: string }) {
  const found = useResource(
    async (signal) => {
      const [agents, text] = await Promise.all([
        ask(api.GET('/api/agents', { signal })),
        id === NEW ? formatJson(BEGINNING) : read(id, version, signal),
      ])
      return { agents: agents.items, text }
    },
    [id, version],
  )
  return (
    <Loaded of={found}>{({ agents, text }) => <WithAgents id={id} title={title} agents={agents} text={text} />}</Loaded>
  )
}

function WithAgents({ id, title, agents, text }: { id: string; title: string; agents: Agent[]; text: string }) {
  const fields = useMemo(() => agents.map(fieldsOf), [agents])
  return <Editor id={id === NEW ? null : id} title={title} text={text} agents={fields} />
}

async function read(id: string, version: string, signal: AbortSignal): Promise<string> {
  const wanted = /^[1-9]\d{0,8}$/.test(version) ? Number(version) : null
  const query = wanted === null ? { limit: 1 } : { limit: 1, cursor: String(wanted + 1) }
  const found = await ask(
    api.GET('/api/agents/workflows/{workflow_id}', { params: { path: { workflow_id: id }, query }, signal }),
  )
  if (wanted === null) return formatJson(definitionOf(found))
  const chosen = found.versions[0]
  if (chosen?.version !== wanted) throw new ApiError(404, 'NOT_FOUND', `The workflow ${id} has no version ${version}.`)
  return formatJson(definitionOf(chosen))
}

function fieldsOf(agent: Agent): AgentFields {
  return {
    name: agent.agent_type,
    title: agent.title,
    inputs: propertiesOf(agent.input_schema),
    outputs: propertiesOf(agent.output_schema),
  }
}

function propertiesOf(schema: Record<string, unknown>): string[] {
  return Object.keys((schema.properties ?? {}) as Record<string, unknown>)
}
