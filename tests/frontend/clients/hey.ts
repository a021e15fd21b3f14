// The client that @hey-api/openapi-ts makes of the API document.
import { client } from './hey/client.gen.js'
import { createLead, invokeAgent, updateLead } from './hey/index.js'

client.setConfig({ baseUrl: process.env.API_URL!, auth: () => process.env.TOKEN })

const created = await createLead({ body: { name: 'Ada', budget: null }, throwOnError: true })
const path = { lead_id: created.data.lead_id }
const etag = created.response.headers.get('ETag') ?? '*'
const headers = { 'If-Match': etag }
const updated = await updateLead({ path, headers, body: { company: 'Northwind' } })
const stale = await updateLead({ path, headers, body: { company: 'Southwind' } })
const run = await invokeAgent({ body: { agent_type: 'chat_agent', input: { message: 'Hello' } } })
console.log(
  JSON.stringify({
    name: created.data.name,
    company: updated.data?.company,
    stale: stale.error?.code,
    status: run.data?.status,
  }),
)
