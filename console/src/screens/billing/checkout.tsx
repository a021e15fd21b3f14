import { useRef, useState } from 'preact/hooks'
import { api, asApiError, ask, type components } from '../../api'
import { Button, Dialog, ErrorState, formatMoney, Loading, useResource } from '../../ui'
import { everyOf, periodsOf, priceOf } from './price'

type Quote = components['schemas']['QuoteBody']

/** The price of a package, with a campaign's code where there is one, and the way to Stripe. */
export function Checkout({ of, onClose }: { of: components['schemas']['PackageBody']; onClose: () => void }) {
  const [code, setCode] = useState('')
  const [applied, setApplied] = useState('')
  const [busy, setBusy] = useState(false)
  const [failure, setFailure] = useState('')
  const input = useRef<HTMLInputElement>(null)
  const quote = useResource(
    (signal) =>
      ask(
        api.POST('/api/pricing/quote', {
          body: { package_id: of.package_id, ...(applied ? { campaign_code: applied } : {}) },
          signal,
        }),
      ),
    [applied],
  )
  const campaign = quote.data?.campaign
  const refused = campaign && !campaign.applies ? (campaign.message ?? 'This code does not apply.') : ''

  const pay = async () => {
    setBusy(true)
    setFailure('')
    try {
      const back = `${location.origin}/billing?checkout=`
      const { url } = await ask(
        api.POST('/api/payments/create-checkout-session', {
          body: {
            metadata: { package_id: of.package_id },
            ...(campaign?.applies ? { campaign_code: campaign.code } : {}),
            success_url: `${back}paid`,
            cancel_url: `${back}cancelled`,
          },
        }),
      )
      location.assign(url)
    } catch (reason) {
      const error = asApiError(reason)
      setFailure([error.message, ...error.details.map(({ field, message }) => `${field} ${message}`)].join(' '))
      setBusy(false)
    }
  }

  return (
    <Dialog title={of.name} onClose={onClose}>
      <form
        class="field"
        onSubmit={(event) => {
          event.preventDefault()
          setApplied(code.trim())
        }}
      >
        <label for="campaign-code">
          Campaign code <span class="optional">optional</span>
        </label>
        <div class="campaign">
          <input
            id="campaign-code"
            ref={input}
            value={code}
            maxLength={100}
            autocomplete="off"
            aria-invalid={refused !== ''}
            aria-describedby="campaign-error"
            onInput={(event) => setCode(event.currentTarget.value)}
          />
          <Button type="submit" disabled={code.trim() === applied}>
            Apply
          </Button>
        </div>
        <span id="campaign-error" class="error-text" role="alert">
          {refused}
        </span>
      </form>
      <div aria-live="polite">
        {quote.data ? (
          <Price of={quote.data} />
        ) : quote.error ? (
          <ErrorState error={quote.error} />
        ) : (
          <Loading rows={2} />
        )}
      </div>
      {failure && (
        <p class="error-text" role="alert">
          {failure}
        </p>
      )}
      <div class="dialog-actions">
        <Button onClick={onClose}>Back</Button>
        <Button kind="primary" icon="external" busy={busy} disabled={!quote.data} onClick={() => void pay()}>
          Continue to payment
        </Button>
      </div>
      <p class="quiet small">You pay on a page of Stripe; card data never reach this site.</p>
    </Dialog>
  )
}

function Price({ of }: { of: Quote }) {
  const later = periodsOf(of.periods, of)
  return (
    <>
      <dl class="quote">
        {of.discount_amount > 0 && (
          <>
            <div>
              <dt>Price</dt>
              <dd>{formatMoney(of.original_price, of.currency)}</dd>
            </div>
            <div class="saved">
              <dt>Discount {of.campaign?.code}</dt>
              <dd>{formatMoney(-of.discount_amount, of.currency)}</dd>
            </div>
          </>
        )}
        <div class="total">
          <dt>{everyOf(of) ? 'To pay now' : 'To pay'}</dt>
          <dd>{later ? formatMoney(of.final_price, of.currency) : priceOf(of.final_price, of)}</dd>
        </div>
      </dl>
      {later && <p class="quiet">{`${later.charAt(0).toUpperCase()}${later.slice(1)}.`}</p>}
    </>
  )
}
