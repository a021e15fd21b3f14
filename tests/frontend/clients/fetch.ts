// openapi-fetch, with the types that openapi-typescript makes of the API document.
import createClient from 'openapi-fetch'
import type { components, paths } from './schema.js'

const client = createClient<paths>({
  baseUrl: process.env.API_URL!,
  headers: { Authorization: `Bearer ${process.env.TOKEN}` },
})
const wanted: components['schemas']['LeadRequest'] = { name: 'Ada', budget: null }
const created = await client.POST('/api/leads', { body: wanted })
if (created.error) throw new Error(`${created.error.code}: ${created.error.error}`)
const path = { lead_id: created.data.lead_id }
const etag = created.response.headers.get('ETag') ?? '*'
const updated = await client.PATCH('/api/leads/{lead_id}', {
  params: { path, header: { 'If-Match': etag } },
  body: { company: 'Northwind' },
})
const stale = await client.PATCH('/api/leads/{lead_id}', {
  params: { path, header: { 'If-Match': etag } },
  body: { company: 'Southwind' },
})
const run = await client.POST('/api/agents/invoke', {
  body: { agent_type: 'chat_agent', input: { message: 'Hello' } },
})
console.log(
  JSON.stringify({
    name: created.data.name,
    company: updated.data?.company,
    stale: stale.error?.code,
    status: run.data?.status,
  }),
)
