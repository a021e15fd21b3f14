import { useState } from 'preact/hooks'
import { useLocation } from 'wouter-preact'
import { api, asApiError, ask, type Lead } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { me } from '../../auth/session'
import { useReloads } from '../../live/reloads'
import {
  ActionButton,
  Age,
  Button,
  Card,
  Confirm,
  Facts,
  formatMoney,
  Heading,
  Id,
  Loaded,
  type Resource,
  toast,
  useResource,
} from '../../ui'
import { STATUSES } from '../leads/score'
import { Analysis } from './analysis'
import { EditLead } from './edit'
import { History } from './history'
import './lead.css'

export default function LeadScreen({ params }: ScreenProps) {
  const id = params.id ?? ''
  const lead = useResource(
    (signal) => ask(api.GET('/api/leads/{lead_id}', { params: { path: { lead_id: id } }, signal })),
    [id],
  )
  useReloads(
    'analytics',
    ({ type, data }) => type === 'lead_analyzed' && (data as { lead_id: string }).lead_id === id,
    lead.reload,
  )
  return <Loaded of={lead}>{(found) => <Shown lead={found} resource={lead} />}</Loaded>
}

function Shown({ lead, resource }: { lead: Lead; resource: Resource<Lead> }) {
  const [, navigate] = useLocation()
  const [editing, setEditing] = useState(false)
  const [removing, setRemoving] = useState(false)
  const path = { lead_id: lead.lead_id }
  const known: [string, string | null][] = [
    ['Company', lead.company],
    ['Industry', lead.industry],
    ['Budget', lead.budget === null ? null : formatMoney(lead.budget, lead.currency)],
    ['Timeline', lead.timeline],
    ['Source', lead.source],
  ]
  return (
    <>
      <Heading title={lead.name} lead={[lead.company, lead.industry].filter(Boolean).join(' · ') || undefined}>
        <Button icon="edit" onClick={() => setEditing(true)}>
          Edit
        </Button>
        <Button kind="danger" icon="trash" onClick={() => setRemoving(true)}>
          Delete
        </Button>
      </Heading>
      <div class="split">
        <div class="stack">
          <Analysis lead={lead} onDone={resource.reload} />
          {lead.message && (
            <Card title="Message">
              <p class="plain-text">{lead.message}</p>
            </Card>
          )}
          {lead.notes && (
            <Card title="Notes">
              <p class="plain-text">{lead.notes}</p>
            </Card>
          )}
        </div>
        <div class="stack">
          <Card title="Contact">
            <Status lead={lead} resource={resource} />
            <Facts
              items={[
                ['E-mail', lead.email ? <a href={`mailto:${lead.email}`}>{lead.email}</a> : <Unknown />],
                [
                  'Phone',
                  lead.phone ? <a href={`tel:${lead.phone.replace(/[^+\d]/g, '')}`}>{lead.phone}</a> : <Unknown />,
                ],
                ...known.map(([name, value]): [string, preact.ComponentChildren] => [name, value ?? <Unknown />]),
                ['Assigned to', <Assigned key="assigned" lead={lead} resource={resource} />],
                ['Added', <Age key="added" time={lead.created_at} />],
                ['Id', <Id key="id" value={lead.lead_id} />],
              ]}
            />
          </Card>
          <History lead={lead} />
        </div>
      </div>
      {editing && (
        <EditLead lead={lead} onClose={() => setEditing(false)} onSaved={(saved) => resource.update(() => saved)} />
      )}
      {removing && (
        <Confirm
          title="Delete this lead?"
          text={`${lead.name} disappears from lists and figures. This cannot be undone.`}
          verb="Delete"
          danger
          action={async () => {
            await ask(api.DELETE('/api/leads/{lead_id}', { params: { path } }))
            toast('The lead is deleted', 'good')
            navigate('/leads')
          }}
          onClose={() => setRemoving(false)}
        />
      )}
    </>
  )
}

function Unknown() {
  return <span class="quiet">Unknown</span>
}

function Assigned({ lead, resource }: { lead: Lead; resource: Resource<Lead> }) {
  const own = me.value.user_id
  const assign = async (assigned_to: string | null) => {
    const saved = await ask(
      api.PATCH('/api/leads/{lead_id}', {
        params: { path: { lead_id: lead.lead_id }, header: { 'If-Match': `"${lead.version}"` } },
        body: { assigned_to },
      }),
    )
    resource.update(() => saved)
  }
  return (
    <span class="lead-assigned">
      {lead.assigned_to === null ? (
        <span class="quiet">Nobody</span>
      ) : lead.assigned_to === own ? (
        'You'
      ) : (
        <Id value={lead.assigned_to} />
      )}
      {own && lead.assigned_to !== own && (
        <ActionButton small kind="ghost" action={() => assign(own)}>
          Take it
        </ActionButton>
      )}
      {lead.assigned_to !== null && (
        <ActionButton small kind="ghost" action={() => assign(null)}>
          Unassign
        </ActionButton>
      )}
    </span>
  )
}

/** Changed at once; after a conflict the lead is reloaded. */
function Status({ lead, resource }: { lead: Lead; resource: Resource<Lead> }) {
  const change = async (status: (typeof STATUSES)[number]) => {
    try {
      const saved = await ask(
        api.PATCH('/api/leads/{lead_id}', {
          params: { path: { lead_id: lead.lead_id }, header: { 'If-Match': `"${lead.version}"` } },
          body: { status },
        }),
      )
      resource.update(() => saved)
    } catch (reason) {
      toast(asApiError(reason).message, 'error')
      resource.reload()
    }
  }
  return (
    <div class="field lead-status">
      <label for="lead-status">Status</label>
      <select
        id="lead-status"
        value={lead.status}
        onChange={(event) => void change(event.currentTarget.value as (typeof STATUSES)[number])}
      >
        {STATUSES.map((one) => (
          <option key={one} value={one}>
            {one.charAt(0).toUpperCase() + one.slice(1)}
          </option>
        ))}
      </select>
    </div>
  )
}
