import { api, ask } from '../../api'
import { seesAll } from '../../auth/session'
import { Card, Chart, formatDate, formatMoney, formatNumber, Loaded, Table } from '../../ui'
import { type Part, useFigures } from './live'
import { Amount, Count, Rate, wholeTicks } from './parts'
import { secondsOf } from './range'

/** Payments and subscriptions: what came in, and what recurs. */
export function Revenue(part: Part) {
  const { params } = part
  const summary = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/revenue/summary', { params: { query: params }, signal })),
  )
  const trend = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/revenue/subscription-trends', { params: { query: params }, signal })),
  )
  const packages = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/revenue/by-package', { params: { query: params }, signal })),
  )
  return (
    <Card title="Revenue">
      <Loaded of={summary}>
        {(found) => (
          <div class="figures">
            <Amount name="Revenue" of={found.revenue} />
            <Amount name="Monthly recurring" of={found.mrr} />
            <Amount name="Yearly recurring" of={found.arr} />
            <Count name="Subscriptions" of={found.active_subscriptions} />
            <Count name="New" of={found.new_subscriptions} />
            <Count name="Ended" of={found.ended_subscriptions} falling />
            <Rate name="Churn" of={found.churn_rate} falling />
          </div>
        )}
      </Loaded>
      <div class="halves">
        <div>
          <h3>Subscriptions</h3>
          <Loaded of={trend}>
            {({ data }) => (
              <>
                <Chart
                  label="Subscriptions at the end of each period"
                  times={data.map(({ date }) => secondsOf(date))}
                  series={[{ name: 'Subscriptions', values: data.map(({ value }) => value), tone: 'accent' }]}
                  format={wholeTicks}
                />
                <Chart
                  label="Subscriptions that started and ended"
                  times={data.map(({ date }) => secondsOf(date))}
                  series={[
                    { name: 'Started', values: data.map(({ started }) => started), tone: 'good' },
                    { name: 'Ended', values: data.map(({ ended }) => ended), tone: 'bad' },
                  ]}
                  height={140}
                  format={wholeTicks}
                />
              </>
            )}
          </Loaded>
        </div>
        <div>
          <h3>By package</h3>
          <Loaded of={packages}>
            {({ data }) =>
              data.length === 0 ? (
                <p class="quiet">No payments in this range</p>
              ) : (
                <Table
                  label="Revenue by package"
                  rows={data}
                  rowKey={(row) => `${row.package_id} ${row.currency}`}
                  columns={[
                    { name: 'Package', kind: 'wide', cell: (row) => row.package ?? 'Without a package' },
                    { name: 'Revenue', kind: 'number', cell: (row) => formatMoney(row.revenue, row.currency) },
                    { name: 'Payments', kind: 'number', cell: (row) => formatNumber(row.payments) },
                    { name: 'Subscriptions', kind: 'number', cell: (row) => formatNumber(row.active_subscriptions) },
                    { name: 'Monthly', kind: 'number', cell: (row) => formatMoney(row.mrr, row.currency) },
                  ]}
                />
              )
            }
          </Loaded>
          {seesAll.value && <Customers {...part} />}
        </div>
      </div>
    </Card>
  )
}

function Customers(part: Part) {
  const { params } = part
  const values = useFigures(part, (signal) =>
    ask(api.GET('/api/analytics/revenue/customer-ltv', { params: { query: params }, signal })),
  )
  return (
    <>
      <h3 class="spaced">Best customers</h3>
      <Loaded of={values}>
        {({ top }) =>
          top.length === 0 ? (
            <p class="quiet">No payments in this range</p>
          ) : (
            <Table
              label="Customers by what they have paid"
              rows={top.slice(0, 5)}
              rowKey={(row) => `${row.user_id} ${row.currency}`}
              columns={[
                { name: 'Customer', kind: 'wide', cell: (row) => <code>{row.user_id.slice(0, 8)}…</code> },
                { name: 'Paid', kind: 'number', cell: (row) => formatMoney(row.value, row.currency) },
                { name: 'Payments', kind: 'number', cell: (row) => formatNumber(row.payments) },
                { name: 'Since', kind: 'number', cell: (row) => formatDate(row.first_payment_at) },
              ]}
            />
          )
        }
      </Loaded>
    </>
  )
}
