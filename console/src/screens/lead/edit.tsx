import { api, ask, type components, type Lead } from '../../api'
import { SchemaForm } from '../../form'
import { Dialog } from '../../ui'
import { FIELDS } from '../leads/fields'

type Changes = components['schemas']['LeadChanges']

/** The fields of a lead. What is emptied is stored as unknown; what somebody changed meanwhile is not overwritten. */
export function EditLead({
  lead,
  onClose,
  onSaved,
}: {
  lead: Lead
  onClose: () => void
  onSaved: (lead: Lead) => void
}) {
  const names = Object.keys(FIELDS.properties ?? {}) as (keyof Lead)[]
  const before = Object.fromEntries(names.flatMap((name) => (lead[name] === null ? [] : [[name, lead[name]]])))
  return (
    <Dialog title={`Edit ${lead.name}`} onClose={onClose} wide>
      <SchemaForm
        schema={FIELDS}
        value={before}
        verb="Save"
        onSubmit={async (value) => {
          const now = value as Record<string, unknown>
          const changes = Object.fromEntries(
            names.filter((name) => (now[name] ?? null) !== lead[name]).map((name) => [name, now[name] ?? null]),
          )
          if (Object.keys(changes).length > 0) {
            onSaved(
              await ask(
                api.PATCH('/api/leads/{lead_id}', {
                  params: { path: { lead_id: lead.lead_id }, header: { 'If-Match': `"${lead.version}"` } },
                  body: changes as Changes,
                }),
              ),
            )
          }
          onClose()
        }}
      />
    </Dialog>
  )
}
