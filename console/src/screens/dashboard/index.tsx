import { api, ask, type components } from '../../api'
import { seesAll } from '../../auth/session'
import { Card, Filters, Heading, Loaded, SelectFilter, TextFilter, useFilters, useResource } from '../../ui'
import { Conversations, Leads } from './business'
import { useLive } from './live'
import { Agents, Models } from './operations'
import { Amount, Count, Rate } from './parts'
import { AGGREGATIONS, browserZone, dayOf, daysBefore, PRESETS, paramsOf, zones } from './range'
import { Revenue } from './revenue'
import './dashboard.css'

type Overview = components['schemas']['OverviewBody']

export default function Dashboard() {
  const [chosen, choose] = useFilters(['range', 'from', 'to', 'by', 'zone'])
  const params = paramsOf(chosen)
  const key = JSON.stringify(params)
  const overview = useResource(
    (signal) => ask(api.GET('/api/analytics/overview', { params: { query: params }, signal })),
    [key],
  )
  const changed = useLive<Partial<Overview>>('kpis', params, key, (data) =>
    overview.update((before) => ({ ...before, ...data })),
  )
  const found = overview.data?.range
  const props = { params, changed }
  return (
    <>
      <Heading
        title="Dashboard"
        lead={
          found
            ? `${dayOf(found.start_date)} to ${dayOf(found.end_date)}${seesAll.value ? ', of all users' : ''}`
            : undefined
        }
      />
      <Filters>
        <SelectFilter
          label="Range"
          value={chosen.range || '30'}
          options={PRESETS}
          onChange={(range) =>
            choose(
              range === 'custom'
                ? { range, from: daysBefore(29, params.time_zone), to: '', by: '' }
                : { range: range === '30' ? '' : range, from: '', to: '', by: '' },
            )
          }
        />
        {chosen.range === 'custom' && (
          <>
            <TextFilter type="date" label="From" value={chosen.from} onChange={(from) => choose({ from })} />
            <TextFilter type="date" label="To" value={chosen.to} onChange={(to) => choose({ to })} />
          </>
        )}
        <SelectFilter
          label="Group by"
          value={params.aggregation}
          options={AGGREGATIONS.map((one): [string, string] => [
            one,
            { daily: 'Day', weekly: 'Week', monthly: 'Month' }[one],
          ])}
          onChange={(by) => choose({ by })}
        />
        <SelectFilter
          label="Time zone"
          value={params.time_zone}
          options={zones(params.time_zone)}
          onChange={(zone) => choose({ zone: zone === browserZone() ? '' : zone })}
        />
      </Filters>
      <div class="dashboard">
        <Loaded of={overview}>{(data) => <Kpis of={data} />}</Loaded>
        {overview.data && (
          <>
            <div class="halves">
              <Leads {...props} />
              <Conversations {...props} />
            </div>
            <Revenue {...props} />
            {seesAll.value && (
              <>
                <Agents {...props} />
                <Models {...props} />
              </>
            )}
          </>
        )}
      </div>
    </>
  )
}

function Kpis({ of }: { of: Overview }) {
  return (
    <div class="kpis">
      <Card>
        <Count name="Leads" of={of.total_leads} />
      </Card>
      <Card>
        <Count name="Active conversations" of={of.active_conversations} />
      </Card>
      <Card>
        <Rate name="Conversion rate" of={of.conversion_rate} />
      </Card>
      <Card>
        <Amount name="Revenue" of={of.total_revenue} />
      </Card>
    </div>
  )
}
