import { TERMINAL } from '../../client'
import { Card, Graph, Tabs, Timeline, useFilters, useNow } from '../../ui'
import { type AnyRun, barsOf } from './state'

interface Props {
  run: AnyRun
  selected: string | undefined
  onSelect: (key: string) => void
}

/** The steps of a workflow, as bars over time and as a graph. */
export function Steps({ run, selected, onSelect }: Props) {
  const [{ view }, setFilters] = useFilters(['view'] as const)
  const now = useNow(1000, !TERMINAL.has(run.status))
  const chosen = selected === undefined ? {} : { selected }
  const timeline = () => (
    <Timeline label="Steps over time" bars={barsOf(run, now)} now={now} onSelect={onSelect} {...chosen} />
  )
  const graph = () => (
    <Graph
      label="Steps and what they need"
      nodes={run.steps.map((step) => ({
        id: step.key,
        label: step.key.replace(/_/g, ' '),
        note: step.kind === 'approval' ? 'approval' : (step.agent_type?.replace(/_/g, ' ') ?? step.kind),
        status: step.status,
      }))}
      edges={run.steps.flatMap((step) => step.needs.map((from) => ({ from, to: step.key })))}
      onSelect={onSelect}
      {...chosen}
    />
  )
  if (run.kind === 'agent') return <Card title="Timeline">{timeline()}</Card>
  return (
    <Card>
      <Tabs
        label="Steps"
        chosen={view || 'timeline'}
        onChoose={(name) => setFilters({ view: name === 'timeline' ? '' : name })}
        tabs={[
          { name: 'timeline', label: 'Timeline', content: timeline },
          { name: 'graph', label: 'Graph', content: graph },
        ]}
      />
    </Card>
  )
}
