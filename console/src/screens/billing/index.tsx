import { api, ask } from '../../api'
import { Card, Empty, formatMoney, Heading, Loaded, useResource } from '../../ui'

export default function Billing() {
  const packages = useResource((signal) => ask(api.GET('/api/pricing/packages', { signal })), [])
  return (
    <>
      <Heading title="Billing" />
      <Loaded of={packages}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing is for sale" icon="card" />
          ) : (
            <div class="grid">
              {items.map((one) => (
                <Card key={one.package_id} title={one.name}>
                  {formatMoney(one.price, one.currency)}
                </Card>
              ))}
            </div>
          )
        }
      </Loaded>
    </>
  )
}
