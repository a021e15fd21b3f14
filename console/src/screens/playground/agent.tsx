import { useMemo, useState } from 'preact/hooks'
import { useLocation } from 'wouter-preact'
import { type Agent, api, ask } from '../../api'
import { type Schema, SchemaForm } from '../../form'
import { Chat } from '../../live/chat'
import { curl } from '../../live/curl'
import { RunResult } from '../../live/result'
import { Age, Button, Card, CopyButton, Heading, humanize, SelectFilter, Tabs } from '../../ui'
import { history, remember } from './history'

const STARTERS = [
  'How much is a small online shop?',
  'How long does a landing page take?',
  'What would you do for a dental clinic?',
]

export function AgentRunner({ agent, agents }: { agent: Agent; agents: Agent[] }) {
  const [, navigate] = useLocation()
  const chats = agent.agent_type === 'chat_agent'
  return (
    <>
      <Heading title={agent.title} lead={agent.description}>
        <SelectFilter
          label="Agent"
          value={agent.agent_type}
          options={agents.map(({ agent_type: type, title }) => [type, title])}
          onChange={(type) => navigate(`/playground/${type}`)}
        />
      </Heading>
      {chats ? (
        <Tabs
          label="Ways to talk"
          tabs={[
            { name: 'chat', label: 'Conversation', content: () => <Conversation /> },
            { name: 'form', label: 'Single message', content: () => <FormAndResult agent={agent} /> },
          ]}
        />
      ) : (
        <FormAndResult agent={agent} />
      )}
    </>
  )
}

function Conversation() {
  const [id, setId] = useState<string | null>(null)
  const [, navigate] = useLocation()
  return (
    <Card
      title="Conversation"
      actions={
        id && (
          <>
            <Button small icon="external" onClick={() => navigate(`/conversations/${id}`)}>
              Open its page
            </Button>
            <Button small icon="plus" onClick={() => setId(null)}>
              New
            </Button>
          </>
        )
      }
    >
      <Chat conversationId={id} onBegin={setId} starters={STARTERS} />
    </Card>
  )
}

function FormAndResult({ agent }: { agent: Agent }) {
  const type = agent.agent_type
  const schema = agent.input_schema as Schema
  const examples = useMemo(() => schema.examples ?? [], [schema])
  const own = history.value.filter((attempt) => attempt.agent === type)
  const [shown, setShown] = useState<string | null>(own[0]?.id ?? null)
  const [filled, setFilled] = useState<{ value: unknown; version: number }>({
    value: own[0]?.input ?? examples[0],
    version: 0,
  })
  const current = own.find(({ id }) => id === shown)

  const fill = (value: unknown) => setFilled(({ version }) => ({ value, version: version + 1 }))
  const run = async (input: unknown) => {
    const accepted = await ask(
      api.POST('/api/agents/invoke', {
        // The type of the body names each agent with its input; here both are chosen by the user.
        body: { agent_type: type, input, metadata: { source: 'console', notify: false } } as never,
      }),
    )
    remember({ id: accepted.request_id, agent: type, input, at: new Date().toISOString() })
    setShown(accepted.request_id)
  }

  return (
    <div class="split playground">
      <Card
        title="Input"
        actions={
          <>
            {examples.map((example, index) => (
              <Button key={index} small kind="ghost" onClick={() => fill(example)}>
                {examples.length > 1 ? `Example ${index + 1}` : 'Example'}
              </Button>
            ))}
            <Button small kind="ghost" onClick={() => fill({})}>
              Clear
            </Button>
          </>
        }
      >
        <SchemaForm
          key={filled.version}
          schema={schema}
          value={filled.value}
          verb="Run"
          prefix="input"
          onSubmit={run}
        />
      </Card>
      <div class="stack">
        <Card
          title="Result"
          actions={
            current && (
              <CopyButton
                label="Copy as curl"
                text={() => curl('POST', '/api/agents/invoke', { agent_type: type, input: current.input })}
              />
            )
          }
        >
          <RunResult id={shown} prose={type === 'chat_agent' || type === 'content_agent'} />
        </Card>
        {own.length > 0 && (
          <Card title="This session">
            <ul class="list history">
              {own.map((attempt) => (
                <li key={attempt.id}>
                  <button
                    type="button"
                    class="history-row"
                    aria-pressed={attempt.id === shown}
                    onClick={() => {
                      setShown(attempt.id)
                      fill(attempt.input)
                    }}
                  >
                    <span>{summary(attempt.input) || humanize(attempt.agent)}</span>
                    <span class="quiet">
                      <Age time={attempt.at} />
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </Card>
        )}
      </div>
    </div>
  )
}

/** The first text of an input. */
function summary(input: unknown): string {
  const texts = Object.values((input ?? {}) as object).filter((value) => typeof value === 'string')
  return texts.find((text) => text.length > 0) ?? ''
}
