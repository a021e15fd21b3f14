import { api, ask, type components } from '../../api'
import { Card, Chart, formatMoney, formatNumber, humanize, Loaded } from '../../ui'
import { type Part, useFigures, useLive } from './live'
import { Count, percent, Shares, wholeTicks } from './parts'
import { secondsOf } from './range'

type Point = components['schemas']['Point']

export function Leads(part: Part) {
  const { params } = part
  const trend = useTrend('lead_trends', '/api/analytics/leads/trends', part)
  const summary = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/leads/summary', { params: { query: params }, signal })),
  )
  return (
    <Card title="Leads">
      <Loaded of={trend}>{(data) => <Trend label="New leads" of={data} />}</Loaded>
      <Loaded of={summary}>
        {(found) => (
          <>
            <div class="figures spaced">
              <Count name="Qualified" of={found.qualified} />
              <Count name="Converted" of={found.converted} />
              <Count name="Average score" of={found.average_score} />
            </div>
            <div class="halves">
              <div>
                <h3>By status</h3>
                <Shares
                  label="Leads by status"
                  items={found.by_status.map(({ status, value }) => ({ name: humanize(status), value }))}
                  empty="No leads in this range"
                />
              </div>
              <div>
                <h3>By source</h3>
                <Shares
                  label="Leads by source"
                  items={found.by_source.map(({ source, value, conversion_rate }) => ({
                    name: humanize(source),
                    value,
                    note: conversion_rate === null ? undefined : `(${percent(conversion_rate)} converted)`,
                  }))}
                  empty="No leads in this range"
                />
              </div>
            </div>
            {found.open_budget.length > 0 && (
              <p class="quiet spaced">
                Open budgets: {found.open_budget.map(({ value, currency }) => formatMoney(value, currency)).join(', ')}
              </p>
            )}
          </>
        )}
      </Loaded>
    </Card>
  )
}

export function Conversations(part: Part) {
  const { params } = part
  const trend = useTrend('conversation_trends', '/api/analytics/conversations/trends', part)
  const summary = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/conversations/summary', { params: { query: params }, signal })),
  )
  const services = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/services/recommendations', { params: { query: params }, signal })),
  )
  return (
    <Card title="Conversations">
      <Loaded of={trend}>{(data) => <Trend label="New conversations" of={data} />}</Loaded>
      <Loaded of={summary}>
        {(found) => (
          <div class="figures spaced">
            <Count name="Started" of={found.started} />
            <Count name="Messages" of={found.messages} />
            <Count name="Messages each" of={found.messages_per_conversation} />
          </div>
        )}
      </Loaded>
      <h3>Recommended services</h3>
      <Loaded of={services}>
        {({ by_service }) => (
          <Shares
            label="Recommended services"
            items={by_service.slice(0, 8).map(({ service, value, average_confidence }) => ({
              name: humanize(service),
              value: value ?? 0,
              note:
                average_confidence === null
                  ? undefined
                  : `(confidence ${formatNumber(average_confidence, { maximumFractionDigits: 2 })})`,
            }))}
            empty="Nothing was recommended in this range"
          />
        )}
      </Loaded>
    </Card>
  )
}

function useTrend(
  topic: 'lead_trends' | 'conversation_trends',
  path: '/api/analytics/leads/trends' | '/api/analytics/conversations/trends',
  part: Part,
) {
  const { params } = part
  const trend = useFigures({ params, changed: 0 }, async (signal) => {
    const found = await ask(api.GET(path, { params: { query: params }, signal }))
    return found.data
  })
  useLive<Point[]>(topic, params, JSON.stringify(params), (data) => trend.update(() => data))
  return trend
}

function Trend({ label, of }: { label: string; of: Point[] }) {
  return (
    <Chart
      label={label}
      times={of.map(({ date }) => secondsOf(date))}
      series={[{ name: label, values: of.map(({ value }) => value), tone: 'accent' }]}
      format={wholeTicks}
    />
  )
}
