import { useState } from 'preact/hooks'
import { ApiError, api, ask, type components } from '../../api'
import { ActionButton, Age, Badge, Button, Card, Dialog, Facts, formatDate, formatMoney, toast } from '../../ui'
import { priceOf } from './price'

export type Subscribed = components['schemas']['SubscriptionBody']
/** The subscription, or null without one: that is not an error here. */
export interface Own {
  found: Subscribed | null
}

export async function ownSubscription(signal: AbortSignal): Promise<Own> {
  try {
    return { found: await ask(api.GET('/api/payments/subscription', { signal })) }
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return { found: null }
    throw error
  }
}

export function runs({ status }: Subscribed): boolean {
  return status !== 'cancelled' && status !== 'incomplete'
}

export function Subscription({ of, onChanged }: { of: Subscribed; onChanged: (changed: Subscribed) => void }) {
  const [cancelling, setCancelling] = useState(false)
  const portal = async () => {
    const { url } = await ask(
      api.POST('/api/payments/portal-session', { body: { return_url: `${location.origin}/billing` } }),
    )
    location.assign(url)
  }
  const ends = of.cancel_at ?? of.end_date
  const recurs = of.billing_interval !== 'once'
  return (
    <Card
      title="Your subscription"
      actions={
        <>
          {of.stripe_customer_id && (
            <ActionButton icon="external" action={portal}>
              Cards and invoices
            </ActionButton>
          )}
          {recurs && runs(of) && of.stripe_subscription_id && !of.cancel_at && (
            <Button kind="danger" onClick={() => setCancelling(true)}>
              Cancel
            </Button>
          )}
        </>
      }
    >
      <Facts
        items={[
          ['Package', <strong key="plan">{of.plan}</strong>],
          ['Status', <Badge key="status" status={of.status} />],
          ['Price', priceOf(of.final_price, of)],
          ...(of.discount_amount > 0
            ? [['Discount', formatMoney(of.discount_amount, of.currency)] as [string, preact.ComponentChildren]]
            : []),
          ['Since', formatDate(of.start_date)],
          ...(recurs && runs(of) && !ends && of.current_period_end
            ? [
                [
                  'Renews',
                  <>
                    {formatDate(of.current_period_end)}{' '}
                    <span class="quiet">
                      <Age time={of.current_period_end} />
                    </span>
                  </>,
                ] as [string, preact.ComponentChildren],
              ]
            : []),
          ...(recurs && ends
            ? [[runs(of) ? 'Ends' : 'Ended', formatDate(ends)] as [string, preact.ComponentChildren]]
            : []),
        ]}
      />
      {of.cancel_at && runs(of) && (
        <p class="quiet billing-note">
          It stays until then. Under “Cards and invoices” you can continue it, or choose another package below.
        </p>
      )}
      {of.status === 'past_due' && (
        <p class="error-text billing-note">The last payment failed. Check the card under “Cards and invoices”.</p>
      )}
      {cancelling && <Cancel of={of} onChanged={onChanged} onClose={() => setCancelling(false)} />}
    </Card>
  )
}

function Cancel({
  of,
  onChanged,
  onClose,
}: {
  of: Subscribed
  onChanged: (changed: Subscribed) => void
  onClose: () => void
}) {
  const cancel = async (at_period_end: boolean) => {
    onChanged(await ask(api.POST('/api/payments/subscription/cancel', { body: { at_period_end } })))
    toast(at_period_end ? 'It ends with its period' : 'The subscription is cancelled', 'good')
    onClose()
  }
  return (
    <Dialog title={`Cancel ${of.plan}?`} onClose={onClose}>
      <p>
        You have paid until {of.current_period_end ? formatDate(of.current_period_end) : 'the end of the period'}. With
        the period, everything stays until then; at once, it ends now.
      </p>
      <div class="dialog-actions">
        <Button onClick={onClose}>Keep it</Button>
        <ActionButton kind="danger" action={() => cancel(false)}>
          Cancel at once
        </ActionButton>
        <ActionButton kind="primary" action={() => cancel(true)}>
          Cancel with the period
        </ActionButton>
      </div>
    </Dialog>
  )
}
