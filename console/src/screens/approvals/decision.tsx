import { useId, useState } from 'preact/hooks'
import { api, ask, type WorkflowRun } from '../../api'
import { seesAll } from '../../auth/session'
import { ActionButton, Age, toast } from '../../ui'
import './approvals.css'

interface Props {
  runId: string
  step: string
  message: string
  approvers: 'owner' | 'admin'
  deadline: string | null | undefined
  onDecided: (run: WorkflowRun) => void
}

const MAX_COMMENT = 2000

/** The question, and the two decisions with a comment. */
export function Decision({ runId, step, message, approvers, deadline, onDecided }: Props) {
  const id = useId()
  const [comment, setComment] = useState('')
  const decide = (verb: 'approve' | 'reject') => async () => {
    const options = {
      params: { path: { workflow_run_id: runId, key: step } },
      body: { comment: comment.trim() },
    }
    const run =
      verb === 'approve'
        ? await ask(api.POST('/api/agents/workflows/runs/{workflow_run_id}/steps/{key}/approve', options))
        : await ask(api.POST('/api/agents/workflows/runs/{workflow_run_id}/steps/{key}/reject', options))
    toast(verb === 'approve' ? 'Approved; the run goes on.' : 'Rejected.', verb === 'approve' ? 'good' : 'info')
    onDecided(run)
  }
  return (
    <div class="decision">
      <p class="decision-message">{message || 'No message.'}</p>
      {deadline && (
        <p class="quiet small">
          Without a decision this step fails <Age time={deadline} />
        </p>
      )}
      {approvers === 'admin' && !seesAll.value ? (
        <p class="quiet">An administrator decides this.</p>
      ) : (
        <>
          <div class="field">
            <label for={id}>
              Comment <span class="optional">(optional)</span>
            </label>
            <textarea
              id={id}
              rows={2}
              maxLength={MAX_COMMENT}
              value={comment}
              onInput={(event) => setComment(event.currentTarget.value)}
            />
          </div>
          <div class="form-actions">
            <ActionButton kind="primary" icon="check" action={decide('approve')}>
              Approve
            </ActionButton>
            <ActionButton kind="danger" icon="close" action={decide('reject')}>
              Reject
            </ActionButton>
          </div>
        </>
      )}
    </div>
  )
}
