import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { Card, Graph, Heading, Loaded, useResource } from '../../ui'

export default function WorkflowScreen({ params }: ScreenProps) {
  const id = params.id ?? ''
  const workflow = useResource(
    (signal) => ask(api.GET('/api/agents/workflows/{workflow_id}', { params: { path: { workflow_id: id } }, signal })),
    [id],
  )
  return (
    <Loaded of={workflow}>
      {(found) => (
        <>
          <Heading title={found.workflow_id} lead={found.description} />
          <Card title="Steps">
            <Graph
              label="Steps"
              nodes={found.steps.map((step) => ({ id: String(step.key), label: String(step.key) }))}
              edges={found.graph.map((edge) => ({ from: String(edge.from), to: String(edge.to) }))}
            />
          </Card>
        </>
      )}
    </Loaded>
  )
}
