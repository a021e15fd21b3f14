import { api, ask, type components } from '../../api'
import { ActionButton, Button, Dialog, formatDate, toast } from '../../ui'
import { priceOf } from './price'
import type { Subscribed } from './subscription'

type Package = components['schemas']['PackageBody']

interface Props {
  from: Subscribed
  to: Package
  onChanged: (changed: Subscribed) => void
  onClose: () => void
}

/** Another package for a subscription: now, or from the next period on. */
export function Change({ from, to, onChanged, onClose }: Props) {
  const change = async (at_period_end: boolean) => {
    onChanged(
      await ask(api.POST('/api/payments/subscription/change', { body: { package_id: to.package_id, at_period_end } })),
    )
    toast(at_period_end ? `${to.name} begins with the next period` : `You have ${to.name} now`, 'good')
    onClose()
  }
  return (
    <Dialog title={`Change to ${to.name}?`} onClose={onClose}>
      <p>
        {from.plan} for {priceOf(from.final_price, from)} becomes {to.name} for {priceOf(to.price, to)}.
      </p>
      <p class="quiet">
        Now: the difference for the rest of the period is charged at once. Later: from
        {from.current_period_end ? ` ${formatDate(from.current_period_end)} on` : ' the next period on'}.
      </p>
      <div class="dialog-actions">
        <Button onClick={onClose}>Back</Button>
        <ActionButton action={() => change(true)}>From the next period</ActionButton>
        <ActionButton kind="primary" action={() => change(false)}>
          Change now
        </ActionButton>
      </div>
    </Dialog>
  )
}
