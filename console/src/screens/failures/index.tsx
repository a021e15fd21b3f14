import { seesAll } from '../../auth/session'
import { Heading, Tabs, useFilters } from '../../ui'
import { DeadLetter } from './dead-letter'
import { Deliveries } from './deliveries'
import { StripeEvents } from './stripe-events'
import './failures.css'

/** Failures and their retries: failed runs in groups, webhook deliveries, and Stripe's events. */
export default function Failures() {
  const [{ tab }, setFilters] = useFilters(['tab', 'status', 'group'])
  const tabs = [
    { name: 'runs', label: 'Failed runs', content: () => <DeadLetter /> },
    { name: 'webhooks', label: 'Webhook deliveries', content: () => <Deliveries /> },
    ...(seesAll.value ? [{ name: 'stripe', label: 'Stripe events', content: () => <StripeEvents /> }] : []),
  ]
  return (
    <>
      <Heading title="Failures" lead="Failed runs, webhooks and events, and their retries." />
      <Tabs
        label="Failures"
        tabs={tabs}
        chosen={tab || 'runs'}
        onChoose={(name) => setFilters({ tab: name === 'runs' ? '' : name, status: '', group: '' })}
      />
    </>
  )
}
