import { useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { type Agent, api, ask } from '../../api'
import { RunResult } from '../../live/result'
import { ActionButton, Card, JsonView, Loaded, SelectFilter, useResource } from '../../ui'

const FIRST = 'lead_agent'

/** An agent with its example, which runs by one click. */
export function TryAgent() {
  const agents = useResource((signal) => ask(api.GET('/api/agents', { signal })), [])
  return (
    <Card title="Try an agent" actions={<Link href="/playground">Playground</Link>}>
      <Loaded of={agents}>{({ items }) => <Example agents={items} />}</Loaded>
    </Card>
  )
}

function Example({ agents }: { agents: Agent[] }) {
  const [chosen, setChosen] = useState(FIRST)
  const [run, setRun] = useState<string | null>(null)
  const agent = agents.find(({ agent_type: type }) => type === chosen) ?? agents[0]
  if (!agent) return null
  const example = exampleOf(agent)
  const start = async () => {
    const accepted = await ask(
      // The type of the body names each agent with its input; the example is the agent's own.
      api.POST('/api/agents/invoke', {
        body: { agent_type: agent.agent_type, input: example, metadata: { source: 'console', notify: false } } as never,
      }),
    )
    setRun(accepted.request_id)
  }
  return (
    <div class="stack">
      <div class="try">
        <SelectFilter
          label="Agent"
          value={agent.agent_type}
          options={agents.map(({ agent_type: type, title }) => [type, title])}
          onChange={(type) => {
            setChosen(type)
            setRun(null)
          }}
        />
        <p class="quiet">{agent.description}</p>
        <ActionButton key={agent.agent_type} kind="primary" icon="play" action={start}>
          Run the example
        </ActionButton>
      </div>
      {run === null ? (
        <JsonView value={example} label="Example input" />
      ) : (
        <RunResult id={run} prose={agent.agent_type === 'chat_agent' || agent.agent_type === 'content_agent'} />
      )}
      <p>
        <Link href={`/playground/${agent.agent_type}`}>Change the input in the playground</Link>
      </p>
    </div>
  )
}

export function exampleOf(agent: Agent): unknown {
  return (agent.input_schema.examples as unknown[] | undefined)?.[0] ?? {}
}
