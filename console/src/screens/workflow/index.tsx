import { useState } from 'preact/hooks'
import { Link, useLocation } from 'wouter-preact'
import { ApiError, api, ask, type Workflow } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { seesAll } from '../../auth/session'
import { Badge, Button, Card, Confirm, Graph, Heading, Loaded, toast, useFilters, useResource } from '../../ui'
import { RecentRuns } from './recent-runs'
import { RunForm } from './run-form'
import { StepFacts } from './step-facts'
import { edgesOf, nodesOf, stepsOf } from './steps'
import { Versions } from './versions'
import './workflow.css'

/** A workflow, or with `?version=` one version of it: its steps, a form that runs it, its versions and its runs. */
export default function WorkflowScreen({ params }: ScreenProps) {
  const id = params.id ?? ''
  const [{ version }] = useFilters(['version'])
  const workflow = useResource((signal) => read(id, version, signal), [id, version])
  return (
    <Loaded of={workflow}>
      {(found) => (
        <Shown key={`${id}@${found.version}`} workflow={found} pinned={version !== ''} reload={workflow.reload} />
      )}
    </Loaded>
  )
}

async function read(id: string, version: string, signal: AbortSignal): Promise<Workflow> {
  const wanted = /^[1-9]\d{0,8}$/.test(version) ? Number(version) : null
  // A page of versions begins before its cursor.
  const query = wanted === null ? { limit: 1 } : { limit: 1, cursor: String(wanted + 1) }
  const found = await ask(
    api.GET('/api/agents/workflows/{workflow_id}', { params: { path: { workflow_id: id }, query }, signal }),
  )
  if (version === '') return found
  const chosen = found.versions[0]
  if (chosen?.version !== wanted || !chosen)
    throw new ApiError(404, 'NOT_FOUND', `The workflow ${id} has no version ${version}.`)
  return chosen
}

function Shown({ workflow, pinned, reload }: { workflow: Workflow; pinned: boolean; reload: () => void }) {
  const [, navigate] = useLocation()
  const id = workflow.workflow_id
  const steps = stepsOf(workflow.steps)
  const [chosen, setChosen] = useState(steps[0]?.key)
  const [retiring, setRetiring] = useState(false)
  const step = steps.find(({ key }) => key === chosen)
  const retire = async () => {
    await ask(api.DELETE('/api/agents/workflows/{workflow_id}', { params: { path: { workflow_id: id } } }))
    toast(`${id} takes no new runs`, 'good')
    reload()
  }
  return (
    <>
      <Heading title={id} lead={workflow.description}>
        {workflow.retired_at ? (
          <Badge status="cancelled" label="Retired" />
        ) : (
          <Badge status={pinned ? 'waiting' : 'active'} label={`Version ${workflow.version}`} />
        )}
        {pinned && (
          <Link href={`/workflows/${id}`} class="button">
            Newest version
          </Link>
        )}
        {seesAll.value && (
          <>
            <Button
              icon="edit"
              onClick={() => navigate(`/workflows/${id}/edit${pinned ? `?version=${workflow.version}` : ''}`)}
            >
              Edit
            </Button>
            {!workflow.retired_at && (
              <Button kind="danger" onClick={() => setRetiring(true)}>
                Retire
              </Button>
            )}
          </>
        )}
      </Heading>
      <div class="split">
        <div class="stack">
          <Card title="Steps">
            <Graph label="Steps" nodes={nodesOf(steps)} edges={edgesOf(steps)} selected={chosen} onSelect={setChosen} />
          </Card>
          {step && (
            <Card title={`Step ${step.key}`}>
              <StepFacts step={step} />
            </Card>
          )}
        </div>
        <Card title="Run">
          <RunForm workflow={workflow} named={pinned ? `${id}@${workflow.version}` : id} />
        </Card>
      </div>
      <div class="halves workflow-lists">
        <RecentRuns id={id} />
        <Versions id={id} shown={workflow.version} />
      </div>
      {retiring && (
        <Confirm
          title={`Retire ${id}?`}
          text="It takes no new runs, and its schedules fail. Runs in progress go on. A new version brings it back."
          verb="Retire"
          danger
          action={retire}
          onClose={() => setRetiring(false)}
        />
      )}
    </>
  )
}
