import { useEffect, useState } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'
import { api, ask } from '../../api'
import { useReloads } from '../../live/reloads'
import { Badge, Button, Card, Empty, formatMoney, Heading, Icon, Loaded, useResource } from '../../ui'
import { Change } from './change'
import { Checkout } from './checkout'
import { everyOf } from './price'
import { type Own, ownSubscription, runs, Subscription } from './subscription'
import './billing.css'

/** After a payment, Stripe's event makes the subscription: it is looked for this often, and so many times. */
const LOOK_MS = 2_000
const LOOKS = 60

type Package = Awaited<ReturnType<typeof packagesPage>>['items'][number]

function packagesPage(signal: AbortSignal) {
  return ask(api.GET('/api/pricing/packages', { signal }))
}

export default function Billing() {
  const packages = useResource(packagesPage, [])
  const own = useResource<Own>(ownSubscription, [])
  const [chosen, choose] = useState<Package | null>(null)
  const [search, setSearch] = useSearchParams()
  const back = search.get('checkout')
  const clear = () => setSearch({}, { replace: true })

  useReloads('analytics', ({ type }) => type === 'subscription_created' || type === 'subscription_updated', own.reload)
  const current = own.data?.found ?? null
  const running = current !== null && runs(current)
  return (
    <>
      <Heading title="Billing" lead="Your subscription, and what there is to buy." />
      {back && <Returned paid={back === 'paid'} running={running} look={own.reload} onDone={clear} />}
      <div class="stack">
        <Loaded of={own}>
          {({ found }) =>
            found && <Subscription of={found} onChanged={(changed) => own.update(() => ({ found: changed }))} />
          }
        </Loaded>
        <Loaded of={packages}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Nothing is for sale" icon="card" />
            ) : (
              <section aria-label="Packages">
                <h2 class="billing-title">Packages</h2>
                <div class="grid packages">
                  {items.map((one) => (
                    <Offer
                      key={one.package_id}
                      of={one}
                      current={running && current.package_id === one.package_id}
                      verb={running && current.stripe_subscription_id ? 'Change to this' : 'Choose'}
                      onChoose={() => choose(one)}
                    />
                  ))}
                </div>
              </section>
            )
          }
        </Loaded>
      </div>
      {chosen &&
        (running && current.stripe_subscription_id && chosen.billing_interval !== 'once' ? (
          <Change
            from={current}
            to={chosen}
            onChanged={(changed) => own.update(() => ({ found: changed }))}
            onClose={() => choose(null)}
          />
        ) : (
          <Checkout of={chosen} onClose={() => choose(null)} />
        ))}
    </>
  )
}

function Offer({ of, current, verb, onChoose }: { of: Package; current: boolean; verb: string; onChoose: () => void }) {
  return (
    <Card class={current ? 'package current' : 'package'}>
      <div class="package-head">
        <h3>{of.name}</h3>
        {current && <Badge status="active" label="Your package" />}
      </div>
      <p>
        <span class="package-price">{formatMoney(of.price, of.currency)}</span>
        <span class="quiet">{everyOf(of) || ' once'}</span>
      </p>
      {of.description && <p class="quiet">{of.description}</p>}
      <ul class="package-features">
        {of.features.map((feature) => (
          <li key={String(feature)}>
            <Icon name="check" /> {String(feature)}
          </li>
        ))}
      </ul>
      {!current && (
        <Button kind="primary" aria-label={`${verb}: ${of.name}`} onClick={onChoose}>
          {verb}
        </Button>
      )}
    </Card>
  )
}

/** Back from Stripe: whether it was paid, and whether the subscription is there yet. */
function Returned({
  paid,
  running,
  look,
  onDone,
}: {
  paid: boolean
  running: boolean
  look: () => void
  onDone: () => void
}) {
  const [looks, setLooks] = useState(0)
  const waits = paid && !running && looks < LOOKS
  useEffect(() => {
    if (!waits) return undefined
    const timer = setTimeout(() => {
      look()
      setLooks((before) => before + 1)
    }, LOOK_MS)
    return () => clearTimeout(timer)
  }, [waits, looks])
  return (
    <div class={paid ? 'returned good' : 'returned'} role="status">
      <span>
        {!paid
          ? 'The checkout was cancelled; nothing was charged.'
          : running
            ? 'Thank you. Your payment has arrived.'
            : waits
              ? 'Thank you. Waiting for the confirmation of your payment…'
              : 'Your payment is not confirmed yet. It appears here as soon as it is.'}
      </span>
      <Button small kind="ghost" icon="close" aria-label="Dismiss" onClick={onDone} />
    </div>
  )
}
