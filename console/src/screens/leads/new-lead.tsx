import { useLocation } from 'wouter-preact'
import { api, ask, type components } from '../../api'
import { SchemaForm } from '../../form'
import { Dialog } from '../../ui'
import { FIELDS } from './fields'

type LeadRequest = components['schemas']['LeadRequest']

/** A form for a lead, which is opened when it is stored. */
export function NewLead({ onClose }: { onClose: () => void }) {
  const [, navigate] = useLocation()
  return (
    <Dialog title="New lead" onClose={onClose} wide>
      <SchemaForm
        schema={FIELDS}
        verb="Add the lead"
        onSubmit={async (value) => {
          const made = await ask(api.POST('/api/leads', { body: value as LeadRequest }))
          onClose()
          navigate(`/leads/${made.lead_id}`)
        }}
      />
    </Dialog>
  )
}
