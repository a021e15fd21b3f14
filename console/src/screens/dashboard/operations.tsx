import { api, ask } from '../../api'
import {
  Card,
  Chart,
  Duration,
  Figure,
  formatCompact,
  formatDuration,
  formatNumber,
  humanize,
  Loaded,
  Table,
} from '../../ui'
import { type Part, useFigures } from './live'
import { Change, Count, percent, Rate, Shares, wholeTicks } from './parts'
import { secondsOf } from './range'

/** How agents did: for administrators and services alone. */
export function Agents(part: Part) {
  const { params } = part
  const summary = useFigures(
    part,
    (signal) => ask(api.GET('/api/analytics/agents/summary', { params: { query: params }, signal })),
    true,
  )
  const trend = useFigures(
    part,
    (signal) => ask(api.GET('/api/analytics/agents/trends', { params: { query: params }, signal })),
    true,
  )
  return (
    <Card title="Agents">
      <Loaded of={summary}>
        {(found) => (
          <div class="figures">
            <Count name="Executions" of={found.executions} />
            <Rate name="Success rate" of={found.success_rate} />
            <Took name="Average duration" of={found.average_duration_ms} />
            <Rate name="Without a model" of={found.fallback_rate} falling />
            <Count name="Tokens" of={found.tokens} />
          </div>
        )}
      </Loaded>
      <Loaded of={trend}>
        {({ data }) => (
          <Chart
            label="Executions of agents"
            times={data.map(({ date }) => secondsOf(date))}
            series={[
              { name: 'Completed', values: data.map(({ completed }) => completed), tone: 'good' },
              { name: 'Failed', values: data.map(({ failed }) => failed), tone: 'bad' },
            ]}
            format={wholeTicks}
          />
        )}
      </Loaded>
      <Loaded of={summary}>
        {({ by_agent }) =>
          by_agent.length > 0 && (
            <Table
              label="Agents"
              rows={by_agent}
              rowKey={(row) => row.agent_type}
              columns={[
                { name: 'Agent', kind: 'wide', cell: (row) => humanize(row.agent_type) },
                { name: 'Executions', kind: 'number', cell: (row) => formatNumber(row.executions) },
                { name: 'Failed', kind: 'number', cell: (row) => formatNumber(row.failed) },
                { name: 'Success', kind: 'number', cell: (row) => percent(row.success_rate) },
                { name: 'Without a model', kind: 'number', cell: (row) => percent(row.fallback_rate) },
                { name: 'Average', kind: 'number', cell: (row) => <Duration ms={row.average_duration_ms} /> },
                { name: '95 % within', kind: 'number', cell: (row) => <Duration ms={row.p95_duration_ms} /> },
                { name: 'Tokens', kind: 'number', cell: (row) => formatCompact(row.tokens) },
              ]}
            />
          )
        }
      </Loaded>
    </Card>
  )
}

/** Calls to model providers: for administrators and services alone. */
export function Models(part: Part) {
  const { params } = part
  const metrics = useFigures(
    part,
    (signal) => ask(api.GET('/api/analytics/models/metrics', { params: { query: params }, signal })),
    true,
  )
  return (
    <Card title="Models">
      <Loaded of={metrics}>
        {(found) => (
          <>
            <div class="figures">
              <Count name="Calls" of={found.calls} />
              <Rate name="Success rate" of={found.success_rate} />
              <Took name="Average latency" of={found.average_latency_ms} />
              <Count name="Tokens" of={found.tokens} />
            </div>
            <div class="split">
              <Chart
                label="Calls to models"
                times={found.trend.map(({ date }) => secondsOf(date))}
                series={[
                  { name: 'Calls', values: found.trend.map(({ value }) => value), tone: 'accent' },
                  { name: 'Failed', values: found.trend.map(({ failed }) => failed), tone: 'bad' },
                ]}
                format={wholeTicks}
              />
              <div>
                <h3>Outcomes</h3>
                <Shares
                  label="Calls by outcome"
                  items={found.by_outcome.map(({ outcome, value }) => ({ name: humanize(outcome), value }))}
                  empty="No calls in this range"
                />
              </div>
            </div>
            {found.by_model.length > 0 && (
              <Table
                label="Models"
                rows={found.by_model}
                rowKey={(row) => `${row.provider} ${row.model}`}
                columns={[
                  {
                    name: 'Model',
                    kind: 'wide',
                    cell: (row) => (
                      <>
                        {row.model ?? 'Unknown'} <span class="quiet">{humanize(row.provider)}</span>
                      </>
                    ),
                  },
                  { name: 'Calls', kind: 'number', cell: (row) => formatNumber(row.calls) },
                  { name: 'Success', kind: 'number', cell: (row) => percent(row.success_rate) },
                  { name: 'Average', kind: 'number', cell: (row) => <Duration ms={row.average_latency_ms} /> },
                  { name: '95 % within', kind: 'number', cell: (row) => <Duration ms={row.p95_latency_ms} /> },
                  { name: 'Tokens in', kind: 'number', cell: (row) => formatCompact(row.prompt_tokens) },
                  { name: 'Tokens out', kind: 'number', cell: (row) => formatCompact(row.completion_tokens) },
                ]}
              />
            )}
          </>
        )}
      </Loaded>
    </Card>
  )
}

function Took({ name, of }: { name: string; of: { value: number | null; change: number | null } }) {
  return <Figure name={name} value={formatDuration(of.value)} change={<Change of={of} falling />} />
}
