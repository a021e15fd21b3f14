import { Link } from 'wouter-preact'
import { type Agent, api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Empty, Heading, Loaded, useResource } from '../../ui'
import { AgentRunner } from './agent'
import './playground.css'

export default function Playground({ params }: ScreenProps) {
  const agents = useResource((signal) => ask(api.GET('/api/agents', { signal })), [])
  const wanted = params.agent
  return (
    <Loaded of={agents}>
      {({ items }) => {
        if (!wanted) return <Choice agents={items} />
        const agent = items.find(({ agent_type: type }) => type === wanted)
        if (!agent)
          return (
            <Empty title={`There is no agent ${wanted}`} icon="search">
              <Link href="/playground">See those there are</Link>
            </Empty>
          )
        return <AgentRunner key={wanted} agent={agent} agents={items} />
      }}
    </Loaded>
  )
}

function Choice({ agents }: { agents: Agent[] }) {
  return (
    <>
      <Heading title="Playground" lead="Choose an agent, fill in its form or take its example, and watch the reply." />
      <ul class="agents">
        {agents.map((agent) => (
          <li key={agent.agent_type} class="card">
            <h2>
              <Link href={`/playground/${agent.agent_type}`}>{agent.title}</Link>
            </h2>
            <p>{agent.description}</p>
            <p class="quiet small">{agent.capabilities.join(' · ')}</p>
          </li>
        ))}
      </ul>
    </>
  )
}
